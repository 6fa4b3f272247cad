"""What the kernel is told about a configured address. Pure."""

from __future__ import annotations

from fastha.link import rtnl
from fastha.model import VirtualAddress
from fastha.model.vrrp import NOT_SAID

HOST6 = 128


def add(
    index: int, a: VirtualAddress, valid_s: int = rtnl.FOREVER_S, renew: bool = False, static: bool = False
) -> bytes:
    """`valid_s`: it vanishes by itself after that, unless renewed. One that is not `static` has no duplicate address
    detection: its last holder may still answer, and a second of waiting would be one of outage."""
    preferred_s: int | None = None if a.preferred_s == NOT_SAID else a.preferred_s
    if preferred_s is None and ":" in a.ip and a.prefixlen == HOST6:
        preferred_s = 0  # never a source for what this host sends by itself (keepalived.md 1.8)
    flags = a.flags if static or ":" not in a.ip else tuple(dict.fromkeys((*a.flags, "nodad")))
    return rtnl.add_address(
        index, a.ip, a.prefixlen, a.scope, a.label,
        broadcast=a.broadcast, peer=a.peer, flags=flags, preferred_s=preferred_s, valid_s=valid_s, renew=renew,
    )  # fmt: skip


def delete(index: int, a: VirtualAddress) -> bytes:
    return rtnl.delete_address(index, a.ip, a.prefixlen, a.peer)
