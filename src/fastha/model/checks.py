"""Health checks as configured. One frozen class per kind; `kind` tells them apart when read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastha.model.units import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """TCP_CHECK: success is a completed connect within `timeout_ns`."""

    kind: Literal["TCP_CHECK"] = "TCP_CHECK"
    ip: str
    port: int
    bind_ip: str = ""
    bind_port: int = 0
    timeout_ns: int = 5 * NS_PER_S
    delay_ns: int = 60 * NS_PER_S  # delay_loop: start to start
    retry: int = 1  # further failures while up before it is marked down
    retry_delay_ns: int = 1 * NS_PER_S
    warmup_ns: int = 60 * NS_PER_S  # the first probe starts in [0, warmup)
    alpha: bool = False  # starts down until a probe has succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpUrl:
    """One `url` of HTTP_GET. `digest`: 32 lower-case hex digits or "". `status`: accepted closed ranges."""

    path: str = "/"
    status: tuple[tuple[int, int], ...] = ((200, 299),)
    digest: str = ""
    virtualhost: str = ""  # the Host header; already resolved through url, checker, RS, VS by config.build


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """HTTP_GET: each URL must answer with an accepted status (and digest) within `timeout_ns`."""

    kind: Literal["HTTP_GET"] = "HTTP_GET"
    ip: str
    port: int
    urls: tuple[HttpUrl, ...]
    http_protocol: str = "1.0"  # "1.0", "1.0C" (adds Connection: close) or "1.1"
    bind_ip: str = ""
    bind_port: int = 0
    timeout_ns: int = 5 * NS_PER_S
    delay_ns: int = 60 * NS_PER_S
    retry: int = 1
    retry_delay_ns: int = 3 * NS_PER_S
    warmup_ns: int = 60 * NS_PER_S
    alpha: bool = False
    fast_recovery: bool = False


Check = TcpCheck | HttpCheck
