"""Checks -> their blocks."""

from __future__ import annotations

from fastha.config.dump_words import Page, command, owner, quoted, seconds, word
from fastha.model import (
    BfdCheck,
    Check,
    DnsCheck,
    FileCheck,
    GrpcCheck,
    HttpCheck,
    HttpUrl,
    MiscCheck,
    Networked,
    PingCheck,
    RealServer,
    Regex,
    SmtpCheck,
    SslCheck,
    TcpCheck,
    Tls,
    UdpCheck,
)
from fastha.model.lvs import host_port


def dump_check(check: Check, real: RealServer, page: Page) -> None:
    """The block of one check of `real`, whose address, port and alpha it has unless it says otherwise."""
    with page.block(check.kind):
        if isinstance(check, Networked):
            _connection(check, real, page)
        if not isinstance(check, (FileCheck, BfdCheck)):
            _scheduling(check, page)
        if not isinstance(check, FileCheck):
            page.flag("alpha", check.alpha, real.alpha)
        match check:
            case TcpCheck():
                page.flag("close_reset", check.close_reset, default=True)
            case PingCheck():
                pass
            case HttpCheck() | SslCheck():
                _http(check, page)
            case UdpCheck():
                _udp(check, page)
            case DnsCheck():
                page.unless("SOA", "type", check.type)
                page.unless(".", "name", check.name, word(check.name))
            case SmtpCheck():
                if check.helo_name:
                    page.say("helo_name", word(check.helo_name))
            case GrpcCheck():
                _grpc(check, page)
            case MiscCheck():
                _misc(check, page)
            case FileCheck():
                page.say("track_file", word(check.track_file))
                page.say("weight", check.weight, *(["reverse"] if check.reverse else []))
            case BfdCheck():
                page.say("name", word(check.name))


def _connection(check: Networked, real: RealServer, page: Page) -> None:
    page.unless(real.ip, "connect_ip", check.ip)
    if not isinstance(check, PingCheck):
        page.unless(real.port, "connect_port", check.port)
    if check.bind_ip:
        page.say("bindto", check.bind_ip)
    if check.bind_port:
        page.say("bind_port", check.bind_port)
    if check.bind_if:
        page.say("bind_if", word(check.bind_if))
    page.unless(0, "fwmark", check.fwmark)
    page.unless(5_000_000_000, "connect_timeout", check.timeout_ns, seconds(check.timeout_ns))


def _scheduling(check: Check, page: Page) -> None:
    """What has another default in each kind of check is always said."""
    page.unless(60_000_000_000, "delay_loop", check.delay_ns, seconds(check.delay_ns))
    page.say("retry", check.retry)
    page.say("delay_before_retry", seconds(check.retry_delay_ns))
    page.unless(check.delay_ns, "warmup", check.warmup_ns, seconds(check.warmup_ns))
    page.unless(1, "rise", check.rise)
    page.flag("log_all_failures", check.log_all_failures)


def _http(check: HttpCheck | SslCheck, page: Page) -> None:
    page.unless("1.0", "http_protocol", check.http_protocol)
    page.flag("fast_recovery", check.fast_recovery)
    if isinstance(check, HttpCheck):
        page.flag("close_reset", check.close_reset, default=True)
    if isinstance(check, SslCheck):
        _tls(check.tls, page)
        page.flag("http2", check.http2)
    host = host_port(check.ip, check.port)
    for url in check.urls:
        with page.block("url"):
            page.say("path", word(url.path))
            page.unless(((200, 299),), "status_code", url.status, " ".join(_status(*span) for span in url.status))
            if url.digest:
                page.say("digest", url.digest)
            page.unless(host, "virtualhost", url.virtualhost, word(url.virtualhost))
            if url.tls_compliant:
                page.say("tls_compliant")
            if url.regex:
                _regex(url, url.regex, page)


def _status(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _regex(url: HttpUrl, regex: Regex, page: Page) -> None:
    page.say("regex", quoted(regex.pattern))
    if regex.negated:
        page.say("regex_no_match")
    if regex.options:
        page.say("regex_options", *regex.options)
    page.unless(0, "regex_min_offset", regex.min_offset)
    page.unless(0, "regex_max_offset", regex.max_offset)


def _tls(tls: Tls, page: Page) -> None:
    """Certificate, key and password come from the block `SSL`."""
    page.flag("enable_sni", tls.enable_sni)
    if tls.sni:
        page.say("sni_name", word(tls.sni))
    page.flag("tls_verify", tls.verify)
    if tls.ca != page.ca:
        page.say("tls_ca", word(tls.ca))
    if tls.verify_name:
        page.say("tls_verify_name", word(tls.verify_name))
    page.unless(0, "tls_expiry_days", tls.expiry_days)


def _udp(check: UdpCheck, page: Page) -> None:
    if check.payload:
        page.say("payload", check.payload)
    if check.require_reply:
        page.say("require_reply", _masked(check.reply, check.mask))
    page.unless(0, "min_reply_length", check.min_reply_length)
    page.unless(65535, "max_reply_length", check.max_reply_length)


def _masked(digits: str, mask: str) -> str:
    """Hexadecimal digits, x for those that are not compared."""
    return "".join(c if m == "f" else "x" for c, m in zip(digits, mask, strict=True))


def _grpc(check: GrpcCheck, page: Page) -> None:
    if check.service:
        page.say("service", word(check.service))
    if check.authority:
        page.say("authority", word(check.authority))
    if check.tls is not None:
        page.say("tls")
        _tls(check.tls, page)


def _misc(check: MiscCheck, page: Page) -> None:
    page.say("misc_path", command(check.script.argv))
    if check.timeout_ns:
        page.say("misc_timeout", seconds(check.timeout_ns))
    page.flag("misc_dynamic", check.dynamic)
    if check.script.user or check.script.group:
        page.say("user", owner(check.script.user, check.script.group, check.script.supplementary))
