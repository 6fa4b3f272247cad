"""The wheel against a sorted list, step by step, its invariants checked after each."""

from __future__ import annotations

import random

import pytest

from fastha.loop.wheel import Wheel
from oracles.wheel import NEVER_NS, TICK_NS, SlowWheel
from walk.seeds import walk

EPISODES = 24
STEPS = 800
LEAST, MOST = -(2**63), 2**63 - 1


class Walk:
    """One episode: a wheel and its twin, and distances in time that reach level `far` and no further."""

    def __init__(self, r: random.Random, timers: int, far: int) -> None:
        self.r, self.timers, self.far = r, timers, far
        self.now_ns = r.choice((0, 1, TICK_NS - 1, r.randrange(2**61), 64**far * TICK_NS - 2))
        self.fast, self.slow = Wheel(timers, self.now_ns), SlowWheel(self.now_ns)
        self.popped = 0

    def spread(self) -> int:
        return self.r.randrange(TICK_NS * 64 ** self.r.randrange(self.far + 1))

    def deadline(self) -> int:
        kind = self.r.random()
        if kind < 0.03:
            when = self.r.choice((0, -1, LEAST, MOST))
        elif kind < 0.06:
            when = self.now_ns + self.r.choice((-1, 0, 1))
        elif kind < 0.10:
            when = self.now_ns - self.spread()
        elif kind < 0.25:  # on the edge of a slot of some level
            size = TICK_NS * 64 ** self.r.randrange(self.far + 1)
            when = (self.now_ns // size + self.r.randrange(3)) * size + self.r.choice((-1, 0, 1))
        else:
            when = self.now_ns + self.spread()
        return min(max(when, LEAST), MOST)

    def arm(self, index: int) -> None:
        when = self.deadline()
        self.fast.arm(index, when)
        self.slow.arm(index, when)

    def advance(self) -> None:
        kind = self.r.random()
        if kind < 0.1:  # a step back is no step
            target = self.now_ns - self.spread()
        elif kind < 0.4 and self.slow.armed:  # exactly to the next deadline, as a reactor does
            target = self.slow.next_ns() if self.slow.next_ns() < 2**62 else self.now_ns
        elif kind < 0.9:
            target = self.now_ns + self.spread() // 4
        else:
            target = self.now_ns + self.spread() * 8
        self.now_ns = min(max(target, 0), MOST)
        self.fast.advance(self.now_ns)
        self.slow.advance(self.now_ns)
        for _ in range(self.r.choice((0, 1, self.timers))):  # sometimes not everything is popped
            index = self.fast.pop()
            assert index == self.slow.pop()
            if index is None:
                break
            self.popped += 1
            if self.r.random() < 0.2:  # a handler that re-arms at once, perhaps in the past
                self.arm(index)

    def step(self) -> None:
        index = self.r.randrange(self.timers)
        what = self.r.random()
        if what < 0.55:
            self.arm(index)
        elif what < 0.65:
            self.fast.disarm(index)
            self.slow.disarm(index)
        else:
            self.advance()
        assert self.fast.check() == 0
        assert self.fast.armed == self.slow.armed
        assert self.fast.is_armed(index) == self.slow.is_armed(index)
        assert self.fast.next_ns() <= self.slow.next_ns()
        if self.slow.armed == 0:
            assert self.fast.next_ns() == NEVER_NS


@pytest.mark.parametrize("timers", [1, 3, 40, 400])
def test_wheel_agrees_with_a_sorted_list(timers: int) -> None:
    r = walk("wheel")
    popped = 0
    for episode in range(EPISODES):
        one = Walk(r, timers, far=episode % 8)
        for step in range(STEPS):
            try:
                one.step()
            except AssertionError as error:
                raise AssertionError(f"episode {episode}, step {step}, now {one.now_ns}") from error
        popped += one.popped
    assert popped > EPISODES * STEPS // 20, "too quiet to prove anything"


def test_sleeping_until_next_ns_reaches_every_timer_in_its_tick() -> None:
    """A reactor that sleeps for exactly next_ns fires each timer in its own tick, with few turns in between."""
    r = walk("sleeper")
    count = 300
    wheel = Wheel(count, 0)
    deadlines = [1 + r.randrange(TICK_NS * 64 ** r.randrange(1, 8)) for _ in range(count)]
    for index, when in enumerate(deadlines):
        wheel.arm(index, when)
    turns = 0
    while wheel.armed:
        now_ns = wheel.next_ns()
        wheel.advance(now_ns)
        while (index := wheel.pop()) is not None:
            assert 0 <= now_ns - deadlines[index] < TICK_NS
        turns += 1
    assert turns <= 8 * count
