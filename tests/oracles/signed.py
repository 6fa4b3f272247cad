"""Signed adverts with hmac and struct: the authentication header of RFC 2402, the trailer of keepalived's auth_hmac."""

from __future__ import annotations

import hashlib
import hmac
import struct

from oracles.checksum import checksum


def with_ah(packet: bytes, key: bytes, sequence: int) -> bytes:
    """The IPv4 packet of an advert behind an authentication header."""
    head = bytearray(packet[:20])
    head[2:4] = struct.pack("!H", len(packet) + 24)
    head[4:6] = struct.pack("!H", sequence & 0xFFFF or 1)
    head[9] = 51
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    start = struct.pack("!BBH", 112, 4, 0) + packet[12:16] + struct.pack("!I", sequence)
    return bytes(head) + start + icv(bytes(head) + start + bytes(12) + packet[20:], key) + packet[20:]


def icv(packet: bytes, key: bytes) -> bytes:
    """Of a whole packet, whatever its own ICV is."""
    covered = bytearray(packet)
    for start, end in ((1, 2), (6, 8), (10, 12), (32, 44)):  # TOS, fragment, checksum, ICV
        covered[start:end] = bytes(end - start)
    if covered[16] >> 4 != 14:
        covered[8] = 0  # TTL
    return hmac.new(key, covered, hashlib.md5).digest()[:12]


def trailer(vrrp: bytes, src: bytes, key: bytes, key_id: int, sequence: int) -> bytes:
    """What stands behind the VRRP packet."""
    start = struct.pack("!BBHQ", 1, key_id, 0, sequence)
    pseudo = struct.pack("!BBBB", 4 if len(src) == 4 else 6, vrrp[0] >> 4, vrrp[1], 0) + src.ljust(16, b"\0")
    covered = pseudo + vrrp[:6] + b"\0\0" + vrrp[8:] + start + bytes(16)
    return start + hmac.new(key, covered, hashlib.sha256).digest()[:16]
