"""Words of global_defs about receive buffers -> Buffers."""

from __future__ import annotations

from typing import Any

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults
from fastha.config.words import check_words
from fastha.lean import replace
from fastha.model import AdvertBuffers, Buffers, ReceiveBuffer

# Each with _rcv_bufs and _rcv_bufs_force: fields of Buffers
SIZED = ("vrrp_netlink_cmd", "vrrp_netlink_monitor", "lvs_netlink_cmd", "lvs_netlink_monitor", "process_monitor")
BUFFER_WORDS = frozenset(
    [f"{name}_rcv_bufs{force}" for name in SIZED for force in ("", "_force")]
    + ["vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier"]
)


def read_buffers(item: Item, before: Buffers, faults: Faults) -> Buffers:
    """One of BUFFER_WORDS; several add up."""
    name, _, force = item.name.partition("_rcv_bufs")
    if name in SIZED:
        buffer: ReceiveBuffer = getattr(before, name)
        if force:
            buffer = replace(buffer, force=values.boolean(item, faults) is not False)
        else:
            buffer = replace(buffer, size=values.number(item, faults) or 0)
        change: dict[str, Any] = {name: buffer}
        return replace(before, **change)
    return replace(before, adverts=_adverts(item, before.adverts, faults))


def _adverts(item: Item, before: AdvertBuffers, faults: Faults) -> AdvertBuffers:
    if item.name == "vrrp_rx_bufs_multiplier":
        return replace(before, multiplier=values.number(item, faults) or before.multiplier)
    known = len(faults)
    check_words(item, faults)
    if len(faults) > known:
        return before
    word = item.statement.words[1].lower()
    if word in ("mtu", "advert"):
        return replace(before, policy=word, size=0)
    return replace(before, policy="size" if int(word) else "", size=int(word))
