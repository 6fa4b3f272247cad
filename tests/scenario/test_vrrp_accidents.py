"""Thousands of short stories of accidents on one wire, over IPv4 and IPv6: loss, repetition, reordering, links that
work one way only, cut wires, freezes, kills and replacements, of 2 to 50 routers. Once the wire behaves again each side
has exactly one master, and it alone holds the addresses.

Seeds are in what a failure says; `FASTHA_SCENARIOS=100000` tells more stories than the usual 10 000.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace

import pytest

from fastha.vrrp.machine import Role
from oracles.vrrp_wire import Wire, some_rules

CHUNKS = 8
RUNS = int(os.environ.get("FASTHA_SCENARIOS", "10000")) // CHUNKS
MANY = 50  # routers, in one story of two hundred


def settle(wire: Wire) -> None:
    """Longer than every timer, and than a preempt delay that one more election begins anew."""
    wire.loss = wire.double = 0.0
    wire.cut.clear()
    rules = wire.routers[0].rules
    wire.run(wire.now + 5 * rules.silence_ns + 2 * max(r.rules.preempt_delay_ns for r in wire.routers))


def check(wire: Wire, seed: int) -> None:
    for side in {r.side for r in wire.routers if not r.dead}:
        masters = wire.masters(side)
        assert len(masters) == 1, f"seed {seed}: masters of side {side}: {masters}"
    for i, r in enumerate(wire.routers):
        if not r.dead:
            assert r.addresses == (r.state.role is Role.MASTER), f"seed {seed}: addresses of router {i}"


def accident(wire: Wire, rnd: random.Random) -> None:
    i = rnd.randrange(len(wire.routers))
    router = wire.routers[i]
    match rnd.randrange(6):
        case 0 if router.frozen:
            wire.thaw(i)
        case 0:
            wire.freeze(i)
        case 1 if router.dead:
            wire.start(i)
        case 1:
            wire.kill(i)
        case 2:
            router.side = rnd.randrange(3)
        case 3:
            wire.loss = rnd.choice((0, 0.3, 1))
        case 4:
            wire.cut ^= {(i, rnd.randrange(len(wire.routers)))}
        case 5:
            wire.cut |= {(i, other) for other in range(len(wire.routers))}  # it hears, and is not heard


def story(seed: int) -> Wire:
    rnd = random.Random(seed)
    count = rnd.randint(8, MANY) if seed % 200 == 199 else rnd.choice((2, 2, 3, 3, 4, 5))
    rules = some_rules(rnd, count, six=seed % 2 == 1)
    wire = Wire(seed, rules, loss=rnd.choice((0, 0.1, 0.4)), double=rnd.choice((0, 0.2)))
    interval = rules[0].advert_int_ns
    wire.jitter_ns = rnd.choice((0, interval // 10, interval))
    for i in range(count):
        wire.start(i)
        wire.run(wire.now + rnd.randint(0, interval))
    for _ in range(rnd.randint(1, 6)):
        accident(wire, rnd)
        wire.run(wire.now + rnd.randint(0, 4 * interval))
    for i, router in enumerate(wire.routers):
        if router.frozen and not router.dead:
            wire.thaw(i)
    settle(wire)
    return wire


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_one_master_on_each_side_when_it_is_over(chunk: int) -> None:
    for seed in range(chunk * RUNS, (chunk + 1) * RUNS):
        check(story(seed), seed)


def test_the_check_can_fail() -> None:
    """A wire that goes on being deaf has two masters."""
    wire = story(3)
    wire.cut = {(i, j) for i in range(len(wire.routers)) for j in range(len(wire.routers))}
    wire.run(wire.now + 5 * wire.routers[0].rules.silence_ns)
    with pytest.raises(AssertionError, match="seed 3"):
        check(wire, 3)


def test_fifty_routers() -> None:
    for six in (False, True):
        rnd = random.Random(50)
        rules = some_rules(rnd, MANY, six=six, preempt=True)
        rules = [replace(r, priority=100) for r in rules]
        wire = Wire(50, rules, loss=0.2, double=0.2)
        for i in range(MANY):
            wire.start(i)
        wire.run(6 * rules[0].silence_ns)
        settle(wire)
        check(wire, 50)
        (master,) = wire.masters()
        wire.kill(master)
        settle(wire)
        check(wire, 50)
        assert wire.masters() != [master]


def test_steps_of_the_wall_clock_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same stories, with the host's clock going back and forth by hours between any two looks at it."""
    seeds = range(7, 700, 35)
    before = [[r.changes for r in story(seed).routers] for seed in seeds]
    wild = random.Random(1)
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, lambda: wild.randrange(1 << 60))
    assert [[r.changes for r in story(seed).routers] for seed in seeds] == before
