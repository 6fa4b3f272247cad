"""A virtual server turns at one moment, whatever is answered or decided while that is prepared; and the pieces of the
work are small."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from types import FrameType
from typing import Any

import pytest

from fastha.checker import plan, renewal, roster
from fastha.checker.ending import Ending
from fastha.checker.prepare import refusing
from fastha.child.work import run
from fastha.model import Config, RealServer, SorryServer, TcpCheck, VirtualServer
from fastha.model.override import Override
from unit.test_checker_child import KEY, VS, S, World, server

OTHER = replace(VS, ip="203.0.113.2")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(renewal, "PIECE", 3)
    monkeypatch.setattr(roster, "PIECE", 3)
    w = World()
    yield w
    w.close()


def changed(rng: random.Random, had: tuple[RealServer, ...]) -> tuple[RealServer, ...]:
    """Some go, some come, some have another weight or another check."""
    out = []
    for rs in had:
        word = rng.random()
        if word < 0.1:
            continue
        if word < 0.25:
            rs = replace(rs, weight=rng.randint(0, 9), inhibit_on_failure=rng.random() < 0.5)
        elif word < 0.4:
            check = rs.checks[0]
            rs = replace(rs, checks=(replace(check, retry=rng.randint(0, 1), delay_ns=rng.choice([5, 6]) * S),))
        out.append(rs)
    there = {rs.key for rs in out}
    for number in range(1, 30):
        if (rs := server(number)).key not in there and rng.random() < 0.15:
            out.insert(rng.randint(0, len(out)), rs)
    return tuple(out)


def check_all(world: World) -> None:
    """Nothing is left of how it came to be so."""
    asked = set()
    for key, ward in world.checker.roster.wards.items():
        now = ward.plan
        assert key == now.server.key
        assert [s.index for s in ward.servers] == list(range(len(ward.servers)))
        assert [s.config for s in ward.servers] == list(now.server.real_servers)
        assert all(s.ward is ward for s in ward.servers)
        assert [s.up for s in ward.servers] == list(now.up)
        fresh = plan.start(now.server, now.up, now.quorum, now.rulings, now.weights)
        assert (fresh.live_weight, fresh.quorum) == (now.live_weight, now.quorum)
        assert (fresh.keys, fresh.dests) == (now.keys, now.dests)
        assert world.kernel.dump()[ward.key].dests == plan.row(now).dests
        told = world.picture["virtual_servers"][key]
        assert told["live_weight"] == now.live_weight
        assert told["real_servers"].keys() == {s.config.key for s in ward.servers}
        for s in ward.servers:
            one = told["real_servers"][s.config.key]
            dest = plan.row(now).dests.get(now.keys[s.index])
            assert (one["health"], one.get("in_table")) == (s.health.value, dest.weight if dest else None)
            assert [w.check for w in s.watches] == list(s.config.checks)
            assert all(s in w.servers for w in s.watches)
            asked.update(s.watches)
    assert len(asked) == len(world.engine.slots)


def happen(world: World, rng: random.Random, decided: dict[str, dict[str, Any]]) -> None:
    """Something that does not wait for the work to be done."""
    numbers = sorted({int(slot.target[0].rpartition(".")[2]) for slot in world.engine.slots.values()})
    if rng.random() < 0.15:
        key = f"192.0.2.{rng.randint(1, 29)}:80"
        of = decided.setdefault(VS.key, {})
        if of.pop(key, None) is None:
            mode = rng.choice(["drain", "disabled", "weight"])
            of[key] = asdict(Override(mode=mode, since=1.0, weight=3 if mode == "weight" else 0))
        world.checker.overrides.take(decided)
    for number in rng.sample(numbers, min(len(numbers), rng.randint(0, 3))):
        slots = [i for i, slot in world.engine.slots.items() if slot.target[0] == f"192.0.2.{number}"]
        ending = rng.choice([Ending.CONNECTED, Ending.REFUSED])
        world.engine.end(*((slot, ending) for slot in slots))


@pytest.mark.parametrize("seed", range(40))
def test_it_is_as_configured_whatever_happens_meanwhile(world: World, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    decided: dict[str, dict[str, Any]] = {}
    first = tuple(server(number) for number in range(1, 20))
    sorry = SorryServer(ip="192.0.2.200", port=80) if seed % 2 else None
    servers = [replace(VS, real_servers=first, quorum=9, sorry_server=sorry), replace(OTHER, real_servers=first[:9])]
    world.configure(*servers)
    for _ in range(6):
        servers = [replace(vs, real_servers=changed(rng, vs.real_servers)) for vs in servers]
        assert world.propose(*servers) == "ready"
        before = {key: row.service for key, row in world.kernel.dump().items()}
        for _step in world.checker._apply():
            happen(world, rng, decided)
            assert {key: row.service for key, row in world.kernel.dump().items()} == before
        world.turn()
        check_all(world)
        happen(world, rng, decided)
        world.turn()
        check_all(world)


def test_until_it_turns_the_table_is_as_before(world: World) -> None:
    many = replace(VS, real_servers=tuple(server(number) for number in range(1, 30)))
    world.configure(many)
    heavier = replace(many, real_servers=tuple(replace(rs, weight=7) for rs in many.real_servers[1:]))
    assert world.propose(heavier) == "ready"
    seen = []
    for _ in world.checker._apply():
        wanted = world.checker.table.wanted(KEY) if world.checker.table else None
        assert wanted is not None
        seen.append((len(wanted.dests), {dest.weight for dest in wanted.dests.values()}))
    assert seen[0] == (29, {1})
    assert seen[-1] == (28, {7})
    assert len(set(map(str, seen))) == 2
    world.turn()
    assert set(world.weights().values()) == {7}


def test_who_falls_while_its_other_check_is_opened_stays_down(world: World) -> None:
    """A changed check counts as what was known until it has an answer: also what was known a moment before it turns."""
    some = replace(VS, real_servers=tuple(server(number) for number in range(1, 30)))
    world.configure(some)
    (slot,) = [i for i, one in world.engine.slots.items() if one.target[0] == "192.0.2.1"]
    rs = some.real_servers[0]
    other = replace(rs, checks=(replace(rs.checks[0], delay_ns=77 * S),))
    assert world.propose(replace(some, real_servers=(other, *some.real_servers[1:]))) == "ready"
    fell = False
    for _ in world.checker._apply():
        if len(world.engine.slots) > 29 and not fell:
            fell = True
            world.engine.end((slot, Ending.REFUSED))
    assert fell
    world.turn()
    assert "192.0.2.1" not in world.weights()
    world.end((1, Ending.CONNECTED))
    assert "192.0.2.1" in world.weights()


class Lines:
    """How many lines of Python each step takes."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _frame: FrameType, _event: str, _arg: object) -> Lines:
        self.count += 1
        return self

    def longest(self, steps: Iterator[Any]) -> tuple[int, int]:
        """(of the longest step, how many steps)."""
        before, longest, number = sys.gettrace(), 0, 0
        while True:
            self.count = 0
            sys.settrace(self)
            try:
                next(steps)
            except StopIteration:
                return longest, number
            finally:
                sys.settrace(before)
                longest, number = max(longest, self.count), number + 1


MANY = 8192
MOST = 8000  # lines of one step: less than one for each real server


def many(weight: int = 1, ten: int = 1) -> VirtualServer:
    reals = []
    for number in range(MANY):
        ip = f"10.3.{number >> 8}.{number & 255}"
        check = TcpCheck(ip=ip, port=80, delay_ns=5 * S, warmup_ns=5 * S)
        reals.append(RealServer(ip=ip, port=80, weight=weight if number % (MANY // 10) else ten, checks=(check,)))
    return replace(VS, real_servers=tuple(reals))


def test_pieces_are_small() -> None:
    """Of thousands of real servers in one virtual server ten have another weight: no step looks at all of them in
    Python."""
    world = World()
    checker, slots, lines = world.checker, itertools.count(), Lines()
    # The fake looks for a free slot among all.
    world.engine.open = lambda *_args, **_more: next(slots)  # type: ignore[method-assign]
    world.engine.schedule = lambda *_args, **_more: None  # type: ignore[method-assign]
    world.engine.stats = lambda _slot: (0, 0, -1)  # type: ignore[method-assign]
    try:
        run(checker._prepare(checker.parts.at_once(Config(virtual_servers=(many(),))), "none", {}))
        run(checker._apply())
        draft = checker.parts.at_once(Config(virtual_servers=(many(ten=9),)))
        longest, number = lines.longest(checker._prepare(draft, "none", {}))
        assert longest < MOST
        assert number > 2 * MANY // 64
        longest, number = lines.longest(checker._apply())
        assert longest < MOST
        assert number > 2 * MANY // 64
        assert sorted(dest.weight for dest in world.kernel.dump()[KEY].dests.values())[-12:] == [1, *[9] * 11]
    finally:
        world.close()


def test_trying_all_of_them_is_done_in_pieces() -> None:
    world = World()
    longest, number = Lines().longest(refusing(many(), world.kernel))
    world.close()
    assert longest < MOST
    assert number > 2 * MANY // 64
