"""The wheel's promises, one by one, in virtual time (the random walk is tests/walk/test_walk_wheel.py)."""

from __future__ import annotations

from array import array

import pytest

from fastha.loop.wheel import Wheel

TICK_NS = 65536
NEVER_NS = 2**63 - 1
YEAR_NS = 365 * 86400 * 10**9


def pop_all(wheel: Wheel) -> list[int]:
    popped = []
    while (index := wheel.pop()) is not None:
        popped.append(index)
    return popped


def test_fires_in_the_first_tick_at_or_after_its_deadline() -> None:
    for deadline_ns, tick in ((1, 1), (TICK_NS - 1, 1), (TICK_NS, 1), (TICK_NS + 1, 2), (64 * TICK_NS, 64)):
        wheel = Wheel(1)
        wheel.arm(0, deadline_ns)
        wheel.advance(tick * TICK_NS - 1)
        assert wheel.pop() is None
        wheel.advance(tick * TICK_NS)
        assert wheel.pop() == 0
        assert wheel.check() == 0


def test_a_deadline_in_the_past_fires_at_the_next_advance_and_not_before() -> None:
    wheel = Wheel(2, now_ns=10 * TICK_NS)
    wheel.arm(0, 3)
    wheel.arm(1, -5)
    assert wheel.pop() is None
    assert wheel.next_ns() == 11 * TICK_NS
    wheel.advance(11 * TICK_NS)
    assert pop_all(wheel) == [0, 1]


def test_rearming_in_the_past_while_popping_ends() -> None:
    wheel = Wheel(1)
    wheel.arm(0, 1)
    wheel.advance(100 * TICK_NS)
    for _ in range(3):
        assert wheel.pop() == 0
        wheel.arm(0, 1)
        assert wheel.pop() is None
        wheel.advance(wheel.next_ns())


def test_order_is_by_tick_then_by_arming_even_across_cascades() -> None:
    far = 64**3 * TICK_NS
    wheel = Wheel(6)
    wheel.arm(0, far + 5)
    wheel.arm(1, far + 4)
    wheel.advance(far - 100 * TICK_NS)  # 0 and 1 come nearer; 2 to 4 are armed near by
    wheel.arm(2, far + 3)
    wheel.arm(3, far - 50 * TICK_NS)
    wheel.advance(far - 2 * TICK_NS)
    assert pop_all(wheel) == [3]
    wheel.arm(4, far + 2)
    wheel.arm(5, far)
    wheel.advance(far + 10 * TICK_NS)
    assert pop_all(wheel) == [5, 0, 1, 2, 4]


def test_one_giant_step_expires_everything_in_order() -> None:
    deadlines = [5 * YEAR_NS, 3, 10**9, 10**6, YEAR_NS, 60 * 10**9]
    wheel = Wheel(len(deadlines))
    for index, when in enumerate(deadlines):
        wheel.arm(index, when)
    wheel.advance(200 * YEAR_NS)
    assert pop_all(wheel) == sorted(range(len(deadlines)), key=deadlines.__getitem__)


def test_disarm_works_on_waiting_and_on_expired_nodes() -> None:
    wheel = Wheel(3)
    for index in range(3):
        wheel.arm(index, TICK_NS)
    wheel.disarm(1)
    wheel.disarm(1)
    wheel.advance(TICK_NS)
    wheel.disarm(0)
    assert not wheel.is_armed(0)
    assert wheel.armed == 1
    assert pop_all(wheel) == [2]
    assert wheel.armed == 0
    assert wheel.next_ns() == NEVER_NS


def test_rearm_moves_a_node() -> None:
    wheel = Wheel(1)
    wheel.arm(0, YEAR_NS)
    wheel.arm(0, TICK_NS)
    assert wheel.armed == 1
    assert wheel.next_ns() == TICK_NS
    wheel.advance(TICK_NS)
    wheel.arm(0, 5 * TICK_NS)  # expired, not popped, armed again
    assert wheel.pop() is None
    wheel.advance(5 * TICK_NS)
    assert wheel.pop() == 0


def test_the_end_of_time_can_be_armed_and_never_comes() -> None:
    wheel = Wheel(1)
    wheel.arm(0, NEVER_NS)
    assert wheel.next_ns() <= NEVER_NS
    wheel.advance(NEVER_NS)
    assert wheel.pop() is None
    assert wheel.check() == 0


def test_bulk_calls_of_the_bench() -> None:
    wheel = Wheel(100)
    wheel.arm_all(array("q", range(1, 101)))
    assert wheel.armed == 100
    wheel.disarm_all()
    assert wheel.armed == 0
    wheel.arm_all(array("q", [TICK_NS * i for i in range(1, 101)]))
    assert wheel.run_until(50 * TICK_NS) == 50
    assert wheel.check() == 0


def test_indexes_are_checked() -> None:
    wheel = Wheel(1)
    with pytest.raises(IndexError):
        wheel.arm(1, 0)
    with pytest.raises(IndexError):
        wheel.arm_all(array("q", [1, 2]))
