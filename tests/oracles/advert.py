"""VRRP adverts with struct: encode and decode in the words of RFC 9568 and RFC 3768, over IPv4 and IPv6."""

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
    plain: bool = False,
    summed: str = "",
) -> bytes:
    source, destination = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    middle = struct.pack("!BB", auth_type, -(-adver_cs // 100)) if version == 2 else struct.pack("!H", adver_cs)
    start = struct.pack("!BBBB", version << 4 | 1, vrid, priority, len(addresses)) + middle
    end = b"".join(ipaddress.ip_address(a).packed for a in addresses)
    if version == 2:
        end += auth.ljust(8, b"\0")
    size = len(start) + 2 + len(end)
    covered = ipaddress.ip_address(summed) if summed else destination
    pseudo = b"" if version == 2 or plain else pseudo_header(source.packed, covered.packed, size)
    vrrp = start + struct.pack("!H", checksum(pseudo + start + b"\0\0" + end)) + end
    if source.version == 6:
        return struct.pack("!IHBB", 0x6C000000, size, 112, ttl) + source.packed + destination.packed + vrrp

    def header(check: int) -> bytes:
        fixed = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + size, 0, 0, ttl, 112, check)
        return fixed + source.packed + destination.packed

    return header(checksum(header(0))) + vrrp


def pseudo_header(source: bytes, destination: bytes, size: int) -> bytes:
    """RFC 9568 section 5.2.8: of RFC 793 for IPv4, of RFC 8200 section 8.1 for IPv6."""
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, 112, size)
    return source + destination + struct.pack("!IBBBB", size, 0, 0, 0, 112)


def decode6(packet: bytes, check_ttl: bool) -> tuple[str, dict[str, Any]]:
    _first, payload, protocol, ttl = struct.unpack("!IHBB", packet[:8])
    if protocol != 112:
        return "not_vrrp", {}
    vrrp = packet[40 : 40 + payload]
    if len(packet) < 40 + payload or payload < 8:
        return "short", {}
    if check_ttl and ttl != 255:
        return "ttl", {}
    if vrrp[0] >> 4 != 3:
        return "version", {}
    if vrrp[0] & 15 != 1:
        return "type", {}
    count = vrrp[3]
    if payload != 8 + 16 * count:
        return "length", {}
    if checksum(pseudo_header(packet[8:24], packet[24:40], payload) + vrrp) != 0:
        return "checksum", {}
    return "ok", {
        "src": str(ipaddress.IPv6Address(packet[8:24])),
        "dst": str(ipaddress.IPv6Address(packet[24:40])),
        "ttl": ttl,
        "version": 3,
        "vrid": vrrp[1],
        "priority": vrrp[2],
        "auth_type": 0,
        "adver_cs": struct.unpack("!H", vrrp[4:6])[0] & 0xFFF,
        "addresses": tuple(str(ipaddress.IPv6Address(vrrp[8 + 16 * i : 24 + 16 * i])) for i in range(count)),
        "auth": b"",
    }


def decode(packet: bytes, check_ttl: bool = True) -> tuple[str, dict[str, Any]]:
    """(verdict, fields); the fields are {} unless the verdict is "ok"."""
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return decode6(packet, check_ttl)
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
    if len(vrrp) != 8 + 4 * count + (8 if version == 2 else 0):
        return "length", {}
    pseudo = pseudo_header(packet[12:16], packet[16:20], len(vrrp)) if version == 3 else b""
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
