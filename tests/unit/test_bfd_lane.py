"""The lane against the machine: over a grid of sessions and packets both must do the same, or the lane must leave the
decision to the machine. No network: packets are handed in, what is sent is read from a socket pair.
"""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fastha.bfd import lane as lane_module
from fastha.bfd.lane import PACKET, REOPEN, TIMER, Lane
from fastha.bfd.machine import Packet, Poll, Session, State, detection_us, new, step, transmit_us
from fastha.bfd.rules import Rules
from fastha.loop.reactor import Reactor
from fastha.model.units import NS_PER_MS, NS_PER_S, NS_PER_US
from fastha.wire import bfd

NOW = 1000 * NS_PER_S
OURS, THEIRS = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
RULES = Rules(min_tx_us=10_000, min_rx_us=10_000, multiplier=3)
ADMIN_DOWN, DOWN, INIT, UP = State
MINE, YOURS = 5, 77


def data(state: State = UP, flags: int = 0, **more: Any) -> bytes:
    """A packet of the neighbour."""
    values = {
        "diag": 0, "multiplier": 3, "mine": YOURS, "yours": MINE, "min_tx_us": 10_000, "min_rx_us": 10_000, **more
    }  # fmt: skip
    return bfd.encode(state=state, flags=flags, **values)


def event(packet: bytes) -> Packet:
    verdict, f = bfd.decode(packet)
    assert verdict == "ok"
    poll, final, demand = (bool(f["flags"] & bit) for bit in (bfd.POLL, bfd.FINAL, bfd.DEMAND))
    return Packet(
        State(f["state"]), f["mine"], f["multiplier"], f["min_tx_us"], f["min_rx_us"], f["diag"], poll, final, demand
    )


class Bench:
    """A lane with one session; what it sends arrives in `wire`."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.lane = Lane(self.reactor)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.multi = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.slot = self.lane.add_socket(self.socket.fileno(), socket.AF_INET, False)
        self.multi_slot = self.lane.add_socket(self.multi.fileno(), socket.AF_INET, True)
        self.out, self.wire = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.wire.setblocking(False)
        self.index = self.add(MINE, THEIRS)
        self.lane.connect(self.index, self.out.fileno())

    def add(self, mine: int, peer: bytes, local: bytes = b"", multihop: bool = False, least_ttl: int = 255) -> int:
        return self.lane.add(
            mine=mine, family=socket.AF_INET, multihop=multihop, peer=peer, local=local, least_ttl=least_ttl
        )

    def load(self, s: Session, rules: Rules = RULES, now_ns: int = NOW) -> None:
        packet = bfd.encode(
            s.state, s.diag, rules.multiplier, s.mine, s.yours, s.desired_us, s.required_us,
            bfd.POLL if s.poll else 0,
        )  # fmt: skip
        self.lane.load(
            self.index, packet,
            {"state": s.remote_state, "diag": s.remote_diag, "flags": bfd.DEMAND if s.remote_demand else 0,
             "multiplier": s.remote_multiplier, "mine": s.yours, "yours": s.mine, "min_tx_us": s.remote_min_tx_us,
             "min_rx_us": s.remote_min_rx_us, "min_echo_us": 0},
            transmit_us(rules, s) * NS_PER_US, detection_us(s) * NS_PER_US,
            -1 if s.detect_at_ns is None else s.detect_at_ns, now_ns,
        )  # fmt: skip

    def session(self, loaded: Session) -> Session:
        at = self.lane.detect_at(self.index)
        return replace(loaded, detect_at_ns=at if at >= 0 else None)

    def hear(self, packet: bytes, now_ns: int = NOW, ttl: int = 255, src: bytes = THEIRS, dst: bytes = OURS) -> bool:
        return self.lane.hear(self.slot, packet, ttl, src, dst, now_ns)

    def sent(self) -> list[bytes]:
        out = []
        try:
            while True:
                out.append(self.wire.recv(100))
        except BlockingIOError:
            return out

    def discarded(self) -> Any:
        return self.lane.counters(self.index)["discarded"]

    def strangers(self) -> Any:
        return self.lane.totals()["discarded"]

    def close(self) -> None:
        self.lane.close()
        self.reactor.close()
        for sock in (self.socket, self.multi, self.out, self.wire):
            sock.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def named(value: object) -> str:
    """Of a parameter, in the name of a test."""
    return value if isinstance(value, str) else "-"


def up(**more: Any) -> Session:
    return replace(
        new(RULES, MINE), state=UP, desired_us=10_000, tx_us=10_000, yours=YOURS, remote_state=UP,
        remote_min_tx_us=10_000, remote_min_rx_us=10_000, remote_multiplier=3, detect_at_ns=NOW + 30 * NS_PER_MS,
        **more,
    )  # fmt: skip


def sessions() -> Iterator[Session]:
    yield new(RULES, MINE)
    for state, remote in itertools.product((DOWN, INIT, UP), State):
        yield replace(up(), state=state, remote_state=remote)
    for poll in Poll:
        yield up(poll=poll)
    yield up(remote_demand=True)
    yield up(remote_diag=3)


def packets() -> Iterator[bytes]:
    for state, flags in itertools.product(State, (0, bfd.POLL, bfd.FINAL, bfd.DEMAND, bfd.INDEPENDENT)):
        yield data(state, flags)
    for more in (
        {"multiplier": 4}, {"mine": 78}, {"min_tx_us": 20_000}, {"min_rx_us": 0}, {"diag": 3}, {"min_echo_us": 50}
    ):  # fmt: skip
        yield data(**more)


def test_packets_agree_with_the_machine(bench: Bench) -> None:
    shortcuts = 0
    for session, packet in itertools.product(sessions(), packets()):
        bench.load(session)
        expected, effects = step(RULES, session, event(packet), NOW + 7)
        if bench.hear(packet, NOW + 7):
            ((index, what, fields, heard_ns),) = bench.lane.take(99)
            assert (index, what, heard_ns) == (bench.index, PACKET, NOW + 7)
            assert fields == bfd.decode(packet)[1]
            assert bench.session(session) == session, "what is left to the machine is not touched"
        else:
            shortcuts += 1
            assert effects == ()
            assert bench.session(session) == expected, (session, packet.hex())
    assert bench.sent() == []
    assert shortcuts > 10


def test_the_steady_packet_takes_the_short_cut(bench: Bench) -> None:
    for poll in Poll:  # also while ours is not answered yet
        bench.load(up(poll=poll))
        assert not bench.hear(data(), NOW + 1)
        assert bench.lane.detect_at(bench.index) == NOW + 1 + 30 * NS_PER_MS


def test_a_dirty_session_keeps_the_last_packet_and_every_question(bench: Bench) -> None:
    bench.load(up())
    assert bench.hear(data(flags=bfd.POLL), NOW)
    assert not bench.hear(data(flags=bfd.FINAL), NOW + 1), "already dirty"
    assert not bench.hear(data(DOWN), NOW + 2)
    ((_, what, fields, heard_ns),) = bench.lane.take(99)
    assert fields is not None
    assert (what, fields["state"], heard_ns) == (PACKET, DOWN, NOW + 2)
    assert fields["flags"] == bfd.POLL | bfd.FINAL
    assert bench.lane.take(99) == []
    bench.hear(data(DOWN), NOW)
    assert bench.lane.take(99)[0][2] == bfd.decode(data(DOWN))[1], "nothing is left of the time before"


def test_those_that_are_not_taken_stay_dirty(bench: Bench) -> None:
    indexes = [bench.add(100 + i, bytes([10, 0, 1, i])) for i in range(5)]
    for i in range(5):
        assert bench.hear(data(DOWN, yours=100 + i), NOW)
    assert [e[0] for e in bench.lane.take(2)] == indexes[:2]
    assert not bench.hear(data(INIT, yours=104), NOW + 1), "it is dirty still"
    assert bench.hear(data(DOWN, yours=100), NOW + 1), "and this one again"
    last = bench.lane.take(99)
    assert [e[0] for e in last] == [*indexes[2:], indexes[0]]
    assert last[2][2] is not None
    assert last[2][2]["state"] == INIT
    assert bench.lane.take(99) == []
    assert bench.hear(data(DOWN, yours=101), NOW)
    assert [e[0] for e in bench.lane.take(99)] == [indexes[1]]


def test_silence_is_the_machines(bench: Bench) -> None:
    bench.load(up())
    at = NOW + 30 * NS_PER_MS
    assert not bench.lane.fire(bench.index, TIMER, at - 1), "too early: it re-arms itself"
    bench.hear(data(), NOW + NS_PER_MS)
    assert not bench.lane.fire(bench.index, TIMER, at), "heard since"
    assert bench.lane.fire(bench.index, TIMER, at + 2 * NS_PER_MS)
    assert bench.lane.take(99) == [(bench.index, TIMER, None, 0)]
    assert bench.lane.counters(bench.index)["detect_late_max_ns"] == NS_PER_MS


def test_what_the_kernel_has_is_heard_before_silence_counts() -> None:
    """A reader that was slow for seconds finds the neighbour's packet in its socket, and nobody is declared dead."""
    bench = Bench()
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2))
    try:
        ours.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        ours.bind(("127.0.0.1", 0))
        theirs.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        theirs.sendto(data(), ours.getsockname())
        bench.lane.add_socket(ours.fileno(), socket.AF_INET, False)
        now = bench.reactor.now_ns()
        bench.load(replace(up(), detect_at_ns=now - 5 * NS_PER_S))
        assert not bench.lane.fire(bench.index, TIMER, now)
        assert bench.lane.take(99) == []
        assert bench.lane.counters(bench.index)["received"] == 1
        assert bench.lane.detect_at(bench.index) > now
        bench.load(replace(up(), detect_at_ns=now - 5 * NS_PER_S))
        assert bench.lane.fire(bench.index, TIMER, now), "now there is nothing"
    finally:
        bench.close()
        ours.close()
        theirs.close()


def test_transmission(bench: Bench) -> None:
    bench.load(up(poll=Poll.RUNNING))
    assert not bench.lane.fire(bench.index, PACKET, NOW)
    bench.lane.send(bench.index)
    bench.lane.send(bench.index, final=True)
    periodic, again, final = bench.sent()
    assert periodic == again == bfd.encode(UP, 0, 3, MINE, YOURS, 10_000, 10_000, bfd.POLL)
    assert final == bfd.encode(UP, 0, 3, MINE, YOURS, 10_000, 10_000, bfd.FINAL), "never both, section 6.5"
    assert bench.lane.counters(bench.index)["sent"] == 3
    bench.load(replace(up(), remote_min_rx_us=0))
    bench.lane.fire(bench.index, PACKET, NOW)
    assert bench.sent() == [], "silence was asked for"


def test_jitter(bench: Bench) -> None:
    """RFC 5880 section 6.8.7; with a multiplier of 1 it must be 75 to 90 percent, which suits all others too."""
    for interval_ns in (3_300_000, 10 * NS_PER_MS, 4_294_967_295_000):
        draws = [bench.lane.jittered_ns(interval_ns) for _ in range(4000)]
        assert min(draws) >= interval_ns * 0.75 - 2
        assert max(draws) <= interval_ns * 0.9 + 2
        assert max(draws) - min(draws) > interval_ns * 0.14
        assert abs(sum(draws) / len(draws) / interval_ns - 0.825) < 0.005


def test_a_socket_that_does_not_send_is_reported_once_a_second(bench: Bench) -> None:
    bench.load(up())
    bench.wire.close()
    assert bench.lane.fire(bench.index, PACKET, NOW), "EPIPE"
    assert bench.lane.take(99) == [(bench.index, REOPEN, None, 0)]
    assert not bench.lane.fire(bench.index, PACKET, NOW + NS_PER_S // 2)
    assert bench.lane.fire(bench.index, PACKET, NOW + NS_PER_S)
    assert bench.lane.counters(bench.index)["send_errors"] == 3
    bench.lane.connect(bench.index, -1)
    bench.lane.take(99)
    assert not bench.lane.fire(bench.index, PACKET, NOW + 5 * NS_PER_S), "without a socket there is nothing to report"


# -- what is dropped, by reason ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "packet", "ttl"),
    [
        ("ttl", data(), 254),
        ("ttl", data(), -1),
        ("authentication", data(flags=bfd.AUTH)[:3] + bytes([26]) + data()[4:] + b"\1\2", 255),
    ],
    ids=named,
)
def test_dropped_by_the_session(bench: Bench, reason: str, packet: bytes, ttl: int) -> None:
    bench.load(up())
    assert not bench.hear(packet, ttl=ttl)
    assert bench.discarded() == {reason: 1}
    assert bench.session(up()) == up(), "nothing that is dropped changes anything"
    assert bench.lane.counters(bench.index)["received"] == 0


@pytest.mark.parametrize(
    ("reason", "packet", "src"),
    [
        ("short", data()[:23], THEIRS),
        ("version", bytes([0x40]) + data()[1:], THEIRS),
        ("length", data()[:3] + bytes([23]) + data()[4:], THEIRS),
        ("length", data()[:3] + bytes([25]) + data()[4:], THEIRS),
        ("multiplier", data(multiplier=0), THEIRS),
        ("multipoint", data(flags=1), THEIRS),
        ("my_discriminator", data(mine=0), THEIRS),
        ("your_discriminator", data(UP, yours=0), THEIRS),
        ("your_discriminator", data(INIT, yours=0), THEIRS),
        ("no_session", data(yours=6), THEIRS),
        ("no_session", data(DOWN, yours=0), OURS),
    ],
    ids=named,
)
def test_dropped_before_there_is_a_session(bench: Bench, reason: str, packet: bytes, src: bytes) -> None:
    bench.load(up())
    assert not bench.hear(packet, src=src)
    assert bench.strangers() == {reason: 1}
    assert bench.discarded() == {}
    assert bench.session(up()) == up()


def test_admin_down_hears_nothing(bench: Bench) -> None:
    bench.load(replace(new(RULES, MINE), state=ADMIN_DOWN))
    assert not bench.hear(data(DOWN))
    assert bench.discarded() == {"admin_down": 1}


def test_which_session(bench: Bench) -> None:
    """By Your Discriminator, else by address and kind; a source address tells two sessions with one neighbour apart."""
    first, second = socket.inet_aton("10.0.0.11"), socket.inet_aton("10.0.0.12")
    other = socket.inet_aton("10.0.0.3")
    here = {local: bench.add(100 + i, other, local) for i, local in enumerate((first, second))}
    far = bench.add(200, other, multihop=True, least_ttl=250)
    hello = data(DOWN, yours=0)
    for local, index in here.items():
        assert bench.hear(hello, src=other, dst=local)
        assert [e[0] for e in bench.lane.take(99)] == [index]
    assert bench.lane.hear(bench.multi_slot, hello, 250, other, first, NOW)
    assert [e[0] for e in bench.lane.take(99)] == [far]
    assert not bench.lane.hear(bench.multi_slot, hello, 249, other, first, NOW)
    assert bench.lane.counters(far)["discarded"] == {"ttl": 1}
    assert not bench.hear(hello, src=other, dst=OURS)
    assert bench.strangers() == {"no_session": 1}
    assert bench.hear(data(DOWN, yours=101), src=second, dst=second), "section 6.3: the discriminator alone"
    assert [e[0] for e in bench.lane.take(99)] == [here[second]]
    assert not bench.hear(data(DOWN, yours=200), src=other), "single hop packet for a multihop session"
    assert bench.lane.counters(far)["discarded"] == {"ttl": 1, "port": 1}
    bench.lane.configure(far, multihop=True, peer=other, local=b"", least_ttl=0, family=socket.AF_INET)
    assert bench.lane.hear(bench.multi_slot, hello, 1, other, first, NOW)
    bench.lane.remove(far)
    assert bench.lane.take(99) == [], "what was pending goes with it"
    assert not bench.lane.hear(bench.multi_slot, hello, 250, other, first, NOW)


def test_many_sessions_find_themselves(bench: Bench) -> None:
    r = random.Random(1)
    known = {}
    for i in range(3000):
        mine = r.randrange(100, 1 << 32)
        known[bench.add(mine, bytes([10, 1, i >> 8, i & 255]))] = mine, bytes([10, 1, i >> 8, i & 255])
    for index, (mine, peer) in known.items():
        assert bench.hear(data(DOWN, yours=mine), src=OURS)
        assert [e[0] for e in bench.lane.take(99)] == [index]
        assert bench.hear(data(DOWN, yours=0), src=peer)
        assert [e[0] for e in bench.lane.take(99)] == [index]
        bench.lane.remove(index)
    assert not bench.hear(data(DOWN, yours=mine))


def test_misuse_raises(bench: Bench) -> None:
    with pytest.raises(ValueError, match="taken"):
        bench.add(MINE, THEIRS)
    with pytest.raises(ValueError, match="not 0"):
        bench.add(0, THEIRS)
    with pytest.raises(ValueError, match="bytes"):
        bench.add(9, b"123")
    with pytest.raises(IndexError):
        bench.lane.counters(99)
    with pytest.raises(ValueError, match="24 bytes"):
        bench.lane.load(bench.index, b"", bfd.decode(data())[1], 0, 0, -1, NOW)
    with pytest.raises(ValueError, match="four"):
        bench.lane.add_socket(0, 99, False)


def test_reasons_have_names() -> None:
    assert len(set(lane_module.REASONS)) == len(lane_module.REASONS)
    assert lane_module.REASONS[: len(bfd.VERDICTS)] == bfd.VERDICTS
