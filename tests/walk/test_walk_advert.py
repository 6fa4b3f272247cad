"""The advert codec against struct: same bytes out, same verdict and fields for anything that comes in."""

from __future__ import annotations

import ipaddress
import random
import struct
from collections import Counter
from typing import Any

from fastha.wire import advert as fast
from oracles import advert as slow
from oracles.checksum import checksum
from walk.seeds import walk


def address(r: random.Random, family: int = 4) -> str:
    return str(ipaddress.IPv6Address(r.getrandbits(128)) if family == 6 else ipaddress.IPv4Address(r.getrandbits(32)))


def arguments(r: random.Random, family: int = 4) -> dict[str, Any]:
    version = r.choice((2, 3)) if family == 4 else 3
    group = "224.0.0.18" if family == 4 else "ff02::12"
    few = r.choice((0, 1, 2, 3, 20, 255)) if r.random() < 0.9 else 1
    values: dict[str, Any] = {
        "src": address(r, family),
        "dst": r.choice((group, address(r, family))),
        "version": version,
        "vrid": r.randrange(1, 256),
        "priority": r.randrange(256),
        "adver_cs": r.randrange(1, 4096) if version == 3 else 100 * r.randrange(1, 256),
        "addresses": [address(r, family) for _ in range(few)],
        "ttl": r.choice((255, 255, 255, 64)),
    }
    if version == 2 and r.random() < 0.5:
        values |= {"auth_type": 1, "auth": r.randbytes(r.randrange(9))}
    if version == 3 and r.random() < 0.2:
        values |= r.choice(({"plain": True}, {"summed": group}))
    return values


def usual(values: dict[str, Any]) -> bool:
    """The checksum covers the pseudo header as RFC 9568 wants it."""
    return not values.get("plain") and values.get("summed", values["dst"]) == values["dst"]


def compare(packet: bytes, check_ttl: bool) -> str:
    verdict, fields = fast.decode(packet, check_ttl)
    wanted, wanted_fields = slow.decode(packet, check_ttl)
    assert verdict == wanted, packet.hex()
    if verdict == "ok":
        assert fields == wanted_fields, packet.hex()
    return verdict


def with_options(packet: bytes, words: int) -> bytes:
    """The same packet with `words` x 4 bytes of IP options (no-operation)."""
    total = struct.pack("!H", len(packet) + 4 * words)
    return bytes([0x45 + words]) + packet[1:2] + total + packet[4:20] + b"\x01" * 4 * words + packet[20:]


def mend(packet: bytearray, header: int = 20) -> None:
    """Make the VRRP checksum right again, so that the mutation is judged and not the checksum."""
    vrrp = packet[header:]
    vrrp[6:8] = b"\0\0"
    ends = bytes(packet[12:20] if header == 20 else packet[8:40])
    half = len(ends) // 2
    pseudo = slow.pseudo_header(ends[:half], ends[half:], len(vrrp)) if vrrp[0] >> 4 == 3 else b""
    packet[header + 6 : header + 8] = struct.pack("!H", checksum(pseudo + bytes(vrrp)))


def set_length(packet: bytearray, header: int, more: int = 0) -> None:
    """What the IP header says of the length: what there is, plus `more`."""
    at, size = (2, len(packet)) if header == 20 else (4, len(packet) - 40)
    packet[at : at + 2] = struct.pack("!H", max(0, size + more))


def test_encode_and_decode_agree_with_struct() -> None:
    r = walk("advert")
    for _ in range(1500):
        values = arguments(r, r.choice((4, 6)))
        packet = fast.encode(**values)
        assert packet == slow.encode(**values), values
        verdict = compare(packet + r.randbytes(r.choice((0, 0, 6, 18))), check_ttl=True)
        summed = "ok" if usual(values) else "checksum"
        assert verdict == (summed if values["ttl"] == 255 else "ttl")
        if values["src"].count(":") == 0:
            assert compare(with_options(packet, r.randrange(11)), check_ttl=False) == summed


def test_mutated_packets_get_the_same_verdict() -> None:
    r = walk("mutations")
    seen: Counter[str] = Counter()
    packets = []
    for _ in range(12000):
        family = r.choice((4, 4, 6))
        header = 20 if family == 4 else 40
        values = arguments(r, family)
        values["addresses"] = values["addresses"][:4]
        packet = bytearray(slow.encode(**values))
        for _ in range(r.choice((1, 1, 2, 3))):
            kind = r.random()
            if kind < 0.6:
                packet[r.choice((r.randrange(len(packet)), r.randrange(min(len(packet), header + 8))))] = r.randrange(
                    256
                )
            elif kind < 0.75:
                packet[header + r.choice((0, 2, 3, 4, 5))] ^= 1 << r.randrange(8)
                mend(packet, header)
            elif kind < 0.9:
                del packet[r.randrange(header + 8, len(packet) + 1) :]
                set_length(packet, header)
            else:
                packet += r.randbytes(r.randrange(12))
                set_length(packet, header, -r.choice((0, 0, 1)))
        seen[compare(bytes(packet), True)] += 1
        compare(bytes(packet), False)
        packets.append(bytes(packet))
    assert set(seen) == set(fast.VERDICTS), seen
    assert dict(zip(fast.VERDICTS, fast.tally(packets), strict=True)) == seen


def test_noise_is_never_an_error() -> None:
    r = walk("noise")
    for _ in range(3000):
        packet = bytearray(r.randbytes(r.randrange(64)))
        if packet and r.random() < 0.7:
            packet[0] = 0x45
        if len(packet) > 9 and r.random() < 0.7:
            packet[9], packet[6:8], packet[2:4] = 112, b"\0\0", struct.pack("!H", r.randrange(len(packet) + 2))
        compare(bytes(packet), r.random() < 0.5)


def test_priority_in_place_equals_encoding_anew() -> None:
    r = walk("priority")
    for _ in range(1000):
        values = arguments(r, r.choice((4, 6)))
        packet = bytearray(fast.encode(**values))
        for _ in range(3):
            values["priority"] = r.randrange(256)
            fast.set_priority(packet, values["priority"])
            assert packet == slow.encode(**values), values
