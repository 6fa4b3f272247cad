"""SSL_GET -> SslCheck."""

from __future__ import annotations

from fastha.config import values
from fastha.config.build_http import HttpDraft, http_word, no_url
from fastha.config.build_tls import TlsDraft, settled_tls, tls_word
from fastha.config.build_url import build_url
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, Marks
from fastha.lean import dataclass, field
from fastha.model import Check, SslCheck
from fastha.model.units import NS_PER_S


@dataclass(slots=True)
class _Draft(HttpDraft):
    tls: TlsDraft = field(default_factory=TlsDraft)
    http2: bool = False
    compliant: bool = False


def build_ssl(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = _Draft(ip, port)
    urls = Marks()
    for inner in items(item.statement.block or [], item.name, faults):
        if inner.name == "url":
            urls.add(inner.statement)
        else:
            _keyword(inner, draft, faults)
    for statement in urls:  # tls_compliant of the check counts for them wherever it stands
        if (url := build_url(statement, "ssl_url", faults, draft.compliant)) is not None:
            draft.urls.append(url)
    if draft.http2 and any(url.tls_compliant for url in draft.urls):
        faults.warning(
            item.statement.place(), "tls_compliant has no effect with http2: its connections go on after a reply"
        )
    settled = draft.settled(item, above, 3 * NS_PER_S, faults)
    if no_url(item, draft, faults):
        return None
    return SslCheck(
        **settled,
        http_protocol=draft.http_protocol, fast_recovery=draft.fast_recovery, urls=draft.hosted(above),
        tls=settled_tls(draft.tls, faults), http2=draft.http2,
    )  # fmt: skip


def _keyword(item: Item, draft: _Draft, faults: Faults) -> None:
    match item.name:
        case "tls_compliant":
            draft.compliant = bool(values.boolean(item, faults))
        case "http2":
            draft.http2 = bool(values.boolean(item, faults))
        case name:
            known = tls_word(item, draft.tls, faults) or http_word(item, draft, faults)
            assert known, name
