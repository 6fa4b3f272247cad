"""Adverts that are other than usual, as they leave and as they are judged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastha.link.rtnl import Link
from fastha.model import VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_S
from fastha.model.wire import PeerTtl, Wire
from fastha.vrrp import frames
from fastha.vrrp.machine import Role, State
from fastha.vrrp.rules import Rules
from fastha.wire import advert
from fastha.wire.address import number, pack_any
from unit.test_vrrp_lane import GROUP, HIGH, HIGH6, LOW, NOW, OWN, OWN6, Bench, packet

ETH0 = Link(2, "eth0", bytes.fromhex("020000000001"), 1500, True, True, True)
VIPS = (VirtualAddress("10.0.0.100"),)
BACKUP = State(Role.BACKUP, 100, deadline_ns=NOW, master_adver_ns=NS_PER_S)


def sent(**values: object) -> tuple[bytes, bytes]:
    """The IP packet of an instance of version 3, and what is before it."""
    instance = VrrpInstance("vi", "eth0", 7, version=3, addresses=VIPS, **values)  # type: ignore[arg-type]
    ((frame, offset, _),) = frames.advert_frames(instance, OWN, ETH0)
    return frame[offset:], frame[:offset]


def test_ttl_and_group() -> None:
    data, _ = sent(unicast_peers=(HIGH,), wire=Wire(ttl=7))
    assert (advert.decode(data, check_ttl=False)[0], data[8]) == ("ok", 7)
    data, ethernet = sent(wire=Wire(group="224.0.1.99"))
    assert advert.decode(data)[1]["dst"] == "224.0.1.99"
    assert ethernet[:6].hex() == "01005e000163"


def test_other_checksums() -> None:
    data, _ = sent(wire=Wire(plain_sum=True))
    assert advert.decode(data)[0] == "checksum"
    assert data[20:] == advert.encode(HIGH, LOW, 3, 7, 100, 100, ["10.0.0.100"], plain=True)[20:], "no address in it"
    data, _ = sent(unicast_peers=(HIGH,), wire=Wire(old_sum=True))
    assert data[20:] == advert.encode(OWN, GROUP, 3, 7, 100, 100, ["10.0.0.100"])[20:], "as if by multicast"


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.lane.close()


def unicast(bench: Bench, **more: object) -> None:
    rules = Rules(own_ip=number(OWN))
    bench.set(rules, BACKUP, listen_ip=pack_any(OWN), **more)


def test_only_peers_are_heard_within_their_ttl(bench: Bench) -> None:
    unicast(bench, allowed=[(number(LOW), 0, 255), (number(HIGH), 3, 9)])
    for ttl, known in ((2, False), (3, True), (9, True), (10, False), (255, False)):
        bench.hear(packet(200, HIGH, dst=OWN, ttl=ttl))
        assert bool(bench.lane.take()) is known, ttl
    assert bench.hear(packet(200, LOW, dst=OWN, ttl=1))
    bench.lane.take()
    assert not bench.hear(packet(200, "10.0.0.77", dst=OWN))
    assert bench.discarded() == {"ttl_bounds": 3, "unlisted": 1}
    unicast(bench)
    assert bench.hear(packet(200, "10.0.0.77", dst=OWN)), "without a list"


def test_peers_of_ipv6_are_known_by_all_their_bytes() -> None:
    bench = Bench(six=True)
    bench.set(Rules(own_ip=number(OWN6)), BACKUP, listen_ip=pack_any(OWN6), allowed=[(number(HIGH6), 0, 255)])
    assert bench.hear(packet(200, HIGH6, dst=OWN6, ttl=64))
    assert not bench.hear(packet(200, "fe80::3:1", dst=OWN6, ttl=64))
    assert bench.discarded() == {"unlisted": 1}
    bench.lane.close()


def test_other_checksums_count_beside_the_right_one(bench: Bench) -> None:
    old = packet(200, HIGH, dst=OWN, summed=GROUP)
    plain = packet(200, HIGH, dst=OWN, plain=True)
    right = packet(200, HIGH, dst=OWN)
    wrong = right[:26] + bytes([right[26] ^ 1]) + right[27:]
    for more, heard in (
        ({}, [right]),
        ({"plain_sum": True}, [right, plain]),
        ({"old_sum": number(GROUP)}, [right, old]),
    ):
        unicast(bench, **more)
        for data in (right, plain, old, wrong):
            bench.hear(data)
            assert bool(bench.lane.take()) is (data in heard), (more, data.hex())


@pytest.mark.parametrize("trusting", [False, True])
def test_addresses_of_a_known_master(bench: Bench, trusting: bool) -> None:
    bench.set(
        Rules(own_ip=number(OWN)),
        State(Role.BACKUP, 100, deadline_ns=NOW, master_adver_ns=NS_PER_S, master_ip=number(HIGH), master_priority=200),
        trusting=trusting,
    )
    bench.hear(packet(200, HIGH, addresses=["10.0.0.99"]))
    assert bench.count("addresses_differ") == (0 if trusting else 1)
    bench.hear(packet(50, LOW, addresses=["10.0.0.99"]))
    assert bench.count("addresses_differ") == (1 if trusting else 2), "the first advert of somebody else is compared"


def test_peer_bounds_reach_the_lane() -> None:
    wire = Wire(listed=True, bounds=(PeerTtl(HIGH, 3, 9),))
    instance = VrrpInstance("vi", "eth0", 7, addresses=VIPS, unicast_peers=(LOW, HIGH), wire=wire)
    assert frames.allowed(instance) == [(number(LOW), 0, 255), (number(HIGH), 3, 9)]
    assert frames.allowed(VrrpInstance("vi", "eth0", 7, addresses=VIPS, unicast_peers=(LOW,))) == []
