"""Neighbour advertisements against struct."""

from __future__ import annotations

import ipaddress

from fastha.wire import na as fast
from oracles import na as slow
from walk.seeds import walk


def test_frames_agree_with_struct() -> None:
    r = walk("na")
    for _ in range(300):
        mac, router = r.randbytes(6), r.random() < 0.5
        addresses = [str(ipaddress.IPv6Address(r.getrandbits(128))) for _ in range(r.randrange(20))]
        wanted = slow.encode(mac, addresses, router)
        assert fast.encode(mac, addresses, router) == wanted
        room = bytearray(b"\xaa" * (len(wanted) + 5))
        assert fast.encode_into(room, mac, addresses, router) == len(wanted)
        assert room == wanted + b"\xaa" * 5
