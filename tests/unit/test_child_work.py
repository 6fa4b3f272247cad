"""Long work in slices: the loop turns between them, in order, and whatever is cleared is over."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fastha.child.work import SLICE_NS, Work
from oracles.virtual_reactor import VirtualReactor


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


class World:
    def __init__(self) -> None:
        self.reactor = VirtualReactor()
        self.said: list[str] = []
        self.slices: list[int] = []
        self.work = Work(self.reactor, self.slices.append)  # type: ignore[arg-type]

    def steps(self, name: str, count: int, each_ns: int = SLICE_NS // 4) -> Iterator[None]:
        for number in range(count):
            self.said.append(f"{name}{number}")
            self.reactor.pass_time(each_ns)
            yield


@pytest.fixture
def world() -> World:
    return World()


def test_works_run_one_after_another_in_slices(world: World) -> None:
    world.work.add(world.steps("a", 10))
    world.work.add(world.steps("b", 3))
    assert not world.said  # nothing in the caller's turn
    assert not gc.isenabled()
    world.reactor.advance(100 * SLICE_NS)
    assert world.said == [f"a{n}" for n in range(10)] + [f"b{n}" for n in range(3)]
    assert world.work.idle
    assert gc.isenabled()
    assert max(world.slices) <= SLICE_NS + SLICE_NS // 4
    assert len(world.slices) >= 3


def test_what_is_cleared_goes_no_further(world: World) -> None:
    world.work.add(world.steps("a", 1000))
    world.reactor.call_later(5 * SLICE_NS, world.work.clear)
    world.reactor.advance(6 * SLICE_NS)
    some = len(world.said)
    assert 0 < some < 1000
    world.work.clear()
    world.reactor.advance(1000 * SLICE_NS)
    assert len(world.said) == some
    assert gc.isenabled()


def test_a_step_may_clear_the_work_it_is_part_of(world: World) -> None:
    def stops() -> Iterator[None]:
        yield
        world.said.append("stop")
        world.reactor.call_at(world.reactor.now_ns(), world.work.clear)
        world.reactor.pass_time(SLICE_NS)
        yield
        yield from world.steps("late", 5)

    world.work.add(stops())
    world.reactor.advance(10 * SLICE_NS)
    assert "stop" in world.said
    assert world.work.idle
