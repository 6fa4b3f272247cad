"""HTTP_GET -> HttpCheck."""

from __future__ import annotations

from collections import deque

from fastha.config import values
from fastha.config.build_url import build_url
from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, shown
from fastha.lean import dataclass, field, replace
from fastha.model import Check, HttpCheck, HttpUrl
from fastha.model.lvs import host_port
from fastha.model.units import NS_PER_S

HTTP_PROTOCOLS = ("1.0", "1.0C", "1.1")


@dataclass(slots=True)
class HttpDraft(Connection):
    """What HTTP_GET and SSL_GET have in common."""

    http_protocol: str = "1.0"
    fast_recovery: bool = False
    close_reset: bool = True
    urls: deque[HttpUrl] = field(default_factory=deque)

    def hosted(self, above: Timing) -> tuple[HttpUrl, ...]:
        """The URLs, each with its Host header; they are taken out of the draft."""
        host = self.timing.over(above).virtualhost or host_port(self.ip, self.port)
        urls = (self.urls.popleft() for _ in range(len(self.urls)))
        return tuple(u if u.virtualhost else replace(u, virtualhost=host) for u in urls)


def build_http(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = HttpDraft(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        _keyword(inner, draft, faults)
    settled = draft.settled(item, above, 3 * NS_PER_S, faults)
    if no_url(item, draft, faults):
        return None
    return HttpCheck(
        **settled,
        http_protocol=draft.http_protocol, fast_recovery=draft.fast_recovery, close_reset=draft.close_reset,
        urls=draft.hosted(above),
    )  # fmt: skip


def no_url(item: Item, draft: HttpDraft, faults: Faults) -> bool:
    if not draft.urls:
        faults.error(item.statement.place(), f"{item.name} without a url", "url { path / }")
    return not draft.urls


def http_word(item: Item, draft: HttpDraft, faults: Faults) -> bool:
    """Put this keyword's value into `draft`; False if HTTP_GET and SSL_GET do not share it."""
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
        case _:
            return connection_word(item, draft, faults)
    return True


def _keyword(item: Item, draft: HttpDraft, faults: Faults) -> None:
    match item.name:
        case "close_reset":
            draft.close_reset = values.boolean(item, faults) is not False
        case "url":
            if (url := build_url(item.statement, "url", faults)) is not None:
                draft.urls.append(url)
        case "enable_sni" | "sni_name":
            faults.warning(item.statement.place(), f"{item.name} has no effect without TLS", "SSL_GET")
        case name:
            known = http_word(item, draft, faults)
            assert known, name
