"""Signs of life, with the clock as an argument."""

from __future__ import annotations

from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent.watchdog import (
    PREPARE_NS,
    START_NS,
    TICK_NS,
    Pulse,
    beat,
    hung,
    lost,
    overdue,
    proposed,
    settled,
    spawned,
)


def test_a_second_of_silence() -> None:
    pulse = beat(settled(0), 250 * NS_PER_MS)
    assert not hung(pulse, 1249 * NS_PER_MS)
    assert hung(pulse, 1250 * NS_PER_MS)


def test_starting_takes_longer() -> None:
    pulse = spawned(0)
    assert not hung(pulse, START_NS - 1)
    assert hung(pulse, START_NS)


def test_preparing_allows_silence_but_not_for_ever() -> None:
    pulse = proposed(beat(spawned(0), 0), NS_PER_S)
    assert not hung(pulse, PREPARE_NS)
    assert hung(pulse, NS_PER_S + PREPARE_NS)
    # One that beats and never answers is overdue, not hung.
    for now in range(NS_PER_S, NS_PER_S + PREPARE_NS + 1, NS_PER_S // 4):
        pulse = beat(pulse, now)
        assert overdue(pulse, now) == (now >= NS_PER_S + PREPARE_NS)
        assert not hung(pulse, now)
    # Its answer ends the grace.
    pulse = settled(20 * NS_PER_S)
    assert hung(pulse, 21 * NS_PER_S)
    assert not overdue(pulse, 10**18)


def test_the_parents_own_absence_does_not_count() -> None:
    pulse = beat(settled(0), 0)
    # The parent was stopped for ten seconds: its tick, due at 250 ms, comes at 10 s.
    now = 10 * NS_PER_S
    late = now - TICK_NS
    assert hung(pulse, now)
    pulse = lost(pulse, late)
    assert not hung(pulse, now)
    assert hung(pulse, now + NS_PER_S - TICK_NS)  # but what it does from now on does


def test_a_parent_that_is_always_late_still_finds_the_hung() -> None:
    pulse, now = settled(0), 0
    while not hung(pulse, now):
        now += TICK_NS + 300 * NS_PER_MS
        pulse = lost(pulse, 300 * NS_PER_MS)
        assert now < 10 * NS_PER_S


def test_ordinary_scheduling_is_not_lateness() -> None:
    assert lost(Pulse(NS_PER_S), 10 * NS_PER_MS) == Pulse(NS_PER_S)
