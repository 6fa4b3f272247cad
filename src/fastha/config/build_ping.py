"""PING_CHECK -> PingCheck."""

from __future__ import annotations

from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults
from fastha.model import Check, PingCheck
from fastha.model.units import NS_PER_S


def build_ping(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = Connection(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        if inner.name in ("connect_port", "bind_port"):
            faults.warning(inner.statement.place(), f"{inner.name} has no effect: a ping has no ports")
        known = connection_word(inner, draft, faults)
        assert known, inner.name
    draft.port = draft.bind_port = 0
    return PingCheck(**draft.settled(item, above, 1 * NS_PER_S, faults, port=False))
