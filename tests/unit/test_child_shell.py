"""The shell both children share, on a virtual loop: channel, heartbeat, facts, ends; and its log."""

from __future__ import annotations

import logging
import os
import random
import select
import socket
from collections.abc import Iterator

import pytest

from fastha.channel.endpoint import Endpoint
from fastha.child import Child
from fastha.child import log as child_log
from fastha.child.patch import apply, combine, conflicts
from fastha.log import Log
from fastha.model import Script
from oracles.virtual_reactor import VirtualReactor

MS = 1_000_000


class Pair:
    """A child on a virtual loop and the parent's end of its channel."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.parent = Endpoint(ours, "down")
        self.reactor = VirtualReactor()
        self.child = Child("tester", Endpoint(theirs, "up"), reactor=self.reactor)  # type: ignore[arg-type]

    def heard(self) -> list[dict[str, object]]:
        return self.parent.receive() if select.select([self.parent], [], [], 0)[0] else []


@pytest.fixture
def pair() -> Iterator[Pair]:
    p = Pair()
    yield p
    p.parent.close()
    p.child.close()


def test_hello_then_heartbeats_every_250_ms_until_stop(pair: Pair) -> None:
    pair.child.on("stop", lambda _m: pair.child.finish(0))
    pair.reactor.call_later(1010 * MS, lambda: pair.parent.send(type="stop"))
    assert pair.child.run() == 0
    messages = pair.heard()
    assert messages[0]["type"] == "hello"
    assert messages[0]["pid"] == os.getpid()
    beats = [m for m in messages if m["type"] == "heartbeat"]
    assert len(beats) == 6  # at 0, 250 ... 1000, and the turn at 1250 that reads `stop` runs its timers first or after
    assert all(isinstance(b["rss_kb"], int) and b["rss_kb"] > 1000 for b in beats)
    assert [b["turns"] for b in beats] == sorted(b["turns"] for b in beats)  # type: ignore[type-var]


def test_a_long_step_says_that_it_goes_on(pair: Pair) -> None:
    for _ in range(100):
        pair.reactor._now += 10 * MS  # a second in which the loop does not turn
        pair.child.progress()
    assert 3 <= len([m for m in pair.heard() if m["type"] == "heartbeat"]) <= 4


def test_facts_are_merged_and_sent_at_most_every_100_ms(pair: Pair) -> None:
    for i in range(50):
        pair.child.facts({"a": {str(i % 5): i}})
        pair.reactor.advance(10 * MS)
    pair.reactor.advance(200 * MS)
    facts = [m["facts"] for m in pair.heard() if m["type"] == "facts"]
    assert 5 <= len(facts) <= 7
    picture: dict[str, object] = {}
    for patch in facts:
        apply(picture, patch)  # type: ignore[arg-type]
    assert picture == {"a": {str(i % 5): i for i in range(45, 50)}}


def test_a_key_deleted_and_made_anew_at_once_does_not_keep_its_old_members(pair: Pair) -> None:
    picture: dict[str, object] = {"vs": {"old": 1}}
    pair.child.facts({"vs": None})
    pair.child.facts({"vs": {"new": 2}})
    pair.reactor.advance(300 * MS)
    for message in pair.heard():
        apply(picture, message["facts"])  # type: ignore[arg-type]
    assert picture == {"vs": {"new": 2}}


def test_patches_add_up_like_applying_them_one_by_one() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)

    def patch(depth: int = 0) -> dict[str, object]:
        return {
            rng.choice("abc"): rng.choice([None, 1, 2, patch(depth + 1) if depth < 2 else 3])
            for _ in range(rng.randrange(3))
        }

    merged = 0
    for _ in range(3000):
        start, first, then = patch(), patch(), patch()
        one: dict[str, object] = {}
        apply(one, start)
        both: dict[str, object] = {}
        apply(both, start)
        apply(one, first)
        apply(one, then)
        if conflicts(first, then):
            continue
        merged += 1
        combine(first, then)
        apply(both, first)
        assert both == one
    assert merged > 1000


def test_a_parent_that_is_gone_ends_the_child_with_1(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("fastha").propagate = True
    pair.reactor.call_later(300 * MS, pair.parent.close)
    assert pair.child.run() == 1
    assert "the parent is gone" in caplog.text


def test_a_parent_that_does_not_read_costs_no_time_and_loses_nothing(pair: Pair) -> None:
    big = "x" * 100_000
    for i in range(50):
        pair.child.event("test", str(i), big, logging.DEBUG)
    got: list[object] = []
    for _ in range(1000):
        pair.reactor.turn()
        got += [m["event"]["subject"] for m in pair.heard()]  # type: ignore[index]
        if len(got) == 50:
            break
    assert got == [str(i) for i in range(50)]


def test_a_message_nobody_handles_is_our_own_fault(pair: Pair) -> None:
    pair.parent.send(type="commit", generation=1)
    with pytest.raises(ValueError, match="no handler"):
        pair.child._ready(select.EPOLLIN)


def test_handlers_only_for_what_a_child_can_hear(pair: Pair) -> None:
    with pytest.raises(ValueError, match="not for a child"):
        pair.child.on("ready", lambda _m: None)


def test_scripts_travel_as_plain_data(pair: Pair) -> None:
    pair.child.script(Script(("/bin/true", "x"), user="nobody"), "10.0.0.1:80/tcp")
    pair.child.script(None, "nothing")
    assert [m for m in pair.heard() if m["type"] == "script"] == [
        {
            "type": "script",
            "script": {"argv": ["/bin/true", "x"], "user": "nobody", "group": "", "supplementary": False},
            "subject": "10.0.0.1:80/tcp",
        }
    ]


def test_limited_lines_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = [0]
    logger = logging.getLogger("fastha.limit")
    logging.getLogger("fastha").propagate = True
    limited = child_log.Limiter(logger, lambda: now[0])
    for _ in range(10):
        limited("peer", 1, "bad packet")
    now[0] = 2 * 10**9
    limited("peer", 1, "bad packet")
    assert [r.getMessage() for r in caplog.records] == [
        "bad packet",
        "bad packet (9 more like this were not logged)",
    ]
    for i in range(10 * child_log.LIMITED_KEYS):
        now[0] += 1000
        limited(f"key {i}", 1, "many")
    assert len(limited._keys) <= child_log.LIMITED_KEYS + 1


def test_a_full_stderr_loses_lines_and_owns_up() -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    handler = child_log.Handler(Log("tester", fd=write, syslog=""))
    record = logging.LogRecord("fastha", logging.INFO, "", 0, "x" * 1000, (), None)
    for _ in range(200):
        handler.emit(record)  # 64 KiB are taken, the rest would block
    os.read(read, 1 << 20)
    handler.emit(record)
    line = os.read(read, 1 << 20).decode().splitlines()[0]
    assert f" info tester[{os.getpid()}]: xxx" in line
    assert "lines before this one were lost)" in line
    handler.close()
    os.close(read)
    os.close(write)
