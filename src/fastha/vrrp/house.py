"""What all routers of the process share: descriptors, the lane, the picture of the host."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastha.errors import SystemFault
from fastha.link.addresses import AddressQueue
from fastha.link.monitor import Changes, Monitor
from fastha.link.rtnl import Link
from fastha.model import Device, VrrpInstance
from fastha.vrrp import burst
from fastha.vrrp.firewall import Firewall
from fastha.vrrp.garp import Announcer
from fastha.vrrp.interfaces import Interfaces, mac_bytes
from fastha.vrrp.lane import Lane
from fastha.vrrp.sockets import hear_only, open_packet, open_receive, open_unicast

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastha.child import Child


@dataclass(slots=True)
class Receiver:
    """The receiving socket of one interface and its slot in the lane."""

    link: Link
    socket: socket.socket
    slot: int
    hears_for: int = -1  # slot of the base of a VMAC


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
        self.interfaces = Interfaces(child, self.monitor)
        self.firewall = Firewall(child)
        self.announcer = Announcer(
            child.reactor, lambda frames, size, to: burst.send(self.packet.fileno(), frames, size, to)
        )
        self.receivers: dict[int, Receiver] = {}
        self.states: dict[tuple[str, str], int] = {}  # of what instances track: trackers.States
        self.service_ips: set[str] = set()  # of all instances: none of them is an interface's own address
        self.refused: dict[str, str] = {}  # interface -> why it cannot be heard

    def link(self, name: str) -> Link | None:
        return self.monitor.table.link(name)

    def slot(self, link: Link) -> int:
        """The slot that hears `link`, opened if need be; -1 if the kernel refuses (see `refused`)."""
        receiver = self.receivers.get(link.index)
        if receiver is None:
            try:
                sock = open_receive(link.name, link.index)
            except SystemFault as error:
                self.refused[link.name] = str(error)
                return -1
            self.refused.pop(link.name, None)
            receiver = self.receivers[link.index] = Receiver(link, sock, self.lane.add_socket(sock.fileno()))
        return receiver.slot

    def let_go(self, vmac: Device) -> None:
        """An instance that had it is gone: its addresses are taken off first, for it may have been there before us."""
        while not self.addresses.idle:
            self.addresses.pump()
        if (link := self.link(vmac.name)) is not None and (receiver := self.receivers.get(link.index)) is not None:
            self._close(receiver)
        self.interfaces.forget(vmac)

    def why_not(self, vmac: Device) -> list[str]:
        """Why an instance cannot use its own interface."""
        refused = [self.interfaces.refused.get(vmac.name), self.refused.get(vmac.name)]
        reasons = [reason for reason in refused if reason]
        if not reasons and self.link(vmac.name) is None:
            return [f"interface {vmac.name} does not exist"]
        return reasons

    def source_mac(self, instance: VrrpInstance, base: Link) -> bytes:
        """Where its adverts come from."""
        vmac = instance.vmac
        return base.mac if vmac is None or vmac.xmit_base else mac_bytes(vmac.mac)

    def second_slot(self, vmac: Link, slot: int) -> int:
        """The slot of a VMAC: adverts that come from its own address (a peer's VMAC has the same) are given to it and
        not to its base, whose `slot` they are for (the kernel's macvlan_handle_frame). All others come to the base."""
        receiver = self.receivers.get(vmac.index)
        if receiver is not None and (receiver.hears_for != slot or receiver.link.mac != vmac.mac):
            self._close(receiver)
            receiver = None
        if receiver is None:
            try:
                sock = open_receive(vmac.name, vmac.index)
                hear_only(sock, vmac.mac)
            except SystemFault as error:
                self.refused[vmac.name] = str(error)
                return -1
            self.refused.pop(vmac.name, None)
            slot_of_its_own = self.lane.add_socket(sock.fileno(), hears_for=slot)
            receiver = self.receivers[vmac.index] = Receiver(vmac, sock, slot_of_its_own, slot)
        return receiver.slot

    def close_stale_receivers(self, wanted: set[str]) -> None:
        """Those whose interface has gone, was renamed, or has no router any more."""
        for index, receiver in list(self.receivers.items()):
            link = self.monitor.table.links.get(index)
            if link is None or link.name != receiver.link.name or link.name not in wanted:
                self._close(receiver)

    def _close(self, receiver: Receiver) -> None:
        self.lane.remove_socket(receiver.slot)
        receiver.socket.close()
        del self.receivers[receiver.link.index]

    def close(self) -> None:
        """Release everything. Kernel state stays as it is."""
        self.lane.close()
        for receiver in self.receivers.values():
            receiver.socket.close()
        self.receivers.clear()
        self.monitor.close()
        self.addresses.close()
        self.interfaces.close()
        self.firewall.close()
        self.packet.close()
        self.unicast.close()
