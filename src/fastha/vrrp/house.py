"""What all routers of the process share: descriptors, the lane, the picture of the host."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastha.errors import SystemFault
from fastha.link.addresses import AddressQueue
from fastha.link.monitor import Changes, Monitor
from fastha.link.rtnl import Link
from fastha.vrrp import burst
from fastha.vrrp.garp import Announcer
from fastha.vrrp.lane import Lane
from fastha.vrrp.sockets import AH, VRRP, open_packet, open_receive, open_unicast

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastha.child import Child


@dataclass(slots=True)
class Receiver:
    """A receiving socket of one interface and its slot in the lane."""

    link: Link
    socket: socket.socket
    slot: int


class House:
    """Opened once, when the first configuration is proposed; SystemFault says what is missing."""

    def __init__(self, child: Child, host_changed: Callable[[Changes | None], object]) -> None:
        self.child = child
        self.reactor = child.reactor
        self.packet = open_packet()
        self.unicast = open_unicast()
        self.lane = Lane(child.reactor)
        self.monitor = Monitor(child.reactor, host_changed)
        self.addresses = AddressQueue(child.reactor)
        self.announcer = Announcer(
            child.reactor, lambda frames, size, to: burst.send(self.packet.fileno(), frames, size, to)
        )
        self.receivers: dict[tuple[int, int], Receiver] = {}  # by index and protocol
        self.states: dict[tuple[str, str], int] = {}  # of what instances track: trackers.States
        self.service_ips: set[str] = set()  # of all instances: none of them is an interface's own address
        self.refused: dict[str, str] = {}  # interface -> why it cannot be heard

    def link(self, name: str) -> Link | None:
        return self.monitor.table.link(name)

    def slot(self, link: Link, ah: bool = False) -> int:
        """The slot that hears `link`, opened if need be; -1 if the kernel refuses (see `refused`).

        `ah`: what has an authentication header. Who comes without is heard besides, as a stranger.
        """
        slot = self._slot(link, VRRP)
        return self._slot(link, AH) if ah and slot >= 0 else slot

    def _slot(self, link: Link, protocol: int) -> int:
        receiver = self.receivers.get((link.index, protocol))
        if receiver is None:
            try:
                sock = open_receive(link.name, link.index, protocol)
            except SystemFault as error:
                self.refused[link.name] = str(error)
                return -1
            self.refused.pop(link.name, None)
            receiver = Receiver(link, sock, self.lane.add_socket(sock.fileno()))
            self.receivers[link.index, protocol] = receiver
        return receiver.slot

    def close_stale_receivers(self, wanted: set[str]) -> None:
        """Those whose interface has gone, was renamed, or has no router any more."""
        for key, receiver in list(self.receivers.items()):
            link = self.monitor.table.links.get(key[0])
            if link is None or link.name != receiver.link.name or link.name not in wanted:
                self.lane.remove_socket(receiver.slot)
                receiver.socket.close()
                del self.receivers[key]

    def close(self) -> None:
        """Release everything. Kernel state stays as it is."""
        self.lane.close()
        for receiver in self.receivers.values():
            receiver.socket.close()
        self.receivers.clear()
        self.monitor.close()
        self.addresses.close()
        self.packet.close()
        self.unicast.close()
