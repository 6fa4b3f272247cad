"""What follows a child's end: a table over how it ended, and a back-off over how often. Pure.

    deaths in a row      1   2   3   4    5   6   7   8 ...
    wait, seconds        0   0   0  1/2   1   2   4   8 ... 60

A death counts as "in a row" if the process had run less than a minute: keepalived waits 0, 1, 2, 4 ... 60 s by the same
rule, but a director without a health checker for two seconds is an outage, so the first three are free. A crash loop
costs three extra starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fastha.channel.status import Exit
from fastha.model.units import NS_PER_S

STEADY_NS = 60 * NS_PER_S
BACKOFF_NS = (0, 0, 0, NS_PER_S // 2, *(n * NS_PER_S for n in (1, 2, 4, 8, 16, 32, 60)))


class Ending(Enum):
    """Every way a child can end; the value is how a log line calls it."""

    ASKED = "stopped as asked"
    SIGNALLED = "was killed"
    CRASHED = "ended by itself"
    HUNG = "gave no sign of life and was killed"
    BROKEN = "spoke nonsense on its channel and was killed"
    LATE = "was not ready in time and was killed"
    REFUSED = "refused its configuration and was stopped"
    REJECTED = "ended: configuration refused"
    NO_SYSTEM = "ended: the system refuses what it needs"


class Then(Enum):
    """What to do about it."""

    REST = "rest"  # it was asked to end
    RETRY = "retry"  # another try may go better
    HOLD = "hold"  # it will not: wait for a reload


AFTER: dict[Ending, Then] = {
    Ending.ASKED: Then.REST,
    Ending.SIGNALLED: Then.RETRY,
    Ending.CRASHED: Then.RETRY,
    Ending.HUNG: Then.RETRY,
    Ending.BROKEN: Then.RETRY,
    Ending.LATE: Then.RETRY,
    # Its predecessor ran with this very configuration: what refuses is something outside, and may pass.
    Ending.REFUSED: Then.RETRY,
    Ending.REJECTED: Then.HOLD,
    Ending.NO_SYSTEM: Then.HOLD,
}


@dataclass(frozen=True, slots=True)
class History:
    """`deaths` in a row so far, none of which followed a steady minute."""

    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    then: Then
    wait_ns: int = 0


_BY_STATUS: dict[int, Ending] = {Exit.REFUSED: Ending.REJECTED, Exit.SYSTEM: Ending.NO_SYSTEM}


def ending_of(wait_status: int) -> Ending:
    """How a child ended that was not asked to, from its exit status (negative: the signal, as in subprocess)."""
    if wait_status < 0:
        return Ending.SIGNALLED
    return _BY_STATUS.get(wait_status, Ending.CRASHED)


def died(history: History, ending: Ending, started_ns: int, now_ns: int) -> tuple[History, Decision]:
    """The step: what to do about a child that ran from `started_ns` and ended at `now_ns`."""
    then = AFTER[ending]
    if then is not Then.RETRY:
        return History(), Decision(then)
    before = 0 if now_ns - started_ns >= STEADY_NS else history.deaths
    wait_ns = BACKOFF_NS[min(before, len(BACKOFF_NS) - 1)]
    return History(before + 1), Decision(then, wait_ns)
