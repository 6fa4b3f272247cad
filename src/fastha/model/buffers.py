"""How much may wait to be read from sockets."""

from __future__ import annotations

from fastha.lean import dataclass


@dataclass(frozen=True, slots=True)
class ReceiveBuffer:
    """`*_rcv_bufs` and `*_rcv_bufs_force`. `size` in bytes, 0: ours to choose; `force`: also beyond rmem_max."""

    size: int = 0
    force: bool = False


@dataclass(frozen=True, slots=True)
class AdvertBuffers:
    """`vrrp_rx_bufs_*`: `policy` "" (ours to choose), "mtu", "advert" or "size" (`size` bytes) for each instance that a
    socket hears; the first two `multiplier` times."""

    policy: str = ""
    size: int = 0
    multiplier: int = 3


@dataclass(frozen=True, slots=True)
class Buffers:
    """All words about receive buffers in global_defs. Of netlink sockets: those that ask (`cmd`), and those that are
    told (`monitor`)."""

    vrrp_netlink_cmd: ReceiveBuffer = ReceiveBuffer()
    vrrp_netlink_monitor: ReceiveBuffer = ReceiveBuffer()
    lvs_netlink_cmd: ReceiveBuffer = ReceiveBuffer()
    lvs_netlink_monitor: ReceiveBuffer = ReceiveBuffer()
    process_monitor: ReceiveBuffer = ReceiveBuffer()
    adverts: AdvertBuffers = AdvertBuffers()
