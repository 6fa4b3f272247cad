"""What all routers of the process share: descriptors, the lane, the picture of the host."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastha.child.nft_tables import NftTables
from fastha.errors import SystemFault
from fastha.link.addresses import AddressQueue
from fastha.link.monitor import Changes, Monitor
from fastha.link.rtnl import Link
from fastha.link.upkeep import Upkeep
from fastha.model import Buffers, Device, VrrpInstance
from fastha.room import make_room
from fastha.vrrp import burst
from fastha.vrrp.advert_room import AdvertRoom
from fastha.vrrp.garp import Announcer
from fastha.vrrp.igmp import LocalIgmp
from fastha.vrrp.interfaces import Interfaces, mac_bytes
from fastha.vrrp.lane import Lane
from fastha.vrrp.lease import Lease
from fastha.vrrp.promotion import Promotion
from fastha.vrrp.settling import Settling
from fastha.vrrp.sockets import AH, BUFFER, FAMILIES, VRRP, hear_only, join, open_packet, open_receive, open_unicast
from fastha.vrrp.statics import StaticThings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastha.child import Child


VRF = "vrf"  # the kernel's word for that kind of interface


@dataclass(slots=True)
class Receiver:
    """The receiving socket of one interface and kind, its slot in the lane, and the groups it is a member of."""

    link: Link
    socket: socket.socket
    slot: int
    groups: set[str] = field(default_factory=set)
    hears_for: int = -1  # slot of the base of a VMAC


class House:
    """Opened once, when the first configuration is proposed; SystemFault says what is missing."""

    def __init__(
        self,
        child: Child,
        host_changed: Callable[[Changes | None], object],
        disturbed: Callable[[], object],
        resurvey: Callable[[set[str]], object],
        longest_down_ns: Callable[[str], int],
        buffers: Buffers,
    ) -> None:
        """`resurvey(names)`: these instances have to look again; `longest_down_ns(name)`: how long an interface that is
        down may count as up."""
        self.resurvey, self.disturbed = resurvey, disturbed
        self.child = child
        self.reactor = child.reactor
        self.packet = open_packet()
        # (family, index of the interface it must leave by, 0: where the routes of the host lead)
        self._unicast = {(family, 0): open_unicast(family) for family in FAMILIES}
        self.lane = Lane(child.reactor)
        netlink = buffers.vrrp_netlink_cmd, buffers.vrrp_netlink_monitor
        self.monitor = Monitor(child.reactor, host_changed, inet6=True, buffers=netlink)
        self.settling = Settling(child.reactor, self.monitor, longest_down_ns, host_changed)
        self.addresses = AddressQueue(child.reactor, buffers.vrrp_netlink_cmd, self.lane.breathe)
        self.monitor.ignore_added(self.addresses.port)
        self.upkeep = Upkeep(child.reactor, disturbed, netlink)
        self.promotion = Promotion()
        self.lease = Lease(child.reactor, self.lane.breathe)
        self.statics = StaticThings(self)
        self.interfaces = Interfaces(child, self.monitor, buffers.vrrp_netlink_cmd)
        self.firewall = NftTables(
            "firewall", child.reactor, child.limited, lambda what, text: child.event(what, "nftables", text), terse=True
        )
        self.igmp = LocalIgmp(child)
        self.announcer = Announcer(
            child.reactor,
            lambda frames, size, to: burst.send(self.packet.fileno(), frames, size, to),
            lambda: self.addresses.restless,
        )
        self.receivers: dict[tuple[int, int], Receiver] = {}  # (interface index, kind: 4, 6 or AH)
        self._room = AdvertRoom(buffers.adverts)
        self.states: dict[tuple[str, str], int] = {}  # of what instances track: trackers.States
        self.service_ips: set[str] = set()  # of all instances: none of them is an interface's own address
        self.refused: dict[str, str] = {}  # interface -> why it cannot be heard
        self.begins_ns = 0  # no instance takes part before: vrrp_startup_delay, vrrp_delay_after_boot

    def resize(self, buffers: Buffers, instances: Iterable[VrrpInstance]) -> None:
        """These receive buffers, for these instances, from now on."""
        netlink = buffers.vrrp_netlink_cmd, buffers.vrrp_netlink_monitor
        self.monitor.resize(netlink)
        self.upkeep.resize(netlink)
        self.addresses.resize(netlink[0])
        self.interfaces.resize(netlink[0])
        self._room = AdvertRoom(buffers.adverts, instances)
        for (_, kind), receiver in self.receivers.items():
            make_room(receiver.socket, BUFFER, self._room.of(receiver.link, _family(kind)))

    def link(self, name: str) -> Link | None:
        return self.monitor.table.link(name)

    def slot(self, link: Link, group: str, ah: bool = False) -> int:
        """The slot that hears this group (and unicast of its family) on `link`, opened if need be; -1 if the kernel
        refuses (see `refused`). `ah`: what has an authentication header; who comes without is heard besides, as a
        stranger."""
        if ah and self.slot(link, group) < 0:
            return -1
        kind = _kind(group, ah)
        try:
            receiver = self.receivers.get((link.index, kind)) or self._open(link, kind)
            self._join(receiver, group)
        except SystemFault as error:
            self.refused[link.name] = str(error)
            return -1
        self.refused.pop(link.name, None)
        return receiver.slot

    def way_of(self, instance: VrrpInstance, link: Link) -> Link | None:
        """The interface that its unicast adverts have to leave by: its ipvlan, where answers to its address come in, or
        the VRF whose routes lead to its peers. None: the routes of the host do."""
        if instance.vmac is not None and instance.vmac.ipvlan:
            return self.link(instance.vmac.name)
        master = self.monitor.table.links.get(link.master)
        return next((one for one in (link, master) if one is not None and one.kind == VRF), None)

    def unicast(self, family: int, way: Link | None) -> socket.socket | None:
        """The socket for that; None if the kernel refuses (see `refused`)."""
        key = family, 0 if way is None else way.index
        if way is not None and key not in self._unicast:
            try:
                self._unicast[key] = open_unicast(family, way.name)
            except SystemFault as error:
                self.refused[way.name] = str(error)
                return None
        return self._unicast[key]

    def _open(self, link: Link, kind: int, hears_for: int = -1) -> Receiver:
        family = _family(kind)
        room = self._room.of(link, family)
        sock = open_receive(link.name, link.index, family, AH if kind == AH else VRRP, room)
        if hears_for >= 0:
            hear_only(sock, link.mac)
        slot = self.lane.add_socket(sock.fileno(), kind == 6, hears_for)
        receiver = self.receivers[link.index, kind] = Receiver(link, sock, slot, hears_for=hears_for)
        return receiver

    def _join(self, receiver: Receiver, group: str) -> None:
        if group not in receiver.groups:
            join(receiver.socket, receiver.link.name, receiver.link.index, group)
            receiver.groups.add(group)

    def let_go(self, vmac: Device) -> None:
        """Nobody has it any more: addresses are taken off first, for it may have been there before us."""
        while not self.addresses.idle:
            self.addresses.pump()
        if (link := self.link(vmac.name)) is not None:
            for key in [key for key in self.receivers if key[0] == link.index]:
                self._close(key)
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
        return base.mac if vmac is None or vmac.xmit_base or vmac.ipvlan else mac_bytes(vmac.mac)

    def second_slot(self, vmac: Link, slot: int, group: str, ah: bool = False) -> int:
        """The slot of a VMAC: adverts that come from its own address (a peer's VMAC has the same) are given to it and
        not to its base, whose `slot` they are for (the kernel's macvlan_handle_frame). All others come to the base."""
        key = vmac.index, _kind(group, ah)
        receiver = self.receivers.get(key)
        if receiver is not None and (receiver.hears_for != slot or receiver.link.mac != vmac.mac):
            self._close(key)
            receiver = None
        try:
            if receiver is None:
                receiver = self._open(vmac, key[1], slot)
            self._join(receiver, group)
        except SystemFault as error:
            self.refused[vmac.name] = str(error)
            return -1
        self.refused.pop(vmac.name, None)
        return receiver.slot

    def close_stale_receivers(self, wanted: set[str]) -> None:
        """Those whose interface has gone, was renamed, or has no router any more."""
        for key, receiver in list(self.receivers.items()):
            link = self.monitor.table.links.get(key[0])
            if link is None or link.name != receiver.link.name or link.name not in wanted:
                self._close(key)

    def _close(self, key: tuple[int, int]) -> None:
        receiver = self.receivers.pop(key)
        self.lane.remove_socket(receiver.slot)
        receiver.socket.close()

    def close(self) -> None:
        """Release everything. Kernel state stays as it is."""
        self.lane.close()
        for receiver in self.receivers.values():
            receiver.socket.close()
        self.receivers.clear()
        self.monitor.close()
        self.addresses.close()
        self.upkeep.close()
        self.interfaces.close()
        self.firewall.close()
        self.packet.close()
        for sock in self._unicast.values():
            sock.close()


def _kind(group: str, ah: bool) -> int:
    """Of a receiver."""
    return AH if ah else 6 if ":" in group else 4


def _family(kind: int) -> int:
    return 6 if kind == 6 else 4
