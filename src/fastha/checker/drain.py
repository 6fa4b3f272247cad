"""What an operator's decision makes of one real server: its weight, whether it counts, when its drain is over. Pure.

    decision      counts for the quorum   in the table
    weight N      while it is up          with weight N where the configured weight would be
    drain         no                      with weight 0 until DRAINED, then not
    disabled      no                      no

What checks find changes nothing in the last two rows. A drain ends when no connection was active at IDLE_LOOKS looks in
a row, a second apart (a handshake that is under way at the first one is active at the second), or at its deadline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from fastha.model.override import Override
from fastha.model.units import NS_PER_S

LOOK_NS = NS_PER_S
IDLE_LOOKS = 2


class Stance(Enum):
    WEIGHT = "weight"
    DRAINING = "draining"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Ruling:
    """`until_ns`: the deadline on the monotonic clock, 0 for none; `idle`: looks in a row that found no active
    connection; `active`: what the last look found, None if the dataplane cannot say; `ended`: why a drain is over."""

    override: Override
    stance: Stance
    until_ns: int = 0
    idle: int = 0
    active: int | None = None
    ended: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is part of the live weight while it is up."""
        return self.stance is Stance.WEIGHT


Rulings = tuple[Ruling | None, ...]  # by real server; () where nothing was decided about any


def begin(override: Override, present: bool, now_ns: int, wall: float) -> Ruling:
    """A decision takes effect. `present`: the server is in the table now; one that is not has nothing to wait for."""
    if override.mode == "weight":
        return Ruling(override, Stance.WEIGHT)
    if override.mode == "disabled":
        return Ruling(override, Stance.OUT)
    if not present:
        return Ruling(override, Stance.OUT, ended="it was not in the table")
    if not override.deadline:
        return Ruling(override, Stance.DRAINING)
    left_ns = round((override.deadline - wall) * NS_PER_S)
    if left_ns <= 0:
        return Ruling(override, Stance.OUT, ended="the deadline passed")
    return Ruling(override, Stance.DRAINING, now_ns + left_ns)


def carry(old: Ruling | None, override: Override, present: bool, now_ns: int, wall: float) -> Ruling:
    """A decision that is in force already goes on as it is."""
    return old if old is not None and old.override == override else begin(override, present, now_ns, wall)


def look(ruling: Ruling, active: int | None, now_ns: int) -> Ruling:
    """One look at the active connections of a server that drains."""
    if ruling.stance is not Stance.DRAINING:
        return ruling
    idle = ruling.idle + 1 if active == 0 else 0
    if idle >= IDLE_LOOKS:
        return replace(ruling, stance=Stance.OUT, active=0, ended="no connection was active")
    if ruling.until_ns and now_ns >= ruling.until_ns:
        left = "" if active is None else f" with {active} active"
        return replace(ruling, stance=Stance.OUT, active=active, ended=f"the deadline passed{left}")
    return replace(ruling, idle=idle, active=active)


def weight(ruling: Ruling | None, configured: int) -> int:
    """The weight that is in force, for people and for the quorum."""
    return ruling.override.weight if ruling is not None and ruling.counts else configured


def live(ruling: Ruling | None, configured: int) -> int:
    """What it adds to the live weight while it is up."""
    return weight(ruling, configured) if ruling is None or ruling.counts else 0


def in_table(ruling: Ruling, serves: bool, inhibit: bool) -> int | None:
    """Its weight in the table, None: not in it. `serves`: up, and the sorry server is not in its place; `inhibit`: a
    failed server stays with weight 0."""
    if ruling.stance is Stance.DRAINING:
        return 0
    if ruling.stance is Stance.OUT:
        return None
    return ruling.override.weight if serves else 0 if inhibit else None


def facts(ruling: Ruling | None) -> dict[str, Any] | None:
    """For status; None if nothing was decided (None in a merge patch deletes)."""
    if ruling is None:
        return None
    override = ruling.override
    drains = override.mode == "drain"
    return {
        "mode": override.mode,
        "weight": override.weight if override.mode == "weight" else None,
        "since": override.since,
        "deadline": override.deadline or None,
        "by": override.by,
        "state": ("drained" if ruling.stance is Stance.OUT else "draining") if drains else None,
        "ended": ruling.ended or None,
    }
