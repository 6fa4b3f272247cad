"""The lane against the machine: over a grid of rules, states and packets both must do the same, or the lane must
leave the decision to the machine. No socket: packets are handed in, a frame that cannot leave is counted as an error.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from fastha.loop.reactor import Reactor
from fastha.model.units import NS_PER_CS, NS_PER_MS, NS_PER_S
from fastha.vrrp import lane as lane_module
from fastha.vrrp.lane import ADDRESSES, ADVERT, TIMER, ZERO, Lane
from fastha.vrrp.machine import Advert, AdvertZero, Role, SendAdvert, State, TimerFired, step
from fastha.vrrp.rules import Rules
from fastha.wire import advert
from fastha.wire.address import number, pack_any

ROLES = list(Role)
OWN, LOW, HIGH = "10.0.0.5", "10.0.0.1", "10.0.0.9"
OWN6, LOW6, HIGH6 = "fe80::1:5", "fe80::1:1", "fe80::2:1"
VIP, VIP6 = "10.0.0.100", "fe80::100"
GROUP, GROUP6 = "224.0.0.18", "ff02::12"
NOW = 1000 * NS_PER_S


def packet(priority: int, src: str = LOW, version: int = 3, adver_cs: int = 100, **more: object) -> bytes:
    six = ":" in src
    values: dict[str, object] = {
        "vrid": 7, "addresses": [VIP6 if six else VIP], "dst": GROUP6 if six else GROUP, **more,
    }  # fmt: skip
    return advert.encode(src=src, version=version, priority=priority, adver_cs=adver_cs, **values)  # type: ignore[arg-type]


def timeless(data: bytes) -> bytes:
    """The version 3 packet with an interval of 0 instead of 1: what a broken sender may say, checksum mended."""
    at = 20 if data[0] >> 4 == 4 else 40
    total = (~int.from_bytes(data[at + 6 : at + 8], "big") & 0xFFFF) + (~1 & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    return data[: at + 4] + b"\0\0" + (~total & 0xFFFF).to_bytes(2, "big") + data[at + 8 :]


class Bench:
    """A lane with one router and a slot that never hears anything by itself."""

    def __init__(self, six: bool = False) -> None:
        self.six = six
        self.reactor = Reactor()
        self.lane = Lane(self.reactor)
        self._pipe = os.pipe()
        self.slot = self.lane.add_socket(self._pipe[0], six)
        self.index = self.lane.add()

    def set(self, rules: Rules, state: State, **more: object) -> None:
        frame = packet(rules.priority, OWN6 if self.six else OWN, rules.version, rules.advert_int_ns // NS_PER_CS)
        values: dict[str, object] = {
            "listen_ip": pack_any(GROUP6 if self.six else GROUP), "version": rules.version, "vrid": 7,
            "own_ip": rules.own_ip,
            "advert_int_ns": rules.advert_int_ns, "silence_ns": rules.patience_ns,
            "down_adverts": rules.down_timer_adverts, "preempt": rules.preempt,
            "patient": rules.preempt_delay_ns > 0, "deaf": rules.deaf, "auth": b"",
            "addresses": pack_any(VIP6 if self.six else VIP), "tx_fd": -1, "frames": [(frame, 0, b"")], **more,
        }  # fmt: skip
        self.lane.configure(self.index, slot=self.slot, **values)  # type: ignore[arg-type]
        self.load(state)

    def load(self, state: State) -> None:
        self.lane.load(
            self.index, ROLES.index(state.role), state.priority, -1 if state.deadline_ns is None else state.deadline_ns,
            state.master_adver_ns, state.master_ip, state.master_priority, state.holding,
            state.preempt_at_ns is not None,
        )  # fmt: skip

    def state(self, loaded: State) -> State:
        deadline_ns, master_adver_ns = self.lane.timers(self.index)
        return replace(loaded, deadline_ns=deadline_ns if deadline_ns >= 0 else None, master_adver_ns=master_adver_ns)

    def hear(self, data: bytes, now_ns: int = NOW) -> bool:
        return self.lane.hear(self.slot, data, now_ns)

    def count(self, name: str) -> object:
        return self.lane.counters(self.index)[name]

    def discarded(self) -> object:
        return self.count("discarded")

    def close(self) -> None:
        self.lane.close()
        self.reactor.close()
        for fd in self._pipe:
            os.close(fd)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def bench6() -> Iterator[Bench]:
    made = Bench(six=True)
    yield made
    made.close()


def rules_grid() -> Iterator[Rules]:
    for version, priority, preempt, delay, advert_int in itertools.product(
        (2, 3), (100, 255), (True, False), (0, 5 * NS_PER_S), (NS_PER_S, 2 * NS_PER_S)
    ):
        rules = Rules(
            version=version, priority=priority, preempt=preempt, preempt_delay_ns=delay if preempt else 0,
            advert_int_ns=advert_int, own_ip=number(OWN),
        )  # fmt: skip
        yield rules
        if rules.owner:
            yield replace(rules, deaf=True)
        elif not preempt:
            yield replace(rules, rival_priority=254)
    yield Rules(version=3, own_ip=number(OWN), answers_lower=False, speaks_before_yielding=True)


def states(rules: Rules) -> Iterator[State]:
    priority = rules.priority
    low = number(LOW6 if rules.own_ip >> 32 else LOW)
    for holding, (master, its) in itertools.product((False, True), ((0, 0), *((low, p) for p in (1, 99, 101)))):
        yield State(Role.INIT, priority, None, 0, master, holding, master_priority=its)
        for at in (None, NOW - 1, NOW + NS_PER_S) if rules.preempt_delay_ns else (None,):
            yield State(
                Role.BACKUP, priority, NOW + 5000, rules.advert_int_ns, master, holding, at, master_priority=its
            )
    yield State(Role.MASTER, priority, NOW + 5000, rules.advert_int_ns, rules.own_ip)
    yield State(Role.FAULT, priority, faults=frozenset("x"))


def agree(bench: Bench, grid: Iterable[Rules], sources: tuple[str, str]) -> None:
    shortcuts = cells = 0
    for rules in grid:
        for state in states(rules):
            bench.set(rules, state)
            for priority, src, cs in itertools.product((0, 1, 99, 100, 101, 255), sources, (0, 1, 100, 4095)):
                if rules.version == 2:
                    cs = rules.advert_int_ns // NS_PER_CS  # anything else is not acceptable
                bench.load(state)
                cells += 1
                event = Advert(priority, number(src), cs * NS_PER_CS) if priority else AdvertZero(number(src))
                expected, effects = step(rules, state, event, NOW)
                data = packet(priority, src, rules.version, cs) if cs else timeless(packet(priority, src, 3, 1))
                heard = bench.count("received")
                dirty = bench.hear(data)
                assert bench.count("received") == heard + 1  # type: ignore[operator]
                if dirty:
                    wanted = (bench.index, ADVERT if priority else ZERO, priority, number(src), cs * NS_PER_CS, NOW)
                    if not priority:
                        wanted = (bench.index, ZERO, 0, number(src), 0, NOW)
                    assert bench.lane.take() == [wanted]
                    assert bench.state(state) == state, "what is left to the machine is not touched"
                else:
                    shortcuts += 1
                    assert effects == ()
                    assert bench.state(state) == expected, (rules, state, event)
    assert shortcuts > cells / 16, f"{shortcuts} of {cells}: the lane does its part"


def test_adverts_agree_with_the_machine(bench: Bench) -> None:
    agree(bench, rules_grid(), (LOW, HIGH))


def test_adverts_over_ipv6_agree_with_the_machine(bench6: Bench) -> None:
    """Sources that differ in the upper or the lower half of their address."""
    grid = [replace(rules, own_ip=number(OWN6)) for rules in rules_grid() if rules.version == 3]
    agree(bench6, grid, (LOW6, HIGH6))
    agree(bench6, grid[:4], (LOW6, "2001:db8::1"))


def test_the_steady_cells_take_the_short_cut(bench: Bench) -> None:
    rules = Rules(version=3, priority=100, own_ip=number(OWN))
    backup = State(Role.BACKUP, 100, NOW + 5, NS_PER_S, number(LOW))
    for priority in (100, 200):
        bench.set(rules, replace(backup, master_priority=priority))
        assert not bench.hear(packet(priority))
    assert bench.lane.timers(bench.index) == (NOW + rules.master_down_ns(100, NS_PER_S), NS_PER_S)
    bench.set(rules, replace(backup, master_priority=50))
    assert not bench.hear(packet(50)), "a lower one is only ignored while we wait to preempt"
    assert bench.hear(packet(60)), "its priority has changed: the machine wants to know"
    bench.lane.take()
    bench.load(State(Role.MASTER, 100, NOW, NS_PER_S, number(OWN)))
    assert not bench.lane.fire(bench.index, NOW)


def test_timers_agree_with_the_machine(bench: Bench) -> None:
    for rules in rules_grid():
        for state in states(rules):
            bench.set(rules, state)
            errors = bench.count("send_errors")
            assert isinstance(errors, int)
            lates = (
                0,
                NS_PER_MS,
                rules.advert_int_ns * 5 // 2,
                rules.patience_ns - rules.advert_int_ns,
                rules.silence_ns,
            )
            for late in lates:
                if state.deadline_ns is None:
                    assert not bench.lane.fire(bench.index, NOW)
                    continue
                bench.load(state)
                now = state.deadline_ns + late
                expected, effects = step(rules, state, TimerFired(), now)
                if bench.lane.fire(bench.index, now):
                    assert bench.lane.take() == [(bench.index, TIMER, 0, 0, 0, 0)]
                    assert state.role is Role.BACKUP or expected.role is Role.BACKUP
                else:
                    assert effects == (SendAdvert(state.priority),)
                    assert bench.state(state) == expected
                    errors += 1
                    assert bench.count("send_errors") == errors, "one frame was tried"


def test_what_came_first_is_handled_first(bench: Bench) -> None:
    """A dirty router takes no short cut; the best advert is kept; a resignation keeps its place."""
    rules = Rules(version=3, priority=100, own_ip=number(OWN))
    state = State(Role.BACKUP, 100, NOW + 5, NS_PER_S, number(LOW))
    bench.set(rules, state)
    assert bench.hear(packet(0, LOW), NOW)
    assert not bench.hear(packet(150, LOW), NOW + 1), "already dirty"
    assert not bench.hear(packet(200, HIGH), NOW + 2)
    assert not bench.hear(packet(120, HIGH), NOW + 3)
    assert bench.lane.take() == [
        (bench.index, ZERO, 0, number(LOW), 0, NOW + 3),
        (bench.index, ADVERT, 200, number(HIGH), NS_PER_S, NOW + 3),
    ]
    bench.hear(packet(150, HIGH), NOW)
    bench.hear(packet(0, HIGH), NOW + 1)
    assert [e[1] for e in bench.lane.take()] == [ADVERT, ZERO]
    assert bench.lane.take() == []


def test_a_late_master_that_heard_another_does_not_speak_first(bench: Bench) -> None:
    rules = Rules(version=3, preempt=False, own_ip=number(OWN))
    bench.set(rules, State(Role.MASTER, 100, NOW, NS_PER_S, number(OWN)))
    late = NOW + 2 * NS_PER_S + 1  # three intervals since its last advert
    bench.hear(packet(50, HIGH), late)
    assert not bench.lane.fire(bench.index, late), "already dirty"
    assert bench.count("send_errors") == 0, "nothing was sent"
    assert [e[1] for e in bench.lane.take()] == [ADVERT, TIMER]
    bench.load(State(Role.MASTER, 100, NOW, NS_PER_S, number(OWN)))
    bench.hear(packet(50, HIGH), NOW)
    bench.lane.fire(bench.index, NOW)
    assert bench.count("send_errors") == 1, "one that is in time speaks whatever is pending"


def test_a_flood_costs_no_memory_and_loses_no_fact(bench: Bench) -> None:
    bench.set(Rules(version=3, own_ip=number(OWN)), State(Role.MASTER, 100, NOW, NS_PER_S, number(OWN)))
    assert bench.lane.hear_many(bench.slot, packet(1, HIGH), NOW, 100_000) == 1
    bench.hear(packet(254, LOW))
    assert bench.lane.take() == [(bench.index, ADVERT, 254, number(LOW), NS_PER_S, NOW)]
    assert bench.count("received") == 100_001


# -- what is dropped, by reason ------------------------------------------------------------------------------------

V3 = Rules(version=3, own_ip=number(OWN))
V2 = Rules(version=2, own_ip=number(OWN))
BACKUP = State(Role.BACKUP, 100, NOW + 5, NS_PER_S, number(HIGH))


def spoiled(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]


@pytest.mark.parametrize(
    ("reason", "rules", "data"),
    [
        ("short", V3, packet(1)[:26]),
        ("checksum", V3, spoiled(packet(1), 22, 9)),
        ("ttl", V3, packet(1, ttl=254)),
        ("version", V3, spoiled(packet(1), 20, 0x41)),
        ("type", V3, spoiled(packet(1), 20, 0x32)),
        ("length", V3, spoiled(packet(1), 23, 9)),
        ("length", V3, packet(1, addresses=[])),
        ("version_differs", V3, packet(1, version=2)),
        ("version_differs", V2, packet(1, version=3)),
        ("self", V3, packet(1, OWN)),
        ("interval", V2, packet(1, version=2, adver_cs=200)),
        ("auth_type", V2, packet(1, version=2, auth_type=1, auth=b"secret")),
    ],
)
def test_dropped_by_reason(bench: Bench, reason: str, rules: Rules, data: bytes) -> None:
    bench.set(rules, BACKUP)
    assert not bench.hear(data)
    assert bench.discarded() == {reason: 1}
    assert bench.count("received") == 0
    assert bench.state(BACKUP) == BACKUP, "nothing on the wire changes state"


def test_password(bench: Bench) -> None:
    bench.set(V2, BACKUP, auth=b"secret\0\0")
    for auth_type, word in ((1, b"secreT"), (0, b""), (1, b"")):
        assert not bench.hear(packet(200, version=2, auth_type=auth_type, auth=word))
    assert bench.discarded() == {"auth_type": 1, "auth_password": 2}
    assert bench.hear(packet(200, version=2, auth_type=1, auth=b"secret"))


def test_other_addresses_are_counted_told_once_per_peer_and_honoured(bench: Bench) -> None:
    bench.set(V3, replace(BACKUP, master_ip=number(LOW), master_priority=200))
    other = packet(200, LOW, addresses=["10.0.0.101"])
    assert bench.hear(other)
    assert [e[1:4] for e in bench.lane.take()] == [(ADDRESSES, 0, number(LOW)), (ADVERT, 200, number(LOW))]
    assert not bench.hear(other)
    assert bench.count("addresses_differ") == 2
    assert bench.lane.timers(bench.index)[0] == NOW + V3.master_down_ns(100, NS_PER_S)
    bench.set(V3, BACKUP, addresses=socket.inet_aton(VIP) + socket.inet_aton("10.0.0.101"))
    bench.hear(packet(200, HIGH, addresses=["10.0.0.101", VIP]))
    assert bench.count("addresses_differ") == 2, "order does not matter"


def test_garbage_of_every_length_never_raises(bench: Bench) -> None:
    bench.set(V3, BACKUP)
    good = packet(1)
    for size in range(len(good)):
        bench.hear(good[:size])
        bench.hear(bytes(size))
        bench.hear(b"\xff" * size)
    bench.hear(packet(1, vrid=8))
    counters = bench.lane.socket_counters(bench.slot)
    assert counters["malformed"] > 0
    assert counters["unknown_vrid"] > 0
    assert bench.state(BACKUP) == BACKUP


def test_one_vrid_on_one_interface_told_apart_by_destination(bench: Bench) -> None:
    bench.set(V3, BACKUP)
    unicast = bench.lane.add()
    bench.lane.configure(
        unicast, slot=bench.slot, listen_ip=socket.inet_aton(OWN), version=3, vrid=7, own_ip=number(OWN),
        advert_int_ns=NS_PER_S, silence_ns=4 * NS_PER_S, down_adverts=3, preempt=True, patient=False, auth=b"",
        addresses=socket.inet_aton(VIP), tx_fd=-1, frames=[],
    )  # fmt: skip
    bench.lane.load(unicast, ROLES.index(Role.BACKUP), 100, NOW, NS_PER_S, 0, 0, False, False)
    assert bench.hear(packet(200, LOW, dst=OWN, ttl=64)), "unicast may have crossed routers"
    assert [e[0] for e in bench.lane.take()] == [unicast]
    assert bench.hear(packet(200, LOW))
    assert [e[0] for e in bench.lane.take()] == [bench.index]
    bench.lane.remove(unicast)
    assert not bench.hear(packet(200, LOW, dst=OWN))


SIX = Rules(version=3, own_ip=number(OWN6))
BACKUP6 = State(Role.BACKUP, 100, NOW + 5, NS_PER_S, number(HIGH6))


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("checksum", spoiled(packet(1, LOW6), 42, 9)),
        ("checksum", spoiled(packet(1, LOW6), 15, 9)),  # of the source
        ("ttl", packet(1, LOW6, ttl=254)),
        ("version", spoiled(packet(1, LOW6), 40, 0x21)),
        ("type", spoiled(packet(1, LOW6), 40, 0x32)),
        ("length", spoiled(packet(1, LOW6), 43, 2)),
        ("length", packet(1, LOW6)[:-1]),
        ("short", packet(1, LOW6)[:47]),
        ("self", packet(1, OWN6)),
    ],
)
def test_dropped_over_ipv6(bench6: Bench, reason: str, data: bytes) -> None:
    bench6.set(SIX, BACKUP6)
    assert not bench6.hear(data)
    assert bench6.discarded() == {reason: 1}
    assert bench6.state(BACKUP6) == BACKUP6


def test_ipv6_is_heard_by_destination_and_its_addresses_compared(bench6: Bench) -> None:
    bench6.set(SIX, replace(BACKUP6, master_ip=number(LOW6), master_priority=200))
    assert not bench6.hear(packet(200, LOW6, dst=OWN6)), "unicast, and we take part by multicast"
    assert bench6.lane.socket_counters(bench6.slot)["unknown_vrid"] == 1
    assert not bench6.hear(packet(200, LOW6))
    assert bench6.lane.timers(bench6.index)[0] == NOW + SIX.master_down_ns(100, NS_PER_S)
    assert bench6.hear(packet(200, LOW6, addresses=[VIP6, "2001:db8::1"]))
    assert next(e[1:4] for e in bench6.lane.take()) == (ADDRESSES, 0, number(LOW6))
    assert not bench6.hear(packet(200, LOW6, vrid=8))
    assert bench6.lane.strangers(bench6.slot) == {8: number(LOW6)}
    assert [peer[:3] for peer in bench6.lane.peers(bench6.index)] == [(number(LOW6), 200, 2)]


def test_where_packets_come_all_the_time_the_loop_rests() -> None:
    reactor = Reactor()
    lane = Lane(reactor)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setblocking(False)
    slot = lane.add_socket(near.fileno())
    packets = 300
    most_ms = lane.rest_ns / NS_PER_MS

    def send() -> None:
        for _ in range(packets):
            far.send(b"x")
            time.sleep(0.0001)

    def stop_when_heard() -> None:
        if lane.socket_counters(slot)["malformed"] == packets:
            reactor.stop()
        else:
            reactor.call_later(5 * NS_PER_MS, stop_when_heard)

    sender = threading.Thread(target=send)
    begun, turns = reactor.now_ns(), reactor.turns
    sender.start()
    reactor.call_later(5 * NS_PER_MS, stop_when_heard)
    reactor.run()
    sender.join()
    ms = (reactor.now_ns() - begun) / NS_PER_MS
    lane.close()
    # One look a rest, and three turns for each of Python's timers.
    assert reactor.turns - turns <= ms / most_ms + 3 * (ms / 5 + 1) + 5
    near.close()
    far.close()


def test_no_rest_is_longer_than_a_beat_of_the_quickest_router(bench: Bench) -> None:
    assert bench.lane.rest_ns == 2 * NS_PER_MS
    bench.set(replace(V3, advert_int_ns=NS_PER_CS), BACKUP)
    assert bench.lane.rest_ns == NS_PER_CS // 16


def test_families_do_not_mix(bench6: Bench) -> None:
    with pytest.raises(ValueError, match="families"):
        bench6.set(SIX, BACKUP6, listen_ip=pack_any(GROUP), addresses=pack_any(VIP))
    with pytest.raises(ValueError, match="40 bytes"):
        bench6.hear(packet(200, LOW)[:39])


def test_misuse_raises(bench: Bench) -> None:
    with pytest.raises(IndexError):
        bench.lane.counters(99)
    with pytest.raises(IndexError):
        bench.lane.remove_socket(99)
    with pytest.raises(ValueError, match="listen_ip"):
        bench.set(V3, BACKUP, listen_ip=b"123")
    with pytest.raises(ValueError, match="frame"):
        bench.set(V3, BACKUP, frames=[(b"", 0, b"")])


def test_reasons_have_names() -> None:
    assert len(set(lane_module.REASONS)) == len(lane_module.REASONS)
    assert lane_module.REASONS[: len(advert.VERDICTS)] == advert.VERDICTS
