"""Rulings: what a decision makes of a real server, and when a drain is over."""

from __future__ import annotations

import pytest

from fastha.checker.drain import IDLE_LOOKS, Ruling, Stance, begin, carry, facts, in_table, live, look, weight
from fastha.model.override import Override

S = 10**9
WALL = 1_700_000_000.0
DRAIN = Override(mode="drain", since=WALL)
LIMITED = Override(mode="drain", since=WALL, deadline=WALL + 10)
HEAVY = Override(mode="weight", weight=7, since=WALL)
DISABLED = Override(mode="disabled", since=WALL)


@pytest.mark.parametrize(
    ("override", "present", "wall", "stance"),
    [
        (HEAVY, True, WALL, Stance.WEIGHT),
        (DISABLED, True, WALL, Stance.OUT),
        (DRAIN, True, WALL, Stance.DRAINING),
        (DRAIN, False, WALL, Stance.OUT),
        (LIMITED, True, WALL + 9.9, Stance.DRAINING),
        (LIMITED, True, WALL + 10, Stance.OUT),
        (LIMITED, True, WALL + 1e9, Stance.OUT),
    ],
)
def test_begin(override: Override, present: bool, wall: float, stance: Stance) -> None:
    assert begin(override, present, 5 * S, wall).stance is stance


def test_what_is_in_the_table() -> None:
    def rows(ruling: Ruling) -> list[int | None]:
        return [in_table(ruling, serves, inhibit) for serves in (True, False) for inhibit in (True, False)]

    assert rows(begin(HEAVY, True, 0, WALL)) == [7, 7, 0, None]
    assert rows(begin(DRAIN, True, 0, WALL)) == [0, 0, 0, 0], "what checks find changes nothing"
    assert rows(begin(DISABLED, True, 0, WALL)) == [None] * 4


def test_only_a_weight_counts() -> None:
    assert [live(begin(o, True, 0, WALL), 3) for o in (HEAVY, DRAIN, DISABLED)] == [7, 0, 0]
    assert [weight(begin(o, True, 0, WALL), 3) for o in (HEAVY, DRAIN, DISABLED)] == [7, 3, 3]
    assert live(None, 3) == weight(None, 3) == 3


def test_a_drain_ends_at_the_second_idle_look_in_a_row() -> None:
    ruling = begin(DRAIN, True, 0, WALL)
    for active in (2, 0, 1, 0, None, 0):
        ruling = look(ruling, active, S)
        assert ruling.stance is Stance.DRAINING
    assert IDLE_LOOKS == 2
    ruling = look(ruling, 0, 2 * S)
    assert (ruling.stance, ruling.ended) == (Stance.OUT, "no connection was active")
    assert look(ruling, 9, 3 * S) is ruling


def test_a_deadline_is_by_the_monotonic_clock_once_the_drain_has_begun() -> None:
    ruling = begin(LIMITED, True, 100 * S, WALL + 4)
    assert ruling.until_ns == 106 * S
    assert look(ruling, 3, 106 * S - 1).stance is Stance.DRAINING
    assert look(ruling, 3, 106 * S).ended == "the deadline passed with 3 active"
    assert look(ruling, None, 106 * S).ended == "the deadline passed"


def test_the_same_decision_goes_on_and_another_begins() -> None:
    drained = look(look(begin(DRAIN, True, 0, WALL), 0, 0), 0, 0)
    assert carry(drained, DRAIN, True, 0, WALL) is drained
    assert carry(drained, HEAVY, False, 0, WALL).stance is Stance.WEIGHT
    assert carry(drained, LIMITED, False, 0, WALL).stance is Stance.OUT


def test_facts_delete_what_is_not_so() -> None:
    one = facts(begin(HEAVY, True, 0, WALL))
    other = facts(begin(LIMITED, True, 0, WALL))
    assert one is not None
    assert other is not None
    assert one.keys() == other.keys(), "every key is in every patch: merged facts keep nothing of another decision"
    assert (one["weight"], one["state"], one["deadline"]) == (7, None, None)
    assert (other["weight"], other["state"], other["deadline"]) == (None, "draining", WALL + 10)
