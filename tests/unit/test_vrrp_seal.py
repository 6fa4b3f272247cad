"""Signed adverts in the lane: what is taken, what is dropped and by which name, and that numbers only grow."""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from fastha.model.units import NS_PER_S
from fastha.vrrp.machine import Role, State
from fastha.vrrp.rules import Rules
from fastha.vrrp.sealed import Seal, beyond
from fastha.wire import ah, trailer
from fastha.wire.address import number
from oracles import signed
from unit.test_vrrp_lane import GROUP, HIGH, HIGH6, LOW, NOW, OWN, OWN6, Bench, packet

KEY, OTHER = bytes(range(32)), bytes(range(1, 41))
AH = Seal(ah=True, keys=((0, b"secret"),), active=1)
TIME = Seal(ah=False, keys=((1, KEY), (9, OTHER)), active=1, window_s=5)
GROWING = Seal(ah=False, keys=((1, KEY),), active=1)
V2 = Rules(version=2, own_ip=number(OWN), advert_int_ns=NS_PER_S)
V3 = Rules(version=3, own_ip=number(OWN), advert_int_ns=NS_PER_S)
MASTER = State(Role.MASTER, 100, NOW, NS_PER_S)
BACKUP = State(Role.BACKUP, 100, NOW + 4 * NS_PER_S, NS_PER_S)
SILENCE_NS = 4 * NS_PER_S


def headed(sequence: int, src: str = HIGH, key: bytes = b"secret", priority: int = 200, **more: object) -> bytes:
    return signed.with_ah(packet(priority, src, 2, auth_type=2, **more), key, sequence)


def clock(ahead_s: float = 0) -> int:
    return int((time.time() + ahead_s) * 65536) << 16


def trailed(sequence: int, src: str = HIGH, key: bytes = KEY, key_id: int = 1, **more: object) -> bytes:
    data = trailer.wrap(packet(200, src, **more))[:-28]
    header = 20 if ":" not in src else 40
    return data + signed.trailer(data[header:], ipaddress.ip_address(src).packed, key, key_id, sequence)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def setup(bench: Bench, seal: Seal, rules: Rules, state: State = BACKUP, sequence: int = 0, **more: object) -> None:
    bench.lane.seal(bench.index, seal, SILENCE_NS, sequence)
    bench.set(rules, state, **more)


def test_of_ah_each_reason_has_its_name(bench: Bench) -> None:
    setup(bench, AH, V2)
    assert bench.hear(headed(5))
    assert not bench.hear(headed(5))
    assert not bench.hear(headed(4))
    assert bench.discarded() == {"auth_replay": 2}
    bench.hear(headed(6, key=b"secreT"))
    bench.hear(packet(200, HIGH, 2))
    broken = bytearray(headed(7))
    broken[24] ^= 1  # SPI
    bench.hear(bytes(broken))
    bench.hear(signed.with_ah(packet(200, HIGH, 3), b"secret", 8))
    bench.hear(signed.with_ah(packet(200, HIGH, 2), b"secret", 9))  # type 0 inside
    bench.hear(headed(10, adver_cs=200))
    assert bench.discarded() == {
        "auth_replay": 2, "auth_digest": 1, "auth_missing": 1, "auth_shape": 1, "version": 1, "auth_type": 1,
        "interval": 1,
    }  # fmt: skip
    assert bench.count("received") == 1


def test_a_forged_number_does_not_move_the_mark(bench: Bench) -> None:
    setup(bench, AH, V2)
    bench.hear(headed(5))
    bench.hear(headed(4000, key=b"guessed"))
    bench.hear(headed(6))
    assert bench.discarded() == {"auth_digest": 1}


def test_each_source_counts_by_itself_and_may_start_anew_after_silence(bench: Bench) -> None:
    setup(bench, AH, V2)
    bench.hear(headed(500), NOW)
    bench.hear(headed(1, LOW), NOW)
    bench.hear(headed(2), NOW + SILENCE_NS - 1)
    assert bench.discarded() == {"auth_replay": 1}
    bench.hear(headed(2), NOW + SILENCE_NS)
    assert bench.discarded() == {"auth_replay": 1}


def test_what_is_sent_is_above_all_that_was_heard_sent_and_the_clock(bench: Bench) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        frame = ah.wrap(packet(100, OWN, 2, auth_type=2))
        setup(bench, AH, V2, MASTER, tx_fd=ours.fileno(), frames=[(frame, 0, b"")])
        before = int(time.time())
        numbers = []
        for priority in (100, 100, 0, 100):
            bench.lane.send(bench.index, priority)
            data = theirs.recv(2000)
            verdict, sequence, vrrp, right = ah.decode(data, b"secret")
            assert (verdict, right, vrrp[2]) == ("ok", True, priority)
            assert data == signed.with_ah(packet(priority, OWN, 2, auth_type=2), b"secret", sequence)
            numbers.append(sequence)
        assert numbers == sorted(set(numbers))
        assert numbers[0] >= before
        bench.hear(headed(4_000_000_000))
        bench.lane.send(bench.index, 100)
        assert ah.decode(theirs.recv(2000), b"secret")[1] == 4_000_000_001 == bench.count("sequence")


def test_a_replacement_goes_on_where_its_predecessor_stopped(bench: Bench) -> None:
    setup(bench, AH, V2, MASTER, sequence=4_100_000_000)
    bench.lane.send(bench.index, 100)
    assert bench.count("sequence") == 4_100_000_001
    bench.lane.seal(bench.index, AH, SILENCE_NS)  # a reload
    bench.lane.send(bench.index, 100)
    assert bench.count("sequence") == 4_100_000_002


def test_of_trailers_each_reason_has_its_name(bench: Bench) -> None:
    setup(bench, TIME, V3)
    now = clock()
    assert bench.hear(trailed(now))
    for data in (
        trailed(now), trailed(now - 1), trailed(clock(-9)), trailed(clock(9)), trailed(now + 1, key=OTHER),
        trailed(now + 1, key_id=3), packet(200, HIGH), trailed(now + 1)[:-28] + b"\2" + trailed(now + 1)[-27:],
    ):  # fmt: skip
        assert not bench.hear(data)
    assert bench.discarded() == {
        "auth_replay": 2, "auth_time": 2, "auth_digest": 1, "auth_key": 1, "auth_missing": 1, "auth_shape": 1,
    }  # fmt: skip
    bench.hear(trailed(now + 2, key=OTHER, key_id=9))  # any configured key
    assert bench.count("received") == 2


def test_monotonic_looks_at_no_clock(bench: Bench) -> None:
    setup(bench, GROWING, V3)
    bench.hear(trailed(77))
    bench.hear(trailed(78))
    bench.hear(trailed(78))
    assert bench.count("received") == 2
    assert bench.discarded() == {"auth_replay": 1}


@pytest.mark.parametrize("demand", [True, False])
def test_what_is_unsigned_counts_if_it_need_not_be_signed(bench: Bench, demand: bool) -> None:
    setup(bench, Seal(False, ((1, KEY),), 1, demand), V3)
    bench.hear(packet(200, HIGH))
    bench.hear(trailed(5, key=OTHER))
    assert bench.count("received") == (0 if demand else 1)
    assert bench.discarded() == {"auth_digest": 1} | ({"auth_missing": 1} if demand else {})


def test_unicast_knows_who_may_speak(bench: Bench) -> None:
    setup(bench, Seal(False, ((1, KEY),), 1, peers=(number(LOW),)), V3)
    bench.hear(trailed(5))
    bench.hear(trailed(5, LOW))
    assert bench.discarded() == {"auth_stranger": 1}
    assert bench.count("received") == 1


def test_a_trailer_nobody_asked_for_is_a_wrong_length(bench: Bench) -> None:
    bench.set(V3, BACKUP)
    bench.hear(trailed(clock()))
    assert bench.discarded() == {"length": 1}


def test_copies_to_several_peers_have_one_number(bench: Bench) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        frames = [(trailer.wrap(packet(100, OWN, dst=dst)), 0, b"") for dst in (GROUP, LOW)]
        setup(bench, TIME, V3, MASTER, tx_fd=ours.fileno(), frames=frames)
        bench.lane.send(bench.index, 7)
        bench.lane.send(bench.index, 7)
        sent = [theirs.recv(2000) for _ in range(4)]
    src = ipaddress.ip_address(OWN).packed
    seen = [trailer.decode(data[20:], src, KEY) for data in sent]
    assert all(known and right and data[22] == 7 for (known, _, _, right), data in zip(seen, sent, strict=True))
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert seen[2][2] > seen[0][2]
    assert abs((seen[0][2] >> 32) - time.time()) < 60
    assert all(struct.unpack("!H", data[2:4])[0] == len(data) for data in sent)


def test_receive_only_signs_nothing(bench: Bench) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        setup(
            bench, Seal(False, ((1, KEY),), 0, False), V3, MASTER, tx_fd=ours.fileno(),
            frames=[(packet(100, OWN), 0, b"")],
        )  # fmt: skip
        bench.lane.send(bench.index, 100)
        assert theirs.recv(2000) == packet(100, OWN)


def test_ipv6_has_the_same_trailer() -> None:
    bench = Bench(six=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        rules = Rules(version=3, own_ip=number(OWN6), advert_int_ns=NS_PER_S)
        frames = [(trailer.wrap(packet(100, OWN6)), 0, b"")]
        setup(bench, TIME, rules, MASTER, tx_fd=ours.fileno(), frames=frames)
        bench.lane.send(bench.index, 100)
        data = theirs.recv(2000)
        assert trailer.decode(data[40:], ipaddress.ip_address(OWN6).packed, KEY)[3]
        now = clock()
        bench.hear(trailed(now, HIGH6))
        bench.hear(trailed(now, HIGH6))
        assert bench.count("received") == 1
        assert bench.discarded() == {"auth_replay": 1}
    bench.close()


def test_a_reported_number_of_the_other_kind_does_not_count() -> None:
    assert beyond(AH, 1_800_000_000) > 1_800_000_000
    assert beyond(AH, clock()) == 0
    assert beyond(TIME, clock()) > clock()
    assert beyond(None, 5) == beyond(TIME, 0) == 0
