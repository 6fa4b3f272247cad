"""TCP_CHECK and HTTP_GET -> Check."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from fastha.config import values
from fastha.config.inherit import Timing, read_timing
from fastha.config.shape import Item, items
from fastha.config.tree import Faults, Statement, shown
from fastha.model import Check, HttpCheck, HttpUrl, TcpCheck
from fastha.model.lvs import host_port
from fastha.model.units import NS_PER_S

RETRY_DELAY_NS = {"TCP_CHECK": 1 * NS_PER_S, "HTTP_GET": 3 * NS_PER_S}
DIGEST = re.compile(r"[0-9a-fA-F]{32}", re.A)
STATUS = re.compile(r"(\d{3})(?:-(\d{3}))?", re.A)
HTTP_PROTOCOLS = ("1.0", "1.0C", "1.1")


@dataclass(slots=True)
class _Draft:
    ip: str
    port: int
    bind_ip: str = ""
    bind_port: int = 0
    http_protocol: str = "1.0"
    fast_recovery: bool = False
    timing: Timing = field(default_factory=Timing)
    urls: list[HttpUrl] = field(default_factory=list)


def build_check(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    """The check of one block. `ip`, `port`: the real server's; `above`: what it inherits."""
    draft = _Draft(ip, port)
    kind, statement = item.name, item.statement
    bind_at: tuple[Statement, int] | None = None
    for inner in items(statement.block or [], kind, faults):
        _keyword(inner, draft, faults)
        if inner.name == "bindto":
            bind_at = inner.statement, 1
    if bind_at and draft.bind_ip and (":" in draft.bind_ip) != (":" in draft.ip):
        faults.error(bind_at[0].place(1), f"bindto {draft.bind_ip} and the address checked differ in family")
    if not draft.port:
        faults.error(statement.place(), f"{kind}: the server has no port", "connect_port N")
    timing = draft.timing.over(above)
    settled = timing.settled(RETRY_DELAY_NS[kind])
    if kind == "TCP_CHECK":
        return TcpCheck(
            ip=draft.ip, port=draft.port, bind_ip=draft.bind_ip, bind_port=draft.bind_port,
            **settled,
        )  # fmt: skip
    if not draft.urls:
        faults.error(statement.place(), "HTTP_GET without a url", "url { path / }")
        return None
    host = timing.virtualhost or host_port(draft.ip, draft.port)
    return HttpCheck(
        ip=draft.ip, port=draft.port, bind_ip=draft.bind_ip, bind_port=draft.bind_port,
        **settled,
        http_protocol=draft.http_protocol, fast_recovery=draft.fast_recovery,
        urls=tuple(replace(u, virtualhost=u.virtualhost or host) for u in draft.urls),
    )  # fmt: skip


def _keyword(item: Item, draft: _Draft, faults: Faults) -> None:
    statement = item.statement
    match item.name:
        case "connect_ip":
            if (ip := values.address(statement, 1, faults)) is not None:
                draft.ip = str(ip)
        case "connect_port":
            draft.port = values.port(statement, 1, faults) or draft.port
        case "bindto":
            if (ip := values.address(statement, 1, faults)) is not None:
                draft.bind_ip = str(ip)
        case "bind_port":
            draft.bind_port = values.port(statement, 1, faults) or 0
        case "http_protocol":
            if statement.words[1].upper() in HTTP_PROTOCOLS:
                draft.http_protocol = statement.words[1].upper()
            else:
                faults.error(
                    statement.place(1), f"'{shown(statement.words[1])}' is not an HTTP version", "1.0, 1.0C, 1.1"
                )
        case "fast_recovery":
            draft.fast_recovery = bool(values.boolean(item, faults))
        case "url":
            if (url := _url(statement, faults)) is not None:
                draft.urls.append(url)
        case name:
            known = read_timing(item, draft.timing, faults)
            assert known, name


def _url(statement: Statement, faults: Faults) -> HttpUrl | None:
    path = digest = virtualhost = ""
    status: list[tuple[int, int]] = []
    for item in items(statement.block or [], "url", faults):
        word, place = item.statement.words[1], item.statement.place(1)
        match item.name:
            case "path":
                path = word
                if any(c <= " " or c == "\x7f" for c in word):
                    faults.error(place, "a path cannot hold blanks or control characters", "write them as %20")
            case "digest":
                digest = word.lower()
                if not DIGEST.fullmatch(word):
                    faults.error(place, f"digest '{shown(word)}' is not 32 hexadecimal digits")
            case "status_code":
                status += _status(item.statement, faults)
            case "virtualhost":
                virtualhost = word
    if not path:
        faults.error(statement.place(), "url without a path", "path /")
        return None
    ranges = tuple(sorted(set(status))) or ((200, 299),)
    return HttpUrl(path=path, status=ranges, digest=digest, virtualhost=virtualhost)


def _status(statement: Statement, faults: Faults) -> list[tuple[int, int]]:
    out = []
    for i, word in enumerate(statement.words[1:], 1):
        match = STATUS.fullmatch(word)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 100 <= low <= high <= 599:
            faults.error(
                statement.place(i), f"'{shown(word)}' is not a status code or range", "100 to 599: 200 301-303"
            )
            continue
        out.append((low, high))
    return out
