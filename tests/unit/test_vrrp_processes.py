"""Which processes are meant, how many there are, and since when that counts; and what the connector's bytes say."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fastha.model import Tracker, TrackProcess, VrrpInstance
from fastha.vrrp.process_events import COMM, EXEC, EXIT, FORK, NONE, Event, decode, request
from fastha.vrrp.processes import Census, Seen, matches
from fastha.vrrp.trackers import effective_priority, faults, unknown

S = 1_000_000_000
SLEEP = Seen(b"sleep", (b"sleep", b"77", b"8"))


def one(*argv: str, **more: Any) -> TrackProcess:
    return TrackProcess(name="p", argv=argv, **more)


@pytest.mark.parametrize(
    ("wanted", "seen", "meant"),
    [
        (one("sleep"), SLEEP, True),
        (one("slee"), SLEEP, False),
        (one("a_name_longer_than_the_kernel_keeps"), Seen(b"a_name_longer_t"), True),
        (one("sleep", full_command=True), Seen(b"sleep", (b"/bin/sleep", b"1")), False),
        (one("/bin/sleep", full_command=True), Seen(b"other", (b"/bin/sleep", b"1")), True),
        (one("sleep", "77"), SLEEP, False),
        (one("sleep", "77", "8"), SLEEP, True),
        (one("sleep", match="exact"), SLEEP, False),
        (one("sleep", match="exact"), Seen(b"x", (b"sleep",)), True),
        (one("sleep", "77", match="partial"), SLEEP, True),
        (one("sleep", "7", match="partial"), SLEEP, False),
        (one("sleep", "7", match="initial"), SLEEP, True),
        (one("sleep", "77", "8", "9", match="initial"), SLEEP, False),
        (one("sleep", "7", "8", match="initial"), SLEEP, False),
        (one("sleep", match="initial"), SLEEP, True),
        (one("kthreadd", match="exact"), Seen(b"kthreadd"), False),
    ],
)
def test_who_is_meant(wanted: TrackProcess, seen: Seen, meant: bool) -> None:
    assert matches(wanted, seen) is meant


def counted(wanted: TrackProcess, *pids: int) -> Census:
    census = Census()
    assert census.configure([wanted], 0)
    census.begin()
    for pid in pids:
        census.looked(pid, SLEEP, 0)
    assert census.take() == {}, "not before all were looked at"
    census.end(0)
    return census


def test_the_number_has_two_limits() -> None:
    census = counted(one("sleep", quorum=1, quorum_max=2))
    assert census.take() == {"p": False}
    told = []
    for pid in (1, 2, 3):
        census.looked(pid, SLEEP, 0)
        told.append(census.take())
    census.looked(2, None, 0)
    told.append(census.take())
    assert told == [{"p": True}, {}, {"p": False}, {"p": True}]
    census.looked(1, Seen(b"renamed"), 0)
    census.looked(3, None, 0)
    assert census.take() == {"p": False}
    none = counted(one("sleep", quorum=0, quorum_max=0))
    assert none.take() == {"p": True}
    none.looked(1, SLEEP, 0)
    assert none.take() == {"p": False}


def test_delays_are_those_of_keepalived() -> None:
    """The times at which keepalived 2.2.7 told of its changes, for the same processes at the same times."""
    census = counted(one("sleep", quorum=2, quorum_max=2, fork_delay_ns=1500, terminate_delay_ns=0))
    census.take()
    census.looked(1, SLEEP, 6500)
    census.forked(1, 2, 8000)
    assert census.next_ns() == 9500
    census.expire(9499)
    assert census.take() == {}
    census.expire(9500)
    assert census.take() == {"p": True}
    census.forked(2, 3, 10_500)
    assert census.next_ns() == 12_000, "too many: a new process is what it waits for"
    census.expire(12_000)
    assert census.take() == {"p": False}
    census.looked(3, None, 13_000)
    assert census.take() == {"p": True}
    census.looked(2, None, 15_500)
    assert census.take() == {"p": False}


def test_a_delay_ends_when_all_is_well_again() -> None:
    census = counted(one("sleep", terminate_delay_ns=5 * S), 1)
    census.take()
    census.looked(1, None, S)
    assert census.next_ns() == 6 * S
    census.looked(2, SLEEP, 2 * S)
    assert census.next_ns() is None
    census.expire(9 * S)
    assert census.take() == {}


def test_a_look_at_everything_finds_what_nobody_told_of() -> None:
    census = counted(one("sleep"), 1, 2)
    assert census.take() == {"p": True}
    census.begin()
    census.looked(3, SLEEP, 0)
    census.forked(3, 4, 0)
    census.looked(4, SLEEP, 0)
    census.end(0)
    assert census.counts["p"].pids == {3, 4}


def test_what_stays_is_not_counted_again() -> None:
    census = counted(one("sleep"), 1)
    census.take()
    assert not census.configure([one("sleep", quorum=2)], 0)
    assert census.take() == {"p": False}
    assert census.configure([one("sleep", quorum=2), TrackProcess(name="q", argv=("x",))], 0)
    census.begin()
    census.looked(1, SLEEP, 0)
    census.end(0)
    assert census.take() == {"q": False}
    assert census.configure([one("other")], 0)
    assert set(census.counts) == {"p"}


def test_random_lives_end_in_the_same_count() -> None:
    """Whatever happens, in whatever order, the count is that of those alive that are meant."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    r = random.Random(seed)
    for _ in range(200):
        census = counted(one("sleep", quorum=r.randint(1, 4), quorum_max=r.choice([None, 5])))
        alive: dict[int, bool] = {}
        for now in range(60):
            pid = r.randrange(12)
            what = r.random()
            if what < 0.4 and alive:
                parent = r.choice(list(alive))
                if pid not in alive:
                    alive[pid] = alive[parent]
                    census.forked(parent, pid, now)
            elif what < 0.8:
                alive[pid] = r.random() < 0.5
                census.looked(pid, SLEEP if alive[pid] else Seen(b"other"), now)
            else:
                alive.pop(pid, None)
                census.looked(pid, None, now)
            count = census.counts["p"]
            assert count.pids == {pid for pid, meant in alive.items() if meant}
            assert count.up is count.enough, "nothing waits here"


def test_weights_of_processes() -> None:
    """keepalived.md 2.6: up to 254, and within 1..254 at the end."""
    key = ("process", "p")
    for weight, up, down in ((254, 254, 100), (-254, 100, 1), (20, 120, 100)):
        instance = VrrpInstance(name="a", interface="eth0", vrid=1, track=(Tracker("process", "p", weight),))
        assert (effective_priority(instance, {key: True}), effective_priority(instance, {key: False})) == (up, down)
    bare = VrrpInstance(name="a", interface="eth0", vrid=1, track=(Tracker("process", "p"),))
    assert unknown(bare, {}) == ["process p"]
    assert faults(bare, {key: False}) == ["process p has no quorum"]
    assert faults(bare, {key: True}) == []
    turned = VrrpInstance(name="a", interface="eth0", vrid=1, track=(Tracker("process", "p", 0, True),))
    assert faults(turned, {key: True}) == ["process p has its quorum"]


# -- the connector's bytes. Those below were taken from Linux 6.18.

ANSWER = "4c00000003000000000000000000000001000000010000000000000001000000280000000000000000000000" + 64 * "0"


def message(what: int, *values: int, idx: int = 1) -> bytes:
    import struct

    event = struct.pack("=IIQ", what, 0, 5) + struct.pack(f"={len(values)}I", *values)
    event = event.ljust(40, b"\0")
    body = struct.pack("=IIIIHH", idx, 1, 7, 0, len(event), 0) + event
    return struct.pack("=IHHII", 16 + len(body), 3, 0, 0, 0) + body


def test_events_of_whole_processes() -> None:
    assert decode(bytes.fromhex(ANSWER)) == [Event(NONE, 0, 0)]
    assert decode(message(NONE, 1)) == [Event(NONE, 0, 1)]
    assert decode(message(FORK, 10, 10, 11, 11)) == [Event(FORK, 11, 10)]
    assert decode(message(FORK, 10, 10, 12, 10)) == [], "a thread"
    assert decode(message(EXEC, 11, 11)) == [Event(EXEC, 11)]
    assert decode(message(COMM, 11, 11)) == [Event(COMM, 11)]
    assert decode(message(COMM, 12, 11)) == [], "a thread's name"
    assert decode(message(EXIT, 11, 11, 9, 17)) == [Event(EXIT, 11)]
    assert decode(message(0x4, 11, 11)) == [], "another user"
    assert decode(message(EXIT, 11, 11, idx=2)) == [], "another connector"
    both = message(EXEC, 11, 11) + message(EXIT, 11, 11)
    assert [event.what for event in decode(both)] == [EXEC, EXIT]


def test_no_bytes_break_the_decoder() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    r = random.Random(seed)
    good = [message(w, 10, 10, 11, 11) for w in (NONE, FORK, EXEC, COMM, EXIT)]
    for _ in range(20_000):
        data = bytearray(r.choice(good) + r.choice([b"", r.choice(good)]))
        for _ in range(r.randrange(4)):
            data[r.randrange(len(data))] = r.choice((0, 1, 255, r.randrange(256)))
        events = decode(bytes(data[: r.randrange(len(data) + 1)]) + r.randbytes(r.choice((0, 0, 5))))
        assert len(events) <= 3
        assert all(event.what in (NONE, FORK, EXEC, COMM, EXIT) for event in events)


def test_a_request_is_one_message_of_the_connector() -> None:
    assert (
        request(1).hex() == "28000000030000000000000000000000" + "0100000001000000000000000000000004000000" + "01000000"
    )
