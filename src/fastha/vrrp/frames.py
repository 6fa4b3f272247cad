"""Everything an instance will ever send, built beforehand: advert frames, ARP and neighbour advertisements. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fastha.link.rtnl import Link
from fastha.link.table import link_local
from fastha.model import VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_CS
from fastha.model.vrrp import GROUPS
from fastha.vrrp.rules import on_the_wire_ns
from fastha.vrrp.sealed import ah_of, hmac_of
from fastha.vrrp.sockets import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, frame_address, packet_address
from fastha.wire import address, advert, ah, arp, ether, na, trailer

BROADCAST = b"\xff" * 6
PASSWORD_BYTES = 8
AH_BYTES, TRAILER_BYTES = 24, 28  # RFC 2402 section 2 with 96 bits of digest; keepalived.md 2.5


ALL_NODES = ether.multicast_mac("ff02::1")


@dataclass(frozen=True, slots=True)
class ArpBlock:
    """One gratuitous ARP request (or unsolicited neighbour advertisement) for each address of an instance and a family
    on one interface, one after another."""

    index: int
    frames: bytes
    to: bytes  # sockaddr_ll
    size: int = arp.FRAME_SIZE  # of one of them
    base: str = ""  # the interface that carries it: that of a VMAC is its base


def advert_frames(instance: VrrpInstance, src: str, link: Link, mac: bytes = b"") -> list[tuple[bytes, int, bytes]]:
    """(bytes, offset of the IP packet, socket address) for the lane; the priority is stamped in when sent.

    Multicast: one Ethernet frame for the packet socket, from `mac` (a VMAC's; empty: that of `link`). It leaves by
    `link` also with a VMAC: on the wire that is the same, and a VMAC that is still down need not be waited for.
    Unicast: one IP packet per peer for the raw socket.
    """
    version, wire = instance.version, instance.wire
    adver_cs = on_the_wire_ns(version, instance.advert_int_ns) // NS_PER_CS
    addresses = [a.ip for a in instance.addresses]
    auth = password(instance)
    kind = 1 if auth else 2 if ah_of(instance) else 0  # RFC 2338 section 5.3.6
    others = wire.ttl, wire.plain_sum, GROUPS[instance.family] if wire.old_sum else ""
    packets = [
        advert.encode(src, dst, version, instance.vrid, instance.priority, adver_cs, addresses, kind, auth, *others)
        for dst in instance.unicast_peers or (instance.group,)
    ]
    if ah_of(instance):
        packets = [ah.wrap(packet) for packet in packets]
    elif (seal := hmac_of(instance)) is not None and seal.active:
        packets = [trailer.wrap(packet) for packet in packets]
    if instance.unicast:
        return [
            (packet, 0, packet_address(peer, link.index if link_local(peer) else 0))
            for packet, peer in zip(packets, instance.unicast_peers, strict=True)
        ]
    group = ether.multicast_mac(instance.group)
    protocol = ETH_P_IPV6 if instance.family == 6 else ETH_P_IP
    to = frame_address(link.index, protocol, group)
    return [(ether.frame(group, mac or link.mac or bytes(6), packet, protocol), 14, to) for packet in packets]


def advert_size(instance: VrrpInstance) -> int:
    """Bytes of one of its IP packets, RFC 9568 section 5.2, RFC 3768 section 5.3."""
    ip, width = (40, 16) if instance.family == 6 else (20, 4)
    more = 8 if instance.version == 2 else 0
    if ah_of(instance):
        more += AH_BYTES
    elif (seal := hmac_of(instance)) is not None and seal.active:
        more += TRAILER_BYTES
    return ip + 8 + width * len(instance.addresses) + more


def password(instance: VrrpInstance) -> bytes:
    """The 8 bytes of a type 1 authentication, RFC 2338 section 5.3.6.2; empty without. Version 3 has none."""
    if instance.version != 2 or instance.auth.kind != "pass":
        return b""
    return instance.auth.password.encode()[:PASSWORD_BYTES].ljust(PASSWORD_BYTES, b"\0")


def arp_blocks(instance: VrrpInstance, links: Mapping[str, Link], routers: Iterable[str] = ()) -> list[ArpBlock]:
    """Blocks for the interfaces (by name) that know ARP. `routers`: those where this host forwards IPv6, which it says
    in neighbour advertisements (RFC 4861 section 4.4)."""
    by_dev: dict[tuple[str, bool], list[str]] = {}
    for one in instance.carried:
        by_dev.setdefault((instance.dev_of(one), ":" in one.ip), []).append(one.ip)
    blocks = []
    bases = {device.name: device.base for device in instance.devices}
    for (dev, six), addresses in by_dev.items():
        link = links.get(dev)
        if link is None or not link.arp or len(link.mac) != 6:
            continue
        if six:
            to = frame_address(link.index, ETH_P_IPV6, ALL_NODES)
            frames = na.encode(link.mac, addresses, dev in routers)
            blocks.append(ArpBlock(link.index, frames, to, na.FRAME_SIZE, bases.get(dev, dev)))
        else:
            to = frame_address(link.index, ETH_P_ARP, BROADCAST)
            blocks.append(ArpBlock(link.index, arp.encode(link.mac, addresses), to, base=bases.get(dev, dev)))
    return blocks


def extra_blocks(instance: VrrpInstance, links: Mapping[str, Link], routers: Iterable[str] = ()) -> list[ArpBlock]:
    """`garp_extra_if`: one frame on each interface from which no advert comes, so that switches keep its address."""
    garp, vmac = instance.garp, instance.vmac
    if not garp.extra_ns:
        return []
    hidden = vmac is not None and (vmac.xmit_base or instance.unicast)
    shown = {instance.interface} if hidden else {instance.interface, instance.carrier}
    vmacs = {device.name for device in instance.devices if not device.ipvlan}
    first: dict[str, VirtualAddress] = {}
    for one in instance.carried:
        dev = instance.dev_of(one)
        if dev not in shown and (garp.extra_all or dev in vmacs):
            first.setdefault(dev, one)
    return arp_blocks(replace(instance, addresses=tuple(first.values()), excluded=()), links, routers)


def allowed(instance: VrrpInstance) -> list[tuple[int, int, int]]:
    """(number, lowest and highest TTL) of those who may speak by unicast; empty: everybody."""
    if not instance.wire.listed:
        return []
    bounds = {one.ip: (one.low, one.high) for one in instance.wire.bounds}
    return [(number(peer), *bounds.get(peer, (0, 255))) for peer in instance.unicast_peers]


def packed(ips: Iterable[str]) -> bytes:
    """4 (IPv6: 16) bytes each."""
    return b"".join(map(address.pack_any, ips))


def number(ip: str) -> int:
    """0x0a000001 for 10.0.0.1; 0 for none."""
    return address.number(ip)
