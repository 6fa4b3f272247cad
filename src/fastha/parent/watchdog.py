"""Is a child alive? A deadline that each sign of life moves on. Pure.

A child beats every 250 ms from its own loop; silence of a second means that its loop does not turn. While it starts, or
prepares a configuration, it has longer. Time that the parent itself lost (it was stopped, or the machine was) is
added to every deadline: the child may have been away with it, and its beats may not have been read yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastha.model.units import NS_PER_MS, NS_PER_S

TICK_NS = 100 * NS_PER_MS  # how often the parent judges: what it adds to SILENCE_NS, at worst
LATE_NS = 50 * NS_PER_MS  # a tick later than this was not mere scheduling
SILENCE_NS = 1 * NS_PER_S
START_NS = 20 * NS_PER_S  # from spawn to hello: a machine that boots is slow, and nothing is lost by waiting
STUCK_NS = 2 * NS_PER_S  # killed for so long, and still there: it hangs in the kernel
PREPARE_NS = 20 * NS_PER_S  # to read, prepare or take up a configuration: 37 000 real servers, cold caches


@dataclass(frozen=True, slots=True)
class Pulse:
    """A child is hung once `deadline_ns` has passed. `answer_by_ns`: it owes an answer until then (0: it owes none),
    and silence is allowed as long."""

    deadline_ns: int
    answer_by_ns: int = 0


def spawned(now_ns: int) -> Pulse:
    """A process was started; it has START_NS to say hello."""
    return Pulse(now_ns + START_NS)


def proposed(pulse: Pulse, now_ns: int) -> Pulse:
    """It was given a configuration to prepare or to take up."""
    until = now_ns + PREPARE_NS
    return Pulse(max(pulse.deadline_ns, until), until)


def settled(now_ns: int) -> Pulse:
    """It has answered: from now on every second counts."""
    return Pulse(now_ns + SILENCE_NS)


def beat(pulse: Pulse, now_ns: int) -> Pulse:
    """A heartbeat was read."""
    return Pulse(max(now_ns + SILENCE_NS, pulse.answer_by_ns), pulse.answer_by_ns)


def lost(pulse: Pulse, late_ns: int) -> Pulse:
    """The parent's own tick came `late_ns` after its time."""
    if late_ns < LATE_NS:
        return pulse
    answer_by_ns = pulse.answer_by_ns + late_ns if pulse.answer_by_ns else 0
    return Pulse(pulse.deadline_ns + late_ns, answer_by_ns)


def hung(pulse: Pulse, now_ns: int) -> bool:
    """Its loop does not turn."""
    return now_ns >= pulse.deadline_ns


def stuck(pulse: Pulse, now_ns: int) -> bool:
    """It was killed for that, and has not ended."""
    return now_ns >= pulse.deadline_ns + STUCK_NS


def overdue(pulse: Pulse, now_ns: int) -> bool:
    """Its loop may turn, but it does not answer."""
    return 0 < pulse.answer_by_ns <= now_ns
