"""Restart policy: how often, how soon, and what is not worth another try."""

from __future__ import annotations

import pytest

from fastha.channel.status import Exit
from fastha.model.units import NS_PER_S
from fastha.parent.restart import AFTER, STEADY_NS, Ending, History, Then, died, ending_of


def test_every_ending_has_a_rule_and_a_rule_for_every_ending() -> None:
    assert set(AFTER) == set(Ending)


def test_deaths_in_a_row_back_off_to_a_minute() -> None:
    history, now, waits = History(), 0, []
    for _ in range(13):
        started = now
        now += NS_PER_S // 2
        history, decision = died(history, Ending.SIGNALLED, started, now)
        assert decision.then is Then.RETRY
        waits.append(decision.wait_ns / NS_PER_S)
        now += decision.wait_ns
    assert waits == [0, 0, 0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_steady_minute_clears_the_record() -> None:
    history = History(deaths=9)
    history, decision = died(history, Ending.CRASHED, 0, STEADY_NS)
    assert decision.wait_ns == 0
    assert history == History(1)
    history, decision = died(History(deaths=9), Ending.CRASHED, 0, STEADY_NS - 1)
    assert decision.wait_ns == 32 * NS_PER_S


@pytest.mark.parametrize("ending", [e for e in Ending if AFTER[e] is not Then.RETRY])
def test_asked_rests_and_refusals_hold(ending: Ending) -> None:
    history, decision = died(History(5), ending, 0, 1)
    assert decision.then is (Then.REST if ending is Ending.ASKED else Then.HOLD)
    assert decision.wait_ns == 0
    assert history == History()


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (-9, Ending.SIGNALLED),
        (-11, Ending.SIGNALLED),
        (0, Ending.CRASHED),  # nobody asked it to
        (1, Ending.CRASHED),
        (Exit.REFUSED, Ending.REJECTED),
        (Exit.SYSTEM, Ending.NO_SYSTEM),
        (Exit.NO_DAEMON, Ending.CRASHED),
        (255, Ending.CRASHED),
    ],
)
def test_exit_statuses(status: int, ending: Ending) -> None:
    assert ending_of(status) is ending
