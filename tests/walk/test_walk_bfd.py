"""The codec of BFD Control packets against struct: same bytes out, same verdict and fields for all that comes in."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from fastha.wire import bfd as fast
from oracles import bfd as slow
from walk.seeds import walk


def arguments(r: random.Random) -> dict[str, int]:
    return {
        "state": r.randrange(4), "diag": r.randrange(32), "multiplier": r.choice((1, 3, 255, r.randrange(256))),
        "mine": r.choice((0, 1, r.getrandbits(32))), "yours": r.choice((0, r.getrandbits(32))),
        "min_tx_us": r.getrandbits(32), "min_rx_us": r.getrandbits(32), "flags": r.choice((0, r.randrange(64))),
        "min_echo_us": r.choice((0, r.getrandbits(32))),
    }  # fmt: skip


def compare(packet: bytes) -> str:
    verdict, fields = fast.decode(packet)
    wanted, wanted_fields = slow.decode(packet)
    assert verdict == wanted, packet.hex()
    if wanted_fields:
        assert fields == wanted_fields, packet.hex()
    else:
        assert not any(fields.values())
    return verdict


def test_encode_and_decode_agree_with_struct() -> None:
    r = walk("bfd")
    seen: Counter[str] = Counter()
    packets = []
    for _ in range(4000):
        values = arguments(r)
        packet = fast.encode(**values)
        assert packet == slow.encode(**values), values
        data = bytearray(packet + r.randbytes(r.choice((0, 0, 2, 30))))
        for _ in range(r.randrange(3)):
            data[r.choice((0, 1, 2, 3, r.randrange(len(data))))] = r.choice((0, 24, 26, 32, r.randrange(256)))
        if r.random() < 0.1:
            del data[r.randrange(len(data)) :]
        seen[compare(bytes(data))] += 1
        packets.append(bytes(data))
    assert set(seen) == set(fast.VERDICTS), seen
    assert dict(zip(fast.VERDICTS, fast.tally(packets), strict=True)) == seen


def test_noise_is_never_an_error() -> None:
    r = walk("noise")
    for _ in range(3000):
        compare(r.randbytes(r.randrange(60)))


def test_what_has_no_place_in_a_packet_is_refused() -> None:
    good = {"state": 1, "diag": 0, "multiplier": 3, "mine": 1, "yours": 0, "min_tx_us": 1, "min_rx_us": 1}
    for name, value in (("state", 4), ("diag", 32), ("multiplier", 256), ("flags", 64), ("state", -1)):
        with pytest.raises(ValueError, match=name[:4]):
            fast.encode(**good | {name: value})
    for name in ("mine", "yours", "min_tx_us", "min_rx_us", "min_echo_us"):
        with pytest.raises(OverflowError):
            fast.encode(**good | {name: 1 << 32})
