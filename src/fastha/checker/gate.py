"""The guard of guard.py on a ward of the roster: where its state lives between two judgements."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastha.checker import guard
from fastha.checker.adoption import Adopted
from fastha.checker.guard import Guard, Passed

if TYPE_CHECKING:
    from fastha.checker.wards import Ward


def adopted(ward: Ward, adopt: Adopted) -> Guard:
    """The guard of a new ward, as a predecessor had it."""
    ward.panic_since = time.time() if adopt.panic else 0.0
    kept = tuple(server.index for server in ward.servers if server.config.key in adopt.kept) if adopt.kept else ()
    return Guard(kept=kept, panic=adopt.panic)


def begin(ward: Ward, before: Guard, healthy: list[bool], now_ns: int) -> tuple[list[bool], Passed]:
    """Who of a ward that has just got its servers and limits is in the set: those that are up (`healthy`), and those
    that were kept before and still are."""
    if ward.limits is None:
        ward.guard = Guard()
        return healthy, Passed()
    kept = frozenset(before.kept)
    members = [up or i in kept for i, up in enumerate(healthy)]
    # As if all had a share of the traffic: who has is known when the plan is there, and is judged with the next answer.
    ward.guard, passed = guard.step(ward.limits, before, members, healthy, [True] * len(healthy), now_ns)
    _note_panic(ward)
    return [passed.changes.get(i, member) for i, member in enumerate(members)], passed


def admit(ward: Ward, now_ns: int) -> tuple[Guard, Passed]:
    """Judge what the checks say now; the guard before, and what it lets through."""
    assert ward.limits is not None
    before, count = ward.guard, range(len(ward.servers))
    healthy = [s.up for s in ward.servers]
    ward.guard, passed = guard.step(
        ward.limits, before, ward.plan.up, healthy, [ward.plan.counts(i) for i in count], now_ns
    )
    _note_panic(ward)
    return before, passed


def accept(ward: Ward) -> Mapping[int, bool]:
    """An operator accepts that those that are kept are down."""
    ward.guard, changes = guard.accept(ward.guard)
    _note_panic(ward)
    return changes


def _note_panic(ward: Ward) -> None:
    if not ward.guard.panic:
        ward.panic_since = 0.0
    elif not ward.panic_since:
        ward.panic_since = time.time()


def told(ward: Ward, before: Guard, passed: Passed) -> tuple[str, str]:
    """(kind, text) of the event that a change of the guard is; ("", "") if it is none."""
    now, limits = ward.guard, ward.limits
    if now.panic and not before.panic:
        assert limits is not None
        return "panic", (
            f"panic: {passed.down} of {passed.of} living real servers fell within {limits.interval_ns / 1e9:g} s, more "
            f"than panic_threshold {limits.panic_percent} %: all of them stay in the set until enough are up again"
        )
    if before.panic and not now.panic:
        left = f"{passed.down} of {passed.of} are still down" if passed.down else "all that it kept are up again"
        return "panic_over", f"panic is over: {left}"
    if now.kept and not before.kept and not now.panic:
        assert limits is not None
        return "removal_limited", (
            f"{len(now.kept)} real servers are down and stay in the set for now: removal_limit {limits.removal_limit} "
            f"in {limits.interval_ns / 1e9:g} s"
        )
    return "", ""
