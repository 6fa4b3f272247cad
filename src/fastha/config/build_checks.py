"""The checks of a real server, each kind built by its own file."""

from __future__ import annotations

from collections.abc import Callable

from fastha.config.build_bfd import build_bfd_check
from fastha.config.build_http import build_http
from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.shape import Item, items
from fastha.config.tree import Faults
from fastha.model import Check, TcpCheck
from fastha.model.units import NS_PER_S


def build_tcp(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = Connection(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        known = connection_word(inner, draft, faults)
        assert known, inner.name
    return TcpCheck(**draft.settled(item, above, 1 * NS_PER_S, faults))


# kind: (its block, the real server's address and port, what it inherits, faults) -> the check, None if it cannot be
BUILDERS: dict[str, Callable[[Item, str, int, Timing, Faults], Check | None]] = {
    "TCP_CHECK": build_tcp,
    "HTTP_GET": build_http,
    "BFD_CHECK": build_bfd_check,
}
