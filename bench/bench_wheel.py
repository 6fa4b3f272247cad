"""The timer wheel at 10 000 timers, beside a sorted list. Each round does all 10 000."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest

from fastha.loop.wheel import Wheel
from oracles.wheel import TICK_NS, SlowWheel

TIMERS = 10_000
S = 1_000_000_000


def deadlines() -> array[int]:
    """Between now and 10 s from now: adverts, master-down timers, health checks."""
    r = random.Random(10_000)
    return array("q", [r.randrange(TICK_NS, 10 * S) for _ in range(TIMERS)])


class SlowBulk(SlowWheel):
    """The twin with the bulk calls of the wheel's coat."""

    def arm_all(self, deadlines_ns: array[int]) -> None:
        for index, when in enumerate(deadlines_ns):
            self.arm(index, when)

    def disarm_all(self) -> None:
        for index in range(TIMERS):
            self.disarm(index)

    def run_until(self, now_ns: int) -> int:
        self.advance(now_ns)
        popped = 0
        while self.pop() is not None:
            popped += 1
        return popped


def fresh(kind: str) -> Any:
    return Wheel(TIMERS) if kind == "fastha" else SlowBulk()


@pytest.fixture(scope="module", autouse=True)
def correct() -> None:
    """The two agree before either is timed."""
    fast, slow = fresh("fastha"), fresh("python")
    for wheel in (fast, slow):
        wheel.arm_all(deadlines())
    while slow.armed:
        now_ns = slow.next_ns()
        assert fast.next_ns() <= now_ns
        for wheel in (fast, slow):
            wheel.advance(now_ns)
        while (index := slow.pop()) is not None:
            assert fast.pop() == index
        assert fast.pop() is None
    assert fast.check() == 0


KINDS = pytest.mark.parametrize("kind", ["fastha", "python"])


@KINDS
@pytest.mark.benchmark(group="wheel: arm 10 000")
def test_arm(benchmark: Any, kind: str) -> None:
    when = deadlines()
    benchmark.pedantic(lambda w: w.arm_all(when), setup=lambda: ((fresh(kind),), {}), rounds=rounds(kind))


@KINDS
@pytest.mark.benchmark(group="wheel: re-arm 10 000 armed")
def test_rearm(benchmark: Any, kind: str) -> None:
    wheel, when = fresh(kind), deadlines()
    wheel.arm_all(when)
    later = array("q", [w + S for w in when])
    benchmark.pedantic(wheel.arm_all, (later,), rounds=rounds(kind))
    assert wheel.armed == TIMERS


@KINDS
@pytest.mark.benchmark(group="wheel: disarm 10 000")
def test_disarm(benchmark: Any, kind: str) -> None:
    when = deadlines()

    def armed() -> Any:
        wheel = fresh(kind)
        wheel.arm_all(when)
        return (wheel,), {}

    benchmark.pedantic(lambda w: w.disarm_all(), setup=armed, rounds=rounds(kind))


@KINDS
@pytest.mark.benchmark(group="wheel: advance 10 s in 1 ms steps, 10 000 expire")
def test_advance(benchmark: Any, kind: str) -> None:
    when = deadlines()

    def armed() -> Any:
        wheel = fresh(kind)
        wheel.arm_all(when)
        return (wheel,), {}

    def advance(wheel: Any) -> None:
        popped = sum(wheel.run_until(now_ns) for now_ns in range(0, 10 * S + 2 * TICK_NS, S // 1000))
        assert popped == TIMERS

    benchmark.pedantic(advance, setup=armed, rounds=rounds(kind))


def rounds(kind: str) -> int:
    return 50 if kind == "fastha" else 3
