"""What an operator decided at run time about a real server or an instance; stronger than configuration and health."""

from __future__ import annotations

from fastha.lean import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """`mode`: "weight" (use `weight`, while it is up), "drain" (weight 0 until no connection is active or
    `deadline` has passed, then out of the table), "disabled" (out of the table now).

    A real server that is drained or disabled does not count for the quorum. `deadline` and `since` are wall clock,
    seconds since the epoch (they survive a restart of the machine); deadline 0: none.
    """

    mode: str
    weight: int = 0
    deadline: float = 0.0
    since: float = 0.0
    by: str = ""  # who asked, for people: "uid 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class VrrpOverride:
    """About one VRRP instance. `hold`: it never becomes master. `failover`: it has given up mastership and does not
    preempt; over when it becomes master all the same, because nobody else is. `priority`: instead of the configured
    one, 0: none. `since` is wall clock, seconds since the epoch."""

    hold: bool = False
    failover: bool = False
    priority: int = 0
    since: float = 0.0
    by: str = ""
