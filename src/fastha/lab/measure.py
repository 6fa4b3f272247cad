"""What a client saw, computed from its requests. Values in, values out; times are CLOCK_MONOTONIC in nanoseconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

MS = 1_000_000
OK = "ok"


@dataclass(frozen=True, slots=True)
class Request:
    """One finished request. `outcome`: "ok", or why it was lost: timeout, refused, reset, truncated, bad ..."""

    start_ns: int
    end_ns: int
    outcome: str
    server: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client saw in a window of time. `gap_ms`: the longest time between two consecutive answers."""

    seconds: float
    sent: int
    answered: int
    lost: dict[str, int] = field(default_factory=dict)
    servers: dict[str, int] = field(default_factory=dict)
    gap_ms: float = 0.0

    @property
    def lost_total(self) -> int:
        return sum(self.lost.values())

    def __str__(self) -> str:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(self.lost.items()))
        return (
            f"{self.sent} requests, {self.answered} answered, {self.lost_total} lost{f' ({why})' if why else ''}, "
            f"longest gap {self.gap_ms:.0f} ms"
        )


def longest_gap_ns(answers_ns: Iterable[int], begin_ns: int, end_ns: int) -> int:
    """The longest time without an answer that touches the window.

    `answers_ns`: times of answers, in any order, also from outside the window: a gap that began before the window or
    ends after it counts whole. Where no answer bounds a gap, the window's edge does (then it was at least that long).
    """
    longest, previous = 0, begin_ns
    for answer in sorted(answers_ns):
        if answer <= begin_ns:
            previous = answer
            continue
        longest = max(longest, answer - previous)
        previous = answer
        if answer >= end_ns:
            return longest
    return max(longest, end_ns - previous)


def measure(requests: Iterable[Request], begin_ns: int, end_ns: int) -> Seen:
    """Counts of the requests that started within [begin, end), and the longest gap that touches the window."""
    requests = list(requests)
    mine = [r for r in requests if begin_ns <= r.start_ns < end_ns]
    answered = [r for r in mine if r.outcome == OK]
    return Seen(
        seconds=(end_ns - begin_ns) / 1e9,
        sent=len(mine),
        answered=len(answered),
        lost=dict(Counter(r.outcome for r in mine if r.outcome != OK)),
        servers=dict(sorted(Counter(r.server for r in answered).items())),
        gap_ms=longest_gap_ns((r.end_ns for r in requests if r.outcome == OK), begin_ns, end_ns) / MS,
    )
