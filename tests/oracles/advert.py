"""VRRP adverts with struct: encode and decode in the words of RFC 9568 and RFC 3768."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

from oracles.checksum import checksum


def encode(
    src: str,
    dst: str,
    version: int,
    vrid: int,
    priority: int,
    adver_cs: int,
    addresses: list[str],
    auth_type: int = 0,
    auth: bytes = b"",
    ttl: int = 255,
) -> bytes:
    source, destination = ipaddress.IPv4Address(src).packed, ipaddress.IPv4Address(dst).packed
    middle = struct.pack("!BB", auth_type, -(-adver_cs // 100)) if version == 2 else struct.pack("!H", adver_cs)
    start = struct.pack("!BBBB", version << 4 | 1, vrid, priority, len(addresses)) + middle
    end = b"".join(ipaddress.IPv4Address(a).packed for a in addresses)
    if version == 2:
        end += auth.ljust(8, b"\0")
    size = len(start) + 2 + len(end)
    pseudo = source + destination + struct.pack("!BBH", 0, 112, size) if version == 3 else b""
    vrrp = start + struct.pack("!H", checksum(pseudo + start + b"\0\0" + end)) + end

    def header(check: int) -> bytes:
        return struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + size, 0, 0, ttl, 112, check) + source + destination

    return header(checksum(header(0))) + vrrp


def decode(packet: bytes, check_ttl: bool = True) -> tuple[str, dict[str, Any]]:
    """(verdict, fields); the fields are {} unless the verdict is "ok"."""
    if len(packet) < 20:
        return "short", {}
    first, _tos, total, _ident, fragment, ttl, protocol = struct.unpack("!BBHHHBB", packet[:10])
    if first >> 4 != 4 or fragment & 0x3FFF or protocol != 112:
        return "not_vrrp", {}
    header = (first & 15) * 4
    if header < 20 or len(packet) < total or total < header + 8:
        return "short", {}
    if check_ttl and ttl != 255:
        return "ttl", {}
    vrrp = packet[header:total]
    version, kind, vrid, priority, count = vrrp[0] >> 4, vrrp[0] & 15, vrrp[1], vrrp[2], vrrp[3]
    if version not in (2, 3):
        return "version", {}
    if kind != 1:
        return "type", {}
    if len(vrrp) != 8 + 4 * count + (8 if version == 2 else 0) or (version == 3 and count == 0):
        return "length", {}
    pseudo = packet[12:20] + struct.pack("!BBH", 0, 112, len(vrrp)) if version == 3 else b""
    if checksum(pseudo + vrrp) != 0:
        return "checksum", {}
    return "ok", {
        "src": str(ipaddress.IPv4Address(packet[12:16])),
        "dst": str(ipaddress.IPv4Address(packet[16:20])),
        "ttl": ttl,
        "version": version,
        "vrid": vrid,
        "priority": priority,
        "auth_type": vrrp[4] if version == 2 else 0,
        "adver_cs": vrrp[5] * 100 if version == 2 else struct.unpack("!H", vrrp[4:6])[0] & 0xFFF,
        "addresses": tuple(str(ipaddress.IPv4Address(vrrp[8 + 4 * i : 12 + 4 * i])) for i in range(count)),
        "auth": vrrp[-8:] if version == 2 else b"",
    }
