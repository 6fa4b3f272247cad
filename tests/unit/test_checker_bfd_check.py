"""BFD_CHECK: the engine that is told, and what the checker makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fastha.checker.bfd_check import BfdStates
from fastha.checker.ending import Ending
from fastha.checker.engine import Answer
from fastha.model import BfdCheck, RealServer
from oracles.virtual_reactor import VirtualReactor
from unit.test_checker_child import VS, World, server

S = 10**9
CHECK = BfdCheck(name="gw", retry=0, delay_ns=S, warmup_ns=0)


class Told:
    """The engine, and what it has answered."""

    def __init__(self) -> None:
        self.reactor = VirtualReactor()
        self.answers: list[tuple[int, Ending]] = []
        self.engine = BfdStates(self.reactor, self.take)  # type: ignore[arg-type]

    def take(self, answers: object) -> None:
        for answer in answers:  # type: ignore[attr-defined]
            assert isinstance(answer, Answer)
            self.answers.append((answer.slot, answer.ending))
            self.engine.schedule(answer.slot, self.reactor.now_ns() + S)  # as the roster does

    def taken(self) -> list[tuple[int, Ending]]:
        answers, self.answers = self.answers, []
        return answers


def test_an_answer_when_it_is_known_and_whenever_it_changes() -> None:
    told = Told()
    slot = told.engine.open(CHECK)
    told.engine.schedule(slot, told.reactor.now_ns())
    told.reactor.advance(5 * S)
    assert told.taken() == [], "nobody has spoken"
    told.engine.update({"gw": True, "other": False})
    assert told.taken() == [(slot, Ending.SESSION_UP)]
    told.engine.update({"gw": True})
    told.reactor.advance(5 * S)
    assert told.taken() == [], "nothing new"
    told.engine.update({"gw": False})
    assert told.taken() == [(slot, Ending.SESSION_DOWN)], "at once"
    assert told.engine.stats(slot) == (2, 1, -1)


def test_a_slot_is_held_until_it_is_scheduled() -> None:
    told = Told()
    told.engine.update({"gw": False})
    slot, other = told.engine.open(CHECK), told.engine.open(CHECK)
    told.engine.update({"gw": True})
    assert told.taken() == []
    told.engine.schedule(slot, told.reactor.now_ns() + S)
    told.engine.schedule(other, told.reactor.now_ns() + 2 * S)
    told.reactor.advance(S)
    assert told.taken() == [(slot, Ending.SESSION_UP)]
    told.engine.close_slot(other)
    told.reactor.advance(5 * S)
    told.engine.update({"gw": False})
    assert told.taken() == [(slot, Ending.SESSION_DOWN)]
    told.engine.close()
    told.engine.update({"gw": True})
    assert told.taken() == []


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def followed(check: BfdCheck) -> RealServer:
    return replace(server(1), checks=(check,))


def test_a_server_falls_with_its_session_and_comes_back(world: World) -> None:
    world.configure(replace(VS, real_servers=(followed(CHECK), server(2))))
    assert world.health(1) == "unknown 1", "until the first word it counts as up"
    for up, health in ((True, "up 1"), (False, "down None"), (True, "up 1")):
        world.parent.send(type="bfds", states={"gw": up})
        world.turn()
        assert world.health(1) == health, "without a retry, without a rise"
    assert [text for _, text in world.events] == ["down: BFD session is down: gw", "up: BFD session is up: gw"]


def test_alpha(world: World) -> None:
    world.configure(replace(VS, real_servers=(followed(replace(CHECK, alpha=True)), server(2))))
    assert world.health(1) == "unknown None"
    world.parent.send(type="bfds", states={"gw": True})
    world.turn()
    assert world.health(1) == "up 1"


def test_a_replacement_keeps_what_was_known(world: World) -> None:
    vs = replace(VS, real_servers=(followed(CHECK), server(2)))
    world.configure(vs)
    world.parent.send(type="bfds", states={"gw": False})
    world.turn()
    world.crash()
    world.configure(vs, previous=world.picture)
    assert world.health(1) == "down None"
    world.parent.send(type="bfds", states={"gw": True})
    world.turn()
    assert world.health(1) == "up 1"
