"""Health checks as configured. One frozen class per kind; `kind` tells them apart when read back.

Two checks that are equal ask the same question of the same peer: one probe may answer for both.
"""

from __future__ import annotations

from typing import Literal

from fastha.lean import dataclass
from fastha.model.script import Script
from fastha.model.units import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """When a check runs, and what its answers mean."""

    __apart__ = ("ip", "port", "script")  # what mostly differs from one to another: see fastha.lean

    delay_ns: int = 60 * NS_PER_S  # delay_loop: start to start
    retry: int = 1  # further failures while up before it is marked down
    retry_delay_ns: int = 1 * NS_PER_S
    warmup_ns: int = 60 * NS_PER_S  # the first probe starts in [0, warmup)
    alpha: bool = False  # starts down until a probe has succeeded
    rise: int = 1  # successes in a row that a check which is down needs to be up
    log_all_failures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Networked(Scheduled):
    """From where and to whom a check talks. `fwmark`: SO_MARK; 0 none."""

    ip: str
    port: int
    bind_ip: str = ""
    bind_port: int = 0
    bind_if: str = ""
    fwmark: int = 0
    timeout_ns: int = 5 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck(Networked):
    """TCP_CHECK: success is a completed connect within `timeout_ns`. `close_reset`: it is ended with RST, which leaves
    no port of ours in TIME_WAIT; with FIN otherwise."""

    kind: Literal["TCP_CHECK"] = "TCP_CHECK"
    close_reset: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PingCheck(Networked):
    """PING_CHECK: an ICMP echo is answered within `timeout_ns`. `port` is 0."""

    kind: Literal["PING_CHECK"] = "PING_CHECK"


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpCheck(Networked):
    """UDP_CHECK: `payload` is sent; an ICMP error is a failure, silence is one if `require_reply`.

    `reply`/`mask`: what an answer must begin with (mask bits 0 are not compared; equal lengths; b"" anything) as hex.
    """

    kind: Literal["UDP_CHECK"] = "UDP_CHECK"
    payload: str = ""  # hex; "": a short text
    require_reply: bool = False
    reply: str = ""  # hex
    mask: str = ""  # hex
    min_reply_length: int = 0
    max_reply_length: int = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsCheck(Networked):
    """DNS_CHECK: one query over UDP is answered with rcode 0 within `timeout_ns`."""

    kind: Literal["DNS_CHECK"] = "DNS_CHECK"
    type: str = "SOA"
    name: str = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpCheck(Networked):
    """SMTP_CHECK: 220, HELO, 2xx, QUIT."""

    kind: Literal["SMTP_CHECK"] = "SMTP_CHECK"
    helo_name: str = ""  # "": this host's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """`regex` of a url: an expression the body must match (`negated`: must not). `options`: keepalived's words, sorted.
    Offsets in bytes; `max_offset` 0: none."""

    pattern: str
    negated: bool = False
    options: tuple[str, ...] = ()
    min_offset: int = 0
    max_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpUrl:
    """One `url` of HTTP_GET or SSL_GET. `digest`: 32 lower-case hex digits or "". `status`: accepted closed ranges."""

    __apart__ = ("path", "digest")

    path: str = "/"
    status: tuple[tuple[int, int], ...] = ((200, 299),)
    digest: str = ""
    virtualhost: str = ""  # the Host header; already resolved through url, checker, RS, VS by config.build
    regex: Regex | None = None
    tls_compliant: bool = False  # the peer must end TLS properly


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck(Networked):
    """HTTP_GET: each URL must answer with an accepted status (digest, regex) within `timeout_ns`."""

    kind: Literal["HTTP_GET"] = "HTTP_GET"
    urls: tuple[HttpUrl, ...]
    http_protocol: str = "1.0"  # "1.0", "1.0C" (adds Connection: close) or "1.1"
    retry_delay_ns: int = 3 * NS_PER_S
    fast_recovery: bool = False
    close_reset: bool = True  # as in TcpCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a check speaks TLS. Verification is fastha's addition and off unless asked for; keepalived never verifies.

    `ca`, `certificate`, `key`, `password` come from the `SSL` block. `sni`: the name that is sent; "": with
    `enable_sni` that of the Host header, else none. `verify_name`: the name the certificate must have ("": sni, or the
    header's). `expiry_days`: warn when the certificate ends sooner; 0 never.
    """

    sni: str = ""
    enable_sni: bool = False
    verify: bool = False
    verify_name: str = ""
    expiry_days: int = 0
    ca: str = ""
    certificate: str = ""
    key: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SslCheck(Networked):
    """SSL_GET: as HTTP_GET over TLS. `http2`: HTTP/2, agreed by ALPN (fastha's addition)."""

    kind: Literal["SSL_GET"] = "SSL_GET"
    urls: tuple[HttpUrl, ...]
    http_protocol: str = "1.0"
    retry_delay_ns: int = 3 * NS_PER_S
    fast_recovery: bool = False
    tls: Tls = Tls()
    http2: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCheck(Networked):
    """GRPC_CHECK (fastha's addition): grpc.health.v1.Health/Check of `service` answers SERVING. `tls` None: clear."""

    kind: Literal["GRPC_CHECK"] = "GRPC_CHECK"
    service: str = ""
    authority: str = ""  # "": host and port
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MiscCheck(Scheduled):
    """MISC_CHECK: a command's exit status, 0 is good; `dynamic`: so is 2..255, and the weight becomes that minus 2."""

    kind: Literal["MISC_CHECK"] = "MISC_CHECK"
    script: Script
    timeout_ns: int = 0  # misc_timeout; 0: delay_ns
    dynamic: bool = False
    retry: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck(Scheduled):
    """FILE_CHECK: the number in a tracked file, times `weight`; weight 0: anything but 0 is a failure."""

    kind: Literal["FILE_CHECK"] = "FILE_CHECK"
    track_file: str  # name of the track_file
    path: str
    weight: int = 0
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdCheck(Scheduled):
    """BFD_CHECK: up while the named BFD session is."""

    kind: Literal["BFD_CHECK"] = "BFD_CHECK"
    name: str


Check = (
    TcpCheck
    | HttpCheck
    | SslCheck
    | PingCheck
    | UdpCheck
    | DnsCheck
    | SmtpCheck
    | GrpcCheck
    | MiscCheck
    | FileCheck
    | BfdCheck
)
