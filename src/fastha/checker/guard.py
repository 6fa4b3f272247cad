"""One bad moment of the director must not empty a pool: which falls of real servers are let through. Pure.

What checks find goes through here before it changes the plan. A real server whose checks say "down" while it is in the
set of its virtual server either falls (leaves the set) or is *kept* (stays in it, and counts as up everywhere).

    panic_threshold P   When more than P percent of the good set are down that were not one interval ago, the good set
                        is restored: those that fell within the interval come back, and all that are down are kept.
                        It is over when not more than P percent of the set are down, or when an operator accepts it.
    removal_limit N     At most N fall within any one interval; the others are kept and fall later, first come first
                        served. Their number counts for P: a storm is seen even if the limit slows it down. Those that
                        a panic brought back have not fallen.

The good set: who is in the set now, and who fell within the last interval. Only real servers with a share of the
traffic count: not one that drains or has weight 0. The interval: the longest time that any check of the virtual server
may take to notice, so that a moment in which nothing can be reached falls into one interval (`interval_ns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastha.model import BfdCheck, Check, FileCheck, MiscCheck, Networked, VirtualServer


@dataclass(frozen=True, slots=True)
class Limits:
    """`panic_percent`, `removal_limit`: 0 for none of the kind."""

    panic_percent: int
    removal_limit: int
    interval_ns: int


@dataclass(frozen=True, slots=True)
class Guard:
    """`falls`: (when, real server's index) let through within the last interval, oldest first. `kept`: down and still
    in the set, in the order in which they went down."""

    falls: tuple[tuple[int, int], ...] = ()
    kept: tuple[int, ...] = ()
    panic: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """What `step` lets through: {index: in the set}. `again_ns`: when somebody who waits may fall, 0 for nobody.
    `down`, `of`: the share that was judged."""

    changes: Mapping[int, bool] = field(default_factory=dict)
    again_ns: int = 0
    down: int = 0
    of: int = 0


def limits(server: VirtualServer) -> Limits | None:
    """None for a virtual server that asks for neither."""
    if not server.panic_percent and not server.removal_limit:
        return None
    return Limits(server.panic_percent, server.removal_limit, interval_ns(server))


def interval_ns(server: VirtualServer) -> int:
    """The longest time between a real server's end and a verdict that says so."""
    return max((_notice_ns(check) for rs in server.real_servers for check in rs.checks), default=0)


def _notice_ns(check: Check) -> int:
    if isinstance(check, FileCheck | BfdCheck):
        return 0  # told at once
    timeout_ns = 0
    if isinstance(check, Networked):
        timeout_ns = check.timeout_ns
    elif isinstance(check, MiscCheck):
        timeout_ns = check.timeout_ns or check.delay_ns
    return max(check.delay_ns, check.warmup_ns) + timeout_ns + check.retry * (check.retry_delay_ns + timeout_ns)


def step(
    rules: Limits, guard: Guard, members: Sequence[bool], healthy: Sequence[bool], counts: Sequence[bool], now_ns: int
) -> tuple[Guard, Passed]:
    """Judge a virtual server anew. By real server: `members`, who is in the set; `healthy`, what checks say; `counts`,
    who has a share of the traffic."""
    changes = {i: True for i, good in enumerate(healthy) if good and not members[i]}
    falls = tuple(fall for fall in guard.falls if now_ns - fall[0] < rules.interval_ns)
    down = [i for i, good in enumerate(healthy) if not good and members[i]]
    changes |= {i: False for i in down if not counts[i]}
    known = [i for i in guard.kept if i < len(members) and members[i] and not healthy[i] and counts[i]]
    held = set(known)
    kept = [*known, *(i for i in down if counts[i] and i not in held)]
    # Each once: one that came back may have fallen again.
    fell = list(dict.fromkeys(i for _, i in falls if not healthy[i] and not members[i] and counts[i]))
    good_set = sum(n for i, n in enumerate(counts) if members[i] or changes.get(i)) + len(fell)
    share = Passed(changes, 0, len(kept) + len(fell), good_set)
    if rules.panic_percent and share.down * 100 > rules.panic_percent * good_set:
        changes |= dict.fromkeys(fell, True)
        return Guard((), (*fell, *kept), True), share
    room = rules.removal_limit - len(falls) if rules.removal_limit else len(kept)
    passing, waiting = kept[: max(0, room)], kept[max(0, room) :]
    changes |= dict.fromkeys(passing, False)
    falls += tuple((now_ns, i) for i in passing)
    again_ns = falls[0][0] + rules.interval_ns if waiting else 0
    return Guard(falls, tuple(waiting)), replace(share, again_ns=again_ns)


def accept(guard: Guard) -> tuple[Guard, Mapping[int, bool]]:
    """An operator says that they are down indeed: all that are kept fall now, and it is no sign of panic."""
    return Guard(), dict.fromkeys(guard.kept, False)


def carry(guard: Guard, places: Mapping[int, int]) -> Guard:
    """After a reload: `places` says where in the new configuration a real server of the old one is."""
    return Guard(
        tuple((when, places[i]) for when, i in guard.falls if i in places),
        tuple(places[i] for i in guard.kept if i in places),
        guard.panic,
    )
