"""IPVS messages in plain Python: the slow twin of csrc/fha_ipvs_encode.c and fha_ipvs_decode.c."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence

from fastha.dataplane.rows import OUR_FLAGS, Dest, DestKey, Forward, Op, Service, ServiceKey, Verb

NESTED = 0x8000


def attr(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def u16(kind: int, value: int) -> bytes:
    return attr(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    return attr(kind, struct.pack("=I", value & 0xFFFFFFFF))


def family_of(ip: str) -> int:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def address(kind: int, ip: str) -> bytes:
    return attr(kind, socket.inet_pton(family_of(ip), ip).ljust(16, b"\0"))


def name(kind: int, text: str) -> bytes:
    return attr(kind, text.encode() + b"\0")


def service(key: ServiceKey, value: Service | None) -> bytes:
    body = u16(1, key.family)
    if key.fwmark:
        body += u32(5, key.fwmark)
    else:
        body += u16(2, key.protocol) + address(3, key.ip) + attr(4, struct.pack("!H", key.port))
    if value:
        body += name(6, value.scheduler) + attr(7, struct.pack("=II", value.flags & OUR_FLAGS, OUR_FLAGS))
        body += u32(8, value.timeout_s)
        if key.family == socket.AF_INET6:
            body += u32(9, value.netmask)
        else:
            body += attr(9, struct.pack("!I", 0xFFFFFFFF << (32 - value.netmask) & 0xFFFFFFFF))
        if value.pe_name:
            body += name(11, value.pe_name)
    return attr(1 | NESTED, body)


def dest(key: DestKey, value: Dest | None) -> bytes:
    body = u16(11, family_of(key.ip)) + address(1, key.ip) + attr(2, struct.pack("!H", key.port))
    if value:
        body += u32(3, int(value.forward)) + u32(4, value.weight) + u32(5, value.uthreshold) + u32(6, value.lthreshold)
        if value.forward == Forward.TUN and (value.tun_type or value.tun_port or value.tun_flags):
            body += attr(13, bytes([value.tun_type])) + attr(14, struct.pack("!H", value.tun_port))
            body += u16(15, value.tun_flags)
    return attr(2 | NESTED, body)


def encode(ops: Sequence[Op], family_id: int, seq: int) -> bytes:
    """The messages of `ops`, each with NLM_F_REQUEST | NLM_F_ACK and the next sequence number."""
    out = bytearray()
    for i, op in enumerate(ops):
        body = struct.pack("=BBH", int(op.verb), 1, 0)
        body += service(op.key, op.service if op.verb in (Verb.NEW_SERVICE, Verb.SET_SERVICE) else None)
        if op.dest_key:
            body += dest(op.dest_key, op.dest)
        out += struct.pack("=IHHII", 16 + len(body), family_id, 5, (seq + i) & 0xFFFFFFFF, 0) + body
    return bytes(out)


def attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        size, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:size]
        data = data[size + 3 & ~3 :]


def decode_dests(data: bytes) -> dict[DestKey, Dest]:
    """The destinations in the messages of a dump."""
    found = {}
    while data:
        (size,) = struct.unpack_from("=I", data)
        for kind, nest in attrs(data[20:size]):
            if kind != 2:
                continue
            got = dict(attrs(nest))
            family = struct.unpack("=H", got[11])[0]
            ip = socket.inet_ntop(family, got[1][: 16 if family == socket.AF_INET6 else 4])
            numbers = (struct.unpack("=I", got[k])[0] for k in (3, 4, 5, 6))
            forward, weight, upper, lower = numbers
            key = DestKey(ip, struct.unpack("!H", got[2])[0])
            found[key] = Dest(Forward(forward & 7), weight, upper, lower)
        data = data[size:]
    return found
