"""Gratuitous ARP frames against struct."""

from __future__ import annotations

import ipaddress

from fastha.wire import arp as fast
from oracles import arp as slow
from walk.seeds import walk


def test_frames_agree_with_struct() -> None:
    r = walk("arp")
    for _ in range(300):
        mac = r.randbytes(6)
        addresses = [str(ipaddress.IPv4Address(r.getrandbits(32))) for _ in range(r.randrange(20))]
        wanted = slow.encode(mac, addresses)
        assert fast.encode(mac, addresses) == wanted
        room = bytearray(b"\xaa" * (len(wanted) + 5))
        assert fast.encode_into(room, mac, addresses) == len(wanted)
        assert room == wanted + b"\xaa" * 5
