"""Operators' decisions in the checker child: rows, quorum, facts, restarts in the middle of a drain; a seeded walk."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from fastha.checker.ending import Ending
from fastha.dataplane.rows import ServiceKey
from fastha.model import SorryServer, VirtualServer
from fastha.model.override import Override
from unit.test_checker_child import KEY, VS, Kernel, World, server
from walk.seeds import walk

DRAIN = Override(mode="drain", since=1.0)
DISABLED = Override(mode="disabled", since=2.0)
SECOND = 1_000_000_000


class Busy(Kernel):
    """A kernel with connections."""

    def __init__(self) -> None:
        super().__init__()
        self.active: dict[str, int] = {}
        self.deaf = False
        self.asked: list[Collection[ServiceKey] | None] = []

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        self.asked.append(keys)
        if self.deaf:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        dests = self.dump()[KEY].dests if KEY in self.dump() else {}
        return {(KEY, str(key)): {"active": self.active.get(key.ip, 0)} for key in dests}


class Operated(World):
    """A parent that remembers what was decided, and says it before every commit."""

    def __init__(self) -> None:
        self.decided: dict[str, dict[str, Any]] = {}
        super().__init__()
        self.kernel: Busy = Busy()

    def tell(self) -> None:
        self.parent.send(type="overrides", overrides=self.decided)

    def decide(self, *numbers: int, override: Override | None) -> None:
        those = self.decided.setdefault(VS.key, {})
        for number in numbers:
            those.pop(f"192.0.2.{number}:80", None)
            if override is not None:
                those[f"192.0.2.{number}:80"] = asdict(override)
        self.tell()
        self.turn()

    def configure(self, *servers: VirtualServer, previous: dict[str, Any] | None = None) -> None:
        assert self.propose(*servers, previous=previous) == "ready"
        self.tell()
        self.parent.send(type="commit", generation=self.generation)
        self.turn()
        assert self.answers[-1] == {"type": "committed", "generation": self.generation}

    def up(self, *numbers: int) -> None:
        self.end(*((n, Ending.CONNECTED) for n in numbers))

    def down(self, *numbers: int) -> None:
        for _ in range(2):  # one retry
            self.end(*((n, Ending.REFUSED) for n in numbers))

    def fact(self, number: int) -> dict[str, Any]:
        return dict(self.picture["virtual_servers"][VS.key]["real_servers"][f"192.0.2.{number}:80"])

    def table(self) -> dict[int, int]:
        return {int(ip.rpartition(".")[2]): weight for ip, weight in self.weights().items()}


@pytest.fixture
def world() -> Iterator[Operated]:
    w = Operated()
    yield w
    w.close()


def ready(world: Operated, vs: VirtualServer = VS) -> None:
    world.configure(vs)
    world.up(1, 2, 3)


def test_a_drain_waits_for_its_connections(world: Operated) -> None:
    ready(world)
    world.kernel.active["192.0.2.1"] = 4
    world.decide(1, override=DRAIN)
    assert world.table() == {1: 0, 2: 1, 3: 1}
    world.turn(5 * SECOND)
    assert (world.fact(1)["active"], world.fact(1)["override"]["state"]) == (4, "draining")
    assert all(keys == {KEY} for keys in world.kernel.asked), "only what drains is asked for"
    assert world.picture["virtual_servers"][VS.key]["live_weight"] == 2
    world.down(1)
    assert world.table() == {1: 0, 2: 1, 3: 1}, "its failing checks change nothing"
    world.up(1)
    del world.kernel.active["192.0.2.1"]
    world.turn(3 * SECOND)
    assert world.table() == {2: 1, 3: 1}
    assert world.fact(1)["override"]["state"] == "drained"
    assert world.events[-1] == (f"{VS.key} 192.0.2.1:80", "drained, out of the table: no connection was active")
    asked = len(world.kernel.asked)
    world.turn(20 * SECOND)
    assert len(world.kernel.asked) == asked, "nothing drains, nobody asks"
    world.decide(1, override=None)
    assert world.table() == {1: 1, 2: 1, 3: 1}
    assert "override" not in world.fact(1)
    assert "active" not in world.fact(1)


def test_a_kernel_that_does_not_answer_ends_no_drain(world: Operated) -> None:
    ready(world)
    world.decide(1, override=DRAIN)
    world.kernel.deaf = True
    world.turn(20 * SECOND)
    assert world.table()[1] == 0
    world.kernel.deaf = False
    world.turn(3 * SECOND)
    assert 1 not in world.table()


def test_a_weight_rules_while_the_server_is_up(world: Operated) -> None:
    ready(world)
    world.decide(2, override=Override(mode="weight", weight=9))
    assert world.table() == {1: 1, 2: 9, 3: 1}
    assert (world.fact(2)["weight"], world.fact(2)["weight_from"]) == (9, "override")
    assert world.picture["virtual_servers"][VS.key]["live_weight"] == 11
    world.down(2)
    assert world.table() == {1: 1, 3: 1}
    world.up(2)
    assert world.table()[2] == 9
    world.configure(replace(VS, scheduler="wrr"))
    assert world.table()[2] == 9, "a reload keeps it"


def test_the_quorum_is_lost_by_a_drain_as_by_anything_else(world: Operated) -> None:
    vs = replace(VS, quorum=3, sorry_server=SorryServer(ip="192.0.2.99", port=80))
    ready(world, vs)
    world.kernel.active["192.0.2.1"] = 1
    world.decide(1, override=DRAIN)
    assert world.table() == {1: 0, 99: 1}, "the one that drains keeps its connections"
    assert world.quorums == {VS.key: False}
    world.down(2)
    world.up(2)
    assert world.quorums == {VS.key: False}, "what an operator took away does not lower what is needed"
    world.decide(1, override=None)
    assert world.table() == {1: 1, 2: 1, 3: 1}
    assert world.quorums == {VS.key: True}


def test_a_disabled_server_is_out_even_if_it_inhibits(world: Operated) -> None:
    ready(world, replace(VS, real_servers=(server(1, inhibit_on_failure=True), server(2), server(3))))
    world.decide(1, override=DISABLED)
    assert world.table() == {2: 1, 3: 1}
    world.down(1)
    assert world.table() == {2: 1, 3: 1}
    world.decide(1, override=None)
    assert world.table() == {1: 0, 2: 1, 3: 1}


@pytest.mark.parametrize("known", [True, False])
def test_a_restart_in_the_middle_of_a_drain_writes_nothing(world: Operated, known: bool) -> None:
    ready(world)
    world.kernel.active["192.0.2.1"] = 1
    world.decide(1, override=DRAIN)
    world.decide(2, override=Override(mode="weight", weight=0))
    world.decide(3, override=DISABLED)
    world.turn(3 * SECOND)
    before, applied = world.weights(), world.kernel.applied
    world.crash()
    world.configure(VS, previous={**world.picture, "died_ago_ns": 1} if known else {})
    assert world.weights() == before
    assert world.kernel.applied == applied
    assert world.fact(1)["override"]["state"] == "draining"
    del world.kernel.active["192.0.2.1"]
    world.turn(3 * SECOND)
    assert world.table() == {2: 0}
    world.crash()
    world.configure(VS)
    assert world.table() == {2: 0}, "what is drained stays out"
    assert world.fact(1)["override"]["state"] == "drained"


def test_decisions_about_strangers_wait_for_them(world: Operated) -> None:
    ready(world)
    world.decided = {"10.9.9.9:1/tcp": {"192.0.2.1:80": asdict(DRAIN)}, VS.key: {"192.0.2.4:80": asdict(DISABLED)}}
    world.tell()
    world.turn()
    assert world.table() == {1: 1, 2: 1, 3: 1}
    world.configure(replace(VS, real_servers=(*VS.real_servers, server(4))))
    assert world.table() == {1: 1, 2: 1, 3: 1}
    assert world.fact(4)["override"]["mode"] == "disabled"


def test_resync_is_answered(world: Operated) -> None:
    ready(world)
    heard: list[dict[str, Any]] = []
    receive = world.parent.receive

    def listening() -> Any:
        messages = receive()
        heard.extend(m for m in messages if m["type"] == "resynced")
        return messages

    world.parent.receive = listening  # type: ignore[method-assign]
    world.parent.send(type="resync", ticket=1)
    world.turn()
    world.kernel._table.clear()
    world.parent.send(type="resync", ticket=2)
    world.turn()
    assert [(m["ticket"], m["ok"], m["operations"]) for m in heard] == [(1, True, 0), (2, True, 4)]
    assert heard[1]["text"].startswith("add service 203.0.113.1:80/tcp")
    assert world.picture["dataplane"]["differed"][0]["text"] == heard[1]["text"]


def test_walk() -> None:
    """Decisions, health, connections, crashes and reloads at random: the table is what a slow twin says."""
    rng = walk("overrides")
    for _ in range(15):
        world = Operated()
        try:
            _one_walk(rng, world)
        finally:
            world.close()


def _one_walk(rng: Any, world: Operated) -> None:
    ready(world)
    up = {1: True, 2: True, 3: True}
    decided: dict[int, Override] = {}
    draining: set[int] = set()
    for step in range(60):
        number = rng.randint(1, 3)
        what = rng.choice(
            ["drain", "disable", "weight", "forget", "up", "down", "busy", "idle", "crash", "reload", "wait"]
        )
        if what in ("drain", "disable", "weight", "forget"):
            override = {
                "drain": Override(mode="drain", since=float(step)),
                "disable": Override(mode="disabled", since=float(step)),
                "weight": Override(mode="weight", weight=rng.randint(1, 9), since=float(step)),
                "forget": None,
            }[what]
            present = number in world.table()
            draining.discard(number)
            decided.pop(number, None)
            if override is not None:
                decided[number] = override
                if what == "drain" and present:
                    draining.add(number)
            world.decide(number, override=override)
        elif what in ("up", "down"):
            getattr(world, what)(number)
            up[number] = what == "up"
        elif what == "busy":
            world.kernel.active[f"192.0.2.{number}"] = rng.randint(1, 5)
        elif what == "idle":
            world.kernel.active.pop(f"192.0.2.{number}", None)
        elif what == "crash":
            before = world.weights()
            world.crash()
            world.configure(VS, previous={**world.picture, "died_ago_ns": 1})
            assert world.weights() == before
        elif what == "reload":
            world.configure(replace(VS, scheduler=rng.choice(["rr", "wrr"])))
        # Long enough that whatever is idle is out; decisions and checks are not in the same instant as looks.
        world.turn(4 * SECOND)
        draining = {n for n in draining if world.kernel.active.get(f"192.0.2.{n}")}
        assert world.table() == _twin(up, decided, draining), (step, what, number)


def _twin(up: dict[int, bool], decided: dict[int, Override], draining: set[int]) -> dict[int, int]:
    table = {}
    for number, is_up in up.items():
        override = decided.get(number)
        if number in draining:
            table[number] = 0
        elif is_up and (override is None or override.mode == "weight"):
            table[number] = override.weight if override else 1
    return table
