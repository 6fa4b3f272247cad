"""Unsolicited neighbour advertisements with struct, RFC 4861 section 4.4."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

from oracles.checksum import checksum

ALL_NODES = ipaddress.IPv6Address("ff02::1").packed


def encode(mac: bytes, addresses: Iterable[str], router: bool = False) -> bytes:
    frames = []
    for text in addresses:
        ip = ipaddress.IPv6Address(text).packed
        flags = 0xA0000000 if router else 0x20000000
        option = struct.pack("!BB6s", 2, 1, mac)
        pseudo = ip + ALL_NODES + struct.pack("!IBBBB", 32, 0, 0, 0, 58)
        start, end = struct.pack("!BB", 136, 0), struct.pack("!I", flags) + ip + option
        icmp = start + struct.pack("!H", checksum(pseudo + start + b"\0\0" + end)) + end
        header = struct.pack("!IHBB", 6 << 28, len(icmp), 58, 255) + ip + ALL_NODES
        frames.append(bytes.fromhex("333300000001") + mac + b"\x86\xdd" + header + icmp)
    return b"".join(frames)
