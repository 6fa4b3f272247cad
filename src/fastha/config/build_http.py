"""HTTP_GET -> HttpCheck."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from fastha.config import values
from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.shape import Item, items
from fastha.config.tree import Faults, Statement, shown
from fastha.model import Check, HttpCheck, HttpUrl
from fastha.model.lvs import host_port
from fastha.model.units import NS_PER_S

DIGEST = re.compile(r"[0-9a-fA-F]{32}", re.A)
STATUS = re.compile(r"(\d{3})(?:-(\d{3}))?", re.A)
HTTP_PROTOCOLS = ("1.0", "1.0C", "1.1")


@dataclass(slots=True)
class _Draft(Connection):
    http_protocol: str = "1.0"
    fast_recovery: bool = False
    close_reset: bool = True
    urls: list[HttpUrl] = field(default_factory=list)


def build_http(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = _Draft(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        _keyword(inner, draft, faults)
    settled = draft.settled(item, above, 3 * NS_PER_S, faults)
    if not draft.urls:
        faults.error(item.statement.place(), f"{item.name} without a url", "url { path / }")
        return None
    host = draft.timing.over(above).virtualhost or host_port(draft.ip, draft.port)
    return HttpCheck(
        **settled,
        http_protocol=draft.http_protocol, fast_recovery=draft.fast_recovery, close_reset=draft.close_reset,
        urls=tuple(replace(u, virtualhost=u.virtualhost or host) for u in draft.urls),
    )  # fmt: skip


def _keyword(item: Item, draft: _Draft, faults: Faults) -> None:
    statement = item.statement
    match item.name:
        case "http_protocol":
            if statement.words[1].upper() in HTTP_PROTOCOLS:
                draft.http_protocol = statement.words[1].upper()
            else:
                faults.error(
                    statement.place(1), f"'{shown(statement.words[1])}' is not an HTTP version", "1.0, 1.0C, 1.1"
                )
        case "fast_recovery":
            draft.fast_recovery = bool(values.boolean(item, faults))
        case "close_reset":
            draft.close_reset = values.boolean(item, faults) is not False
        case "url":
            if (url := _url(statement, faults)) is not None:
                draft.urls.append(url)
        case name:
            known = connection_word(item, draft, faults)
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
