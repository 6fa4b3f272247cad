"""GRPC_CHECK (fastha's own) -> GrpcCheck."""

from __future__ import annotations

from fastha.config import values
from fastha.config.build_tls import TlsDraft, settled_tls, tls_word
from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, shown
from fastha.model import Check, GrpcCheck
from fastha.model.units import NS_PER_S


def build_grpc(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft, tls = Connection(ip, port), TlsDraft()
    service = authority = ""
    encrypted = False
    for inner in items(item.statement.block or [], item.name, faults):
        match inner.name:
            case "service":
                service = inner.statement.words[1]
            case "authority":
                authority = inner.statement.words[1]
                if not authority or any(c <= " " or c == "\x7f" for c in authority):
                    faults.error(inner.statement.place(1), f"'{shown(authority)}' cannot be an authority")
            case "tls":
                encrypted = bool(values.boolean(inner, faults))
            case name:
                known = tls_word(inner, tls, faults) or connection_word(inner, draft, faults)
                assert known, name
    settled = draft.settled(item, above, 1 * NS_PER_S, faults)
    if tls.said is not None and not encrypted:
        faults.error(tls.said.statement.place(), f"{tls.said.name} without tls", "tls")
    return GrpcCheck(
        **settled, service=service, authority=authority, tls=settled_tls(tls, faults) if encrypted else None
    )
