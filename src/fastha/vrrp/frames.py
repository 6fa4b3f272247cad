"""Everything an instance will ever send, built beforehand: advert frames and ARP blocks. Pure."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from fastha.link.rtnl import Link
from fastha.model import VrrpInstance
from fastha.model.units import NS_PER_CS
from fastha.vrrp.rules import on_the_wire_ns
from fastha.vrrp.sealed import ah_of, hmac_of
from fastha.vrrp.sockets import ETH_P_ARP, ETH_P_IP, GROUP, frame_address, packet_address
from fastha.wire import advert, ah, arp, ether, trailer

BROADCAST = b"\xff" * 6
PASSWORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class ArpBlock:
    """One gratuitous ARP request for each address of an instance on one interface, one after another."""

    index: int
    frames: bytes
    to: bytes  # sockaddr_ll


def advert_frames(instance: VrrpInstance, src: str, link: Link) -> list[tuple[bytes, int, bytes]]:
    """(bytes, offset of the IP packet, socket address) for the lane; the priority is stamped in when sent.

    Multicast: one Ethernet frame for the packet socket. Unicast: one IP packet per peer for the raw socket.
    """
    version = instance.version
    adver_cs = on_the_wire_ns(version, instance.advert_int_ns) // NS_PER_CS
    addresses = [a.ip for a in instance.addresses]
    auth = password(instance)
    kind = 1 if auth else 2 if ah_of(instance) else 0  # RFC 2338 section 5.3.6
    packets = [
        advert.encode(src, dst, version, instance.vrid, instance.priority, adver_cs, addresses, kind, auth)
        for dst in instance.unicast_peers or (GROUP,)
    ]
    if ah_of(instance):
        packets = [ah.wrap(packet) for packet in packets]
    elif (seal := hmac_of(instance)) is not None and seal.active:
        packets = [trailer.wrap(packet) for packet in packets]
    if instance.unicast:
        return [(p, 0, packet_address(peer)) for p, peer in zip(packets, instance.unicast_peers, strict=True)]
    mac = ether.multicast_mac(GROUP)
    to = frame_address(link.index, ETH_P_IP, mac)
    return [(ether.frame(mac, link.mac or bytes(6), packet), 14, to) for packet in packets]


def password(instance: VrrpInstance) -> bytes:
    """The 8 bytes of a type 1 authentication, RFC 2338 section 5.3.6.2; empty without. Version 3 has none."""
    if instance.version != 2 or instance.auth.kind != "pass":
        return b""
    return instance.auth.password.encode()[:PASSWORD_BYTES].ljust(PASSWORD_BYTES, b"\0")


def arp_blocks(instance: VrrpInstance, links: Mapping[str, Link]) -> list[ArpBlock]:
    """Blocks for the interfaces (by name) that know ARP."""
    by_dev: dict[str, list[str]] = {}
    for address in instance.addresses:
        by_dev.setdefault(address.dev or instance.interface, []).append(address.ip)
    blocks = []
    for dev, addresses in by_dev.items():
        link = links.get(dev)
        if link is not None and link.arp and len(link.mac) == 6:
            to = frame_address(link.index, ETH_P_ARP, BROADCAST)
            blocks.append(ArpBlock(link.index, arp.encode(link.mac, addresses), to))
    return blocks


def packed(ips: list[str]) -> bytes:
    """4 bytes each."""
    return b"".join(map(socket.inet_aton, ips))


def number(ip: str) -> int:
    """0x0a000001 for 10.0.0.1; 0 for none."""
    return int.from_bytes(socket.inet_aton(ip), "big") if ip else 0
