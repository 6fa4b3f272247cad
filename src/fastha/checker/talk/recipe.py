"""A configured check -> its conversations, one for each turn. Everything that can be wrong is found when it is made."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from fastha.checker.request import USER_AGENT, one_word, request
from fastha.checker.talk.body import Judge, expression
from fastha.checker.talk.context import Contexts
from fastha.checker.talk.http1 import Http1
from fastha.checker.talk.smtp import Smtp
from fastha.checker.talk.talk import Talk
from fastha.checker.talk.tls import Terms, TlsTalk
from fastha.model import Check, GrpcCheck, HttpCheck, HttpUrl, SmtpCheck, SslCheck, Tls
from fastha.model.lvs import host_port


@dataclass(frozen=True, slots=True)
class Recipe:
    """`clear[i]()` begins the conversation for URL i (or the only one); `terms[i]` is TLS around it."""

    clear: tuple[Callable[[], Talk], ...]
    terms: tuple[Terms, ...] = ()
    tls: Tls | None = None
    alpn: tuple[str, ...] = ()

    def talk(self, url: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None) -> Talk:
        """`context`: needed exactly if `tls`."""
        inner = self.clear[url]()
        if context is None:
            return inner
        return TlsTalk(context, self.terms[url], inner, session)


def recipe(check: Check) -> Recipe:
    """ValueError if the check cannot be asked like this. Reads no file."""
    match check:
        case SmtpCheck():
            name = check.helo_name or os.uname().nodename
            if not name or any(c <= " " or c == "\x7f" for c in name):
                raise ValueError(f"helo_name {name!r} contains a blank or control character")
            return Recipe((lambda: Smtp(name),))
        case GrpcCheck():
            return _grpc(check)
        case SslCheck():
            alpn = "h2" if check.http2 else ""
            return Recipe(
                tuple(_get2(check, url) if check.http2 else _get1(check, url) for url in check.urls),
                # HTTP/2 has an end of its own (END_STREAM), and its connections go on after a reply.
                tuple(_terms(check.tls, u.virtualhost, alpn, u.tls_compliant and not alpn) for u in check.urls),
                check.tls,
                (alpn,) if alpn else (),
            )
        case HttpCheck():
            return Recipe(tuple(_get1(check, url) for url in check.urls))
    raise ValueError(f"{check.kind} is no conversation")


def validate(check: Check, contexts: Contexts | None = None) -> None:
    """Build everything once. ValueError with the reason if it cannot be, also for files that cannot be read.
    `contexts`: those that were made for other checks already."""
    made, context = recipe(check), None
    if made.tls:
        contexts = contexts if contexts is not None else Contexts()
        contexts.acquire(made.tls, made.alpn, 0)
        context = contexts.get(made.tls, made.alpn, 0)
    for url in range(len(made.clear)):
        made.talk(url, context)


def _get1(check: HttpCheck | SslCheck, url: HttpUrl) -> Callable[[], Talk]:
    data, compiled = request(check, url), expression(url.regex)
    return lambda: Http1(data, Judge(url, compiled))


def _get2(check: SslCheck, url: HttpUrl) -> Callable[[], Talk]:
    request(check, url)  # the same texts are refused
    from fastha.checker.talk.http2 import Http2Get  # here: a checker without such checks does not load h2

    compiled = expression(url.regex)
    host = url.virtualhost or host_port(check.ip, check.port)
    return lambda: Http2Get(host, url.path, USER_AGENT, Judge(url, compiled))


def _grpc(check: GrpcCheck) -> Recipe:
    authority = check.authority or host_port(check.ip, check.port)
    one_word("authority", authority)
    from fastha.checker.talk.grpc import Grpc

    scheme = "https" if check.tls else "http"
    made = (lambda: Grpc(check.service, authority, scheme, check.timeout_ns),)
    if check.tls is None:
        return Recipe(made)
    return Recipe(made, (_terms(check.tls, authority, "h2", False),), check.tls, ("h2",))


def _terms(tls: Tls, virtualhost: str, alpn: str, compliant: bool) -> Terms:
    host = bare_host(virtualhost)
    sni = tls.sni or (host if tls.enable_sni and not _is_address(host) else "")
    return Terms(sni, (tls.verify_name or tls.sni or host) if tls.verify else "", alpn, compliant)


def bare_host(virtualhost: str) -> str:
    """A Host header without its port: `[2001:db8::1]:443` -> `2001:db8::1`."""
    if virtualhost.startswith("["):
        return virtualhost[1:].partition("]")[0]
    return virtualhost if virtualhost.count(":") > 1 else virtualhost.partition(":")[0]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
