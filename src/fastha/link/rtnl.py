"""rtnetlink messages about links and IPv4 addresses: bytes in, values out, and the reverse. Pure.

Written by hand instead of by pyroute2: importing that costs 0.25 s, which a killed child's replacement does not have
(a peer takes over after 3 intervals), and a batch of thousands of addresses is prebuilt bytes here in any case.
Layouts: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h; rtnetlink(7).
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 1, 4, 0x200, 0x400, 0x300
NLM_F_REPLACE = 0x100
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 1, 0x10, 0x100

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_NOARP = 1, 8, 0x40, 0x80
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP = 18, 20, 27
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_MACVLAN_MODE, IFLA_VRF_TABLE = 1, 2, 1, 1
IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS = 1, 2
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 4, 6, 8, 11
ADDRESS_FLAGS = {"nodad": 0x02, "home": 0x10, "mngtmpaddr": 0x100, "noprefixroute": 0x200, "autojoin": 0x400}
IFA_F_OPTIMISTIC, IFA_F_TENTATIVE = 0x04, 0x40
FOREVER_S = (1 << 32) - 1
IFAPROT_KEEPALIVED = 18  # the number keepalived tags its addresses with: tools that know it know ours

SEQUENCE = struct.Struct("=I")
SHORT = struct.Struct("=H")
LOW_FLAGS = 6 if sys.byteorder == "little" else 7  # the low byte of nlmsg_flags
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBi")  # family, prefixlen, flags, scope, index
CACHEINFO = struct.Struct("=IIII")  # preferred, valid, two stamps of the kernel
ATTRIBUTE = struct.Struct("=HH")  # length, type


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `mac` is empty where it has none; `running` is "up and a carrier". `parent`: index of the one it
    is on; `master`: of its bridge, bond or VRF; 0: none. `kind`: "macvlan", "vrf" ...; `mode` of a macvlan,
    of an ipvlan its flags, and more than 1 << 16 if it is none of layer 2."""

    index: int
    name: str
    mac: bytes
    mtu: int
    up: bool
    running: bool
    arp: bool
    parent: int = 0
    master: int = 0
    kind: str = ""
    mode: int = 0
    alias: str = ""
    group: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """One IPv4 address of an interface."""

    index: int
    ip: str
    prefixlen: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An acknowledgement: errno 0 is success."""

    sequence: int
    errno: int


@dataclass(frozen=True, slots=True)
class Gone:
    """A link or an address that no longer exists."""

    what: Link | Address


def dump_links(sequence: int) -> bytes:
    return message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, IFINFO.pack(0, 0, 0, 0, 0), sequence)


def dump_addresses(sequence: int, family: int = socket.AF_INET) -> bytes:
    return message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, IFADDR.pack(family, 0, 0, 0, 0), sequence)


def add_address(
    index: int,
    ip: str,
    prefixlen: int,
    scope: int = 0,
    label: str = "",
    *,
    broadcast: str = "",
    peer: str = "",
    flags: Iterable[str] = (),
    preferred_s: int | None = None,
    valid_s: int = FOREVER_S,
    renew: bool = False,
) -> bytes:
    """RTM_NEWADDR that asks for an acknowledgement; its sequence number is 0 until `number` sets it.

    `flags`: names of ADDRESS_FLAGS. Lifetimes in seconds, FOREVER_S: none; `preferred_s` None: that of `valid_s`.
    `renew`: it is there, and gets these lifetimes.
    """
    bits = sum(ADDRESS_FLAGS[flag] for flag in flags)
    body = IFADDR.pack(family_of(ip), prefixlen, bits & 0xFF, scope, index) + _address(ip, peer)
    if bits > 0xFF:
        body += attribute(IFA_FLAGS, SEQUENCE.pack(bits))
    if broadcast:
        body += attribute(IFA_BROADCAST, socket.inet_aton(broadcast))
    if label:
        body += attribute(IFA_LABEL, label.encode() + b"\0")
    if preferred_s is not None or valid_s != FOREVER_S:
        preferred_s = valid_s if preferred_s is None else min(preferred_s, valid_s)
        body += attribute(IFA_CACHEINFO, CACHEINFO.pack(preferred_s, valid_s, 0, 0))
    body += attribute(IFA_PROTO, bytes([IFAPROT_KEEPALIVED]))  # since Linux 5.18; older kernels skip it
    create = NLM_F_CREATE | (NLM_F_REPLACE if renew else NLM_F_EXCL)
    return message(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | create, body)


def delete_address(index: int, ip: str, prefixlen: int, peer: str = "") -> bytes:
    """RTM_DELADDR that asks for an acknowledgement."""
    body = IFADDR.pack(family_of(ip), prefixlen, 0, 0, index) + _address(ip, peer)
    return message(RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, body)


def family_of(ip: str) -> int:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def number(buffer: bytearray, offset: int, sequence: int, only_errors: bool = False) -> None:
    """Set the sequence number of the message that begins at `offset`. `only_errors`: it is answered only if it fails
    (netlink(7): without NLM_F_ACK)."""
    SEQUENCE.pack_into(buffer, offset + 8, sequence)
    if only_errors:
        buffer[offset + LOW_FLAGS] &= ~NLM_F_ACK


def port(data: bytes) -> int:
    """Of the first message of a datagram: who asked for what it tells; 0: nobody (nlmsg_pid)."""
    return SEQUENCE.unpack_from(data, 12)[0] if len(data) >= HEADER.size else 0


def parse(data: bytes) -> Iterator[Link | Address | Gone | Reply]:
    """Values of every message in a datagram; kinds we do not ask for, and malformed ones, are skipped.

    The end of a dump is a Reply, as an acknowledgement is.
    """
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, _flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            return
        body = memoryview(data)[offset + HEADER.size : offset + length]
        value: Link | Address | None = None
        if kind in (NLMSG_ERROR, NLMSG_DONE):
            yield Reply(sequence, -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0)
        elif kind in (RTM_NEWLINK, RTM_DELLINK) and len(body) >= IFINFO.size:
            value = _read_link(body)
        elif kind in (RTM_NEWADDR, RTM_DELADDR) and len(body) >= IFADDR.size:
            value = _read_address(body)
        if value is not None:
            yield Gone(value) if kind in (RTM_DELLINK, RTM_DELADDR) else value
        offset += length + 3 & ~3


def _read_link(body: memoryview) -> Link | None:
    family, _type, index, flags, _change = IFINFO.unpack_from(body)
    if family != socket.AF_UNSPEC:  # AF_BRIDGE: news of a port, not of the link
        return None
    name, mac, mtu, kind_, mode, alias = "", b"", 0, "", 0, ""
    numbers = {IFLA_LINK: 0, IFLA_MASTER: 0, IFLA_GROUP: 0}
    for kind, value in attributes(body[IFINFO.size :]):
        if kind == IFLA_IFNAME:
            name = bytes(value).rstrip(b"\0").decode(errors="replace")
        elif kind == IFLA_ADDRESS:
            mac = bytes(value)
        elif kind == IFLA_MTU and len(value) == 4:
            mtu = SEQUENCE.unpack(value)[0]
        elif kind in numbers and len(value) == 4:
            numbers[kind] = SEQUENCE.unpack(value)[0]
        elif kind == IFLA_LINKINFO:
            kind_, mode = _read_kind(value)
        elif kind == IFLA_IFALIAS:
            alias = bytes(value).rstrip(b"\0").decode(errors="replace")
    up = bool(flags & IFF_UP)
    running, arp = up and bool(flags & IFF_RUNNING), not flags & (IFF_NOARP | IFF_LOOPBACK)
    parent, master, group = numbers.values()
    return Link(index, name, mac, mtu, up, running, arp, parent, master, kind_, mode, alias, group)


def _read_kind(info: memoryview) -> tuple[str, int]:
    """(kind, Link.mode) of IFLA_LINKINFO."""
    found = dict(attributes(info))
    kind = bytes(found.get(IFLA_INFO_KIND, b"")).rstrip(b"\0").decode(errors="replace")
    if kind not in ("macvlan", "ipvlan"):
        return kind, 0
    data = dict(attributes(found.get(IFLA_INFO_DATA, memoryview(b""))))
    if kind == "ipvlan":
        halves = (bytes(data.get(one, b"\0\0")).ljust(2, b"\0") for one in (IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS))
        layer, flags = (SHORT.unpack_from(half)[0] for half in halves)
        return kind, layer << 16 | flags
    mode = data.get(IFLA_MACVLAN_MODE, b"")
    return kind, SEQUENCE.unpack(mode)[0] if len(mode) == 4 else 0


def vrf_tables(data: bytes) -> Iterator[tuple[str, int]]:
    """(name, routing table) of every VRF among the links of a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            return
        if kind == RTM_NEWLINK and length >= HEADER.size + IFINFO.size:
            found = dict(attributes(memoryview(data)[offset + HEADER.size + IFINFO.size : offset + length]))
            info = dict(attributes(found.get(IFLA_LINKINFO, memoryview(b""))))
            if bytes(info.get(IFLA_INFO_KIND, b"")).rstrip(b"\0") == b"vrf":
                table = dict(attributes(info.get(IFLA_INFO_DATA, memoryview(b"")))).get(IFLA_VRF_TABLE, b"")
                if len(table) == SEQUENCE.size:
                    yield bytes(found[IFLA_IFNAME]).rstrip(b"\0").decode(errors="replace"), SEQUENCE.unpack(table)[0]
        offset += length + 3 & ~3


def _read_address(body: memoryview) -> Address | None:
    family, prefixlen, flags, _scope, index = IFADDR.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    if flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE:
        return None  # it may still be somebody else's (RFC 4862 section 5.4); the kernel says when it is ours
    found = {kind: bytes(value) for kind, value in attributes(body[IFADDR.size :])}
    ip = found.get(IFA_LOCAL, found.get(IFA_ADDRESS, b""))  # on point-to-point links ADDRESS is the peer's
    whole = 4 if family == socket.AF_INET else 16
    return Address(index, socket.inet_ntop(family, ip), prefixlen) if len(ip) == whole else None


def attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    offset = 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size or offset + length > len(data):
            return
        yield kind & 0x3FFF, data[offset + ATTRIBUTE.size : offset + length]
        offset += length + 3 & ~3


def attribute(kind: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _address(ip: str, peer: str = "") -> bytes:
    family = family_of(ip)
    local = attribute(IFA_LOCAL, socket.inet_pton(family, ip))
    return local + attribute(IFA_ADDRESS, socket.inet_pton(family, peer or ip))


def message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body
