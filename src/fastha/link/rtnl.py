"""rtnetlink messages about links and IPv4 addresses: bytes in, values out, and the reverse. Pure.

Written by hand instead of by pyroute2: importing that costs 0.25 s, which a killed child's replacement does not have
(a peer takes over after 3 intervals), and a batch of thousands of addresses is prebuilt bytes here in any case.
Layouts: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h; rtnetlink(7).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 1, 4, 0x200, 0x400, 0x300
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 1, 0x10, 0x100

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_NOARP = 1, 8, 0x40, 0x80
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU = 1, 3, 4
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_PROTO = 1, 2, 3, 11
IFAPROT_KEEPALIVED = 18  # the number keepalived tags its addresses with: tools that know it know ours

SEQUENCE = struct.Struct("=I")
FLAGS = struct.Struct("=H")
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBi")  # family, prefixlen, flags, scope, index
ATTRIBUTE = struct.Struct("=HH")  # length, type


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `mac` is empty where it has none; `running` is "up and a carrier"."""

    index: int
    name: str
    mac: bytes
    mtu: int
    up: bool
    running: bool
    arp: bool


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


def add_address(index: int, ip: str, prefixlen: int, scope: int = 0, label: str = "") -> bytes:
    """RTM_NEWADDR that asks for an acknowledgement; its sequence number is 0 until `number` sets it."""
    body = IFADDR.pack(socket.AF_INET, prefixlen, 0, scope, index) + _address(ip)
    if label:
        body += attribute(IFA_LABEL, label.encode() + b"\0")
    body += attribute(IFA_PROTO, bytes([IFAPROT_KEEPALIVED]))  # since Linux 5.18; older kernels skip it
    return message(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, body)


def delete_address(index: int, ip: str, prefixlen: int) -> bytes:
    """RTM_DELADDR that asks for an acknowledgement."""
    body = IFADDR.pack(socket.AF_INET, prefixlen, 0, 0, index) + _address(ip)
    return message(RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, body)


def number(buffer: bytearray, offset: int, sequence: int) -> None:
    """Set the sequence number of the message that begins at `offset`."""
    SEQUENCE.pack_into(buffer, offset + 8, sequence)


def only_errors(buffer: bytearray, offset: int) -> None:
    """Have the message that begins at `offset` answered only if it fails (netlink(7): without NLM_F_ACK)."""
    FLAGS.pack_into(buffer, offset + 6, FLAGS.unpack_from(buffer, offset + 6)[0] & ~NLM_F_ACK)


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
    name, mac, mtu = "", b"", 0
    for kind, value in attributes(body[IFINFO.size :]):
        if kind == IFLA_IFNAME:
            name = bytes(value).rstrip(b"\0").decode(errors="replace")
        elif kind == IFLA_ADDRESS:
            mac = bytes(value)
        elif kind == IFLA_MTU and len(value) == 4:
            mtu = struct.unpack("=I", value)[0]
    up = bool(flags & IFF_UP)
    return Link(index, name, mac, mtu, up, up and bool(flags & IFF_RUNNING), not flags & (IFF_NOARP | IFF_LOOPBACK))


def _read_address(body: memoryview) -> Address | None:
    family, prefixlen, _flags, _scope, index = IFADDR.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
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


def _address(ip: str) -> bytes:
    packed = socket.inet_aton(ip)
    return attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body
