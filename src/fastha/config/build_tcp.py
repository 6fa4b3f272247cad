"""TCP_CHECK -> TcpCheck."""

from __future__ import annotations

from fastha.config import values
from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults
from fastha.lean import dataclass
from fastha.model import Check, TcpCheck
from fastha.model.units import NS_PER_S


@dataclass(slots=True)
class _Draft(Connection):
    close_reset: bool = True


def build_tcp(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = _Draft(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        if inner.name == "close_reset":
            draft.close_reset = values.boolean(inner, faults) is not False
        else:
            known = connection_word(inner, draft, faults)
            assert known, inner.name
    return TcpCheck(**draft.settled(item, above, 1 * NS_PER_S, faults), close_reset=draft.close_reset)
