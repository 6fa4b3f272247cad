"""Gratuitous ARP requests with struct, RFC 826."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable

BROADCAST = b"\xff" * 6


def encode(mac: bytes, addresses: Iterable[str]) -> bytes:
    frames = []
    for text in addresses:
        ip = ipaddress.IPv4Address(text).packed
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, ip, BROADCAST, ip)
        frames.append(struct.pack("!6s6sH", BROADCAST, mac, 0x0806) + arp)
    return b"".join(frames)
