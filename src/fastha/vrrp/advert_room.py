"""How large the receive buffers of adverts are: `vrrp_rx_bufs_policy`, `kernel_rx_buf_size`. Pure.

One socket hears all instances of an interface, so what they ask for adds up, as in keepalived. An instance that says
nothing needs ours, and then the socket has at least that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastha.link.rtnl import Link
from fastha.model import AdvertBuffers, ReceiveBuffer, VrrpInstance
from fastha.vrrp.frames import advert_size
from fastha.vrrp.sockets import BUFFER

# An advert in a queue costs the kernel at least this, and it reserves twice what it is told. Less would be a queue
# that holds fewer adverts than were asked for, and a lost advert is a step towards two masters.
LEAST = 1280


@dataclass(slots=True)
class Need:
    """Of the instances that one socket hears: bytes, and how many MTUs."""

    size: int = 0
    mtus: int = 0
    unsaid: bool = False


class AdvertRoom:
    """Added up once for each configuration, looked at for each socket."""

    def __init__(self, policy: AdvertBuffers, instances: Iterable[VrrpInstance] = ()) -> None:
        self._needs: dict[tuple[str, int], Need] = {}
        for instance in instances:
            if not (policy.policy or instance.kernel_rx_buf_size):
                size, mtus = 0, 0
            elif instance.kernel_rx_buf_size:
                size, mtus = instance.kernel_rx_buf_size, 0
            elif policy.policy == "mtu":
                size, mtus = 0, policy.multiplier
            elif policy.policy == "advert":
                size, mtus = policy.multiplier * max(advert_size(instance), LEAST), 0
            else:
                size, mtus = policy.size, 0
            for name in instance.heard_on:
                need = self._needs.setdefault((name, instance.family), Need())
                need.size += size
                need.mtus += mtus
                need.unsaid |= not (size or mtus)

    def of(self, link: Link, family: int) -> ReceiveBuffer | None:
        """For the socket of this interface and family; None: ours."""
        need = self._needs.get((link.name, family))
        if need is None or not (need.size or need.mtus):
            return None
        size = need.size + need.mtus * link.mtu
        return None if need.unsaid and size <= BUFFER else ReceiveBuffer(size)
