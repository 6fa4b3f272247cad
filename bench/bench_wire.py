"""Encode, decode, checksum and ARP frames, beside their twins.

One call handles one packet, except where the group says 1 000: those run the C function alone, as the lane does. In the
others the Python coat (arguments, addresses as text, a dict of fields) takes most of the time.
"""

from __future__ import annotations

from typing import Any

import pytest

from fastha.wire import advert, arp
from fastha.wire.checksum import checksum
from oracles import advert as slow_advert
from oracles import arp as slow_arp
from oracles.checksum import checksum as slow_checksum

ADVERT: dict[str, Any] = {
    "src": "10.0.0.9",
    "dst": "224.0.0.18",
    "version": 3,
    "vrid": 4,
    "priority": 200,
    "adver_cs": 50,
    "addresses": [f"10.0.0.{i}" for i in range(20)],
}
PACKET = slow_advert.encode(**ADVERT)
BLOCK = bytes(range(256)) * 6  # 1 536 bytes
MAC = bytes.fromhex("020000000009")
ADDRESSES = [f"10.0.{i // 250}.{i % 250}" for i in range(1000)]


def pair(fast: Any, slow: Any) -> Any:
    return pytest.mark.parametrize("function", [pytest.param(fast, id="fastha"), pytest.param(slow, id="python")])


@pair(advert.encode, slow_advert.encode)
@pytest.mark.benchmark(group="advert: encode, 20 addresses")
def test_encode(benchmark: Any, function: Any) -> None:
    assert function(**ADVERT) == PACKET
    benchmark(function, **ADVERT)


@pair(advert.decode, slow_advert.decode)
@pytest.mark.benchmark(group="advert: decode, 20 addresses")
def test_decode(benchmark: Any, function: Any) -> None:
    assert function(PACKET) == slow_advert.decode(PACKET)
    assert function(PACKET)[0] == "ok"
    benchmark(function, PACKET)


def slow_tally(packets: list[bytes]) -> tuple[int, ...]:
    verdicts = [slow_advert.decode(packet)[0] for packet in packets]
    return tuple(verdicts.count(name) for name in advert.VERDICTS)


@pair(advert.tally, slow_tally)
@pytest.mark.benchmark(group="advert: decode 1 000, 20 addresses")
def test_decode_bare(benchmark: Any, function: Any) -> None:
    packets = [PACKET, PACKET[:-1], PACKET[:-1] + b"\1", PACKET] * 250
    assert function(packets) == (500, 250, 0, 0, 0, 0, 0, 250)
    benchmark(function, packets)


@pair(checksum, slow_checksum)
@pytest.mark.parametrize("size", [36, 1500])
@pytest.mark.benchmark(group="checksum")
def test_checksum(benchmark: Any, function: Any, size: int) -> None:
    benchmark.group = f"checksum: {size} bytes"
    assert function(BLOCK[:size]) == slow_checksum(BLOCK[:size])
    benchmark(function, BLOCK[:size])


@pair(arp.encode, slow_arp.encode)
@pytest.mark.benchmark(group="arp: 1 000 frames")
def test_arp(benchmark: Any, function: Any) -> None:
    assert function(MAC, ADDRESSES) == slow_arp.encode(MAC, ADDRESSES)
    benchmark(function, MAC, ADDRESSES)
