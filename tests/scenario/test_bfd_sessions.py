"""Two ends on a virtual wire: whatever happened, once it is quiet both are Up at the negotiated pace, or both know.

Seeds are in the failure messages: `seed N` names the run that shows it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from fastha.bfd.machine import Diag, Poll, Shutdown, State, detection_us, transmit_us
from fastha.bfd.rules import Rules
from fastha.model.units import NS_PER_S, NS_PER_US
from oracles.bfd_wire import MS, Wire, some_rules

RUNS = int(os.environ.get("FASTHA_BFD_RUNS", "100"))  # of each kind


@contextmanager
def seed(number: int) -> Iterator[random.Random]:
    """Failures inside name the seed."""
    try:
        yield random.Random(number)
    except AssertionError as error:
        raise AssertionError(f"seed {number}: {error}") from error


def agreed(wire: Wire) -> None:
    """Both Up, nothing left to negotiate, each sends as both want and expects what the other sends."""
    for end, other in (wire.ends, wire.ends[::-1]):
        assert end.session.state is State.UP
        assert end.session.poll is Poll.NONE
        assert end.session.yours == other.session.mine
        assert transmit_us(end.rules, end.session) == max(end.rules.min_tx_us, other.rules.min_rx_us)
        assert detection_us(end.session) == other.rules.multiplier * max(end.rules.min_rx_us, other.rules.min_tx_us)


def settle(wire: Wire) -> None:
    """A wire that now behaves, until both agree: at most as long as every timer there is takes."""
    wire.loss, wire.double = [0.0, 0.0], 0.0
    wire.delay_ns = (MS // 40, MS // 40)
    slowest_us = max(max(e.rules.slow_us, e.rules.min_rx_us) * e.rules.multiplier for e in wire.ends)
    end_ns = wire.now + 4 * slowest_us * NS_PER_US
    while wire.now < end_ns and not is_agreed(wire):
        wire.run(wire.now + 50 * MS)
    wire.run(wire.now + 250 * MS)  # what was on the way


def is_agreed(wire: Wire) -> bool:
    try:
        agreed(wire)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("chunk", range(4))
def test_accidents(chunk: int) -> None:
    for number in range(chunk * RUNS, (chunk + 1) * RUNS):
        with seed(number) as r:
            wire = Wire(number, some_rules(r), some_rules(r))
            told = None
            for _ in range(r.randint(1, 10)):
                i = r.randrange(2)
                end = wire.ends[i]
                match r.randrange(6):
                    case 0:
                        wire.thaw(i) if end.frozen else wire.freeze(i)
                    case 1 if end.dead and told is not None:
                        wire.replace(i, told, r.randint(0, 20) * NS_PER_S)
                    case 1 if not any(e.dead for e in wire.ends):
                        told = wire.facts(i)
                        wire.kill(i)
                    case 2:
                        wire.loss[i] = r.choice((0, 0.3, 0.9, 1))
                    case 3:
                        wire.delay_ns = (0, r.choice((MS // 20, 5 * MS, 200 * MS)))
                    case 4:
                        wire.double = r.choice((0, 0.5))
                    case 5 if not end.dead and not end.frozen:
                        wire.reload(i, some_rules(r))
                wire.run(wire.now + r.randint(0, 3 * NS_PER_S))
            for i, end in enumerate(wire.ends):
                if end.dead:
                    assert told is not None
                    wire.replace(i, told, 3600 * NS_PER_S)
                if end.frozen:
                    wire.thaw(i)
            settle(wire)
            agreed(wire)
            marks = [len(e.changes) for e in wire.ends]
            wire.run(wire.now + NS_PER_S)
            assert marks == [len(e.changes) for e in wire.ends], "not quiet"


def both_up(number: int, r: random.Random, **more: tuple[int, ...]) -> Wire:
    wire = Wire(number, some_rules(r, **more), some_rules(r, **more))
    settle(wire)
    agreed(wire)
    return wire


def test_a_death_is_found_within_the_detection_time() -> None:
    for number in range(RUNS):
        with seed(number) as r:
            wire = both_up(number, r)
            wire.run(wire.now + r.randint(0, NS_PER_S))
            wire.kill(0)
            limit_ns = detection_us(wire.ends[1].session) * NS_PER_US
            took_ns = wire.until(lambda w=wire: not w.ends[1].up, limit_ns + MS)
            assert took_ns <= limit_ns + MS // 20
            assert wire.ends[1].session.diag == Diag.DETECTION_EXPIRED


def test_losing_less_than_the_multiplier_in_a_row_never_flaps() -> None:
    for number in range(RUNS):
        with seed(number) as r:
            wire = both_up(number, r, multiplier=(3, 5))
            marks = [len(e.changes) for e in wire.ends]
            for _ in range(10):
                i = r.randrange(2)
                interval_ns = transmit_us(wire.ends[i].rules, wire.ends[i].session) * NS_PER_US
                wire.loss[i] = 1.0
                wire.run(wire.now + int(interval_ns * 1.5))  # at most two packets
                wire.loss[i] = 0.0
                wire.run(wire.now + 2 * interval_ns)
            assert marks == [len(e.changes) for e in wire.ends]


def test_reloads_never_flap_on_a_good_wire() -> None:
    """RFC 5880 section 6.8.3 in force, whatever the intervals become and however soon after one another. In order: a
    packet that is overtaken takes back what the next one has said, and no number in it tells."""
    for number in range(RUNS):
        with seed(number) as r:
            wire = both_up(number, r)
            marks = [len(e.changes) for e in wire.ends]
            for _ in range(10):
                wire.reload(r.randrange(2), some_rules(r))
                wire.run(wire.now + r.choice((0, r.randint(0, 5 * MS), r.randint(0, 3 * NS_PER_S))))
            settle(wire)
            agreed(wire)
            assert marks == [len(e.changes) for e in wire.ends]


def test_a_replacement_in_time_is_not_noticed() -> None:
    for number in range(RUNS):
        with seed(number) as r:
            wire = both_up(number, r)
            told, mark = wire.facts(0), len(wire.ends[1].changes)
            patience_ns = detection_us(wire.ends[1].session) * NS_PER_US
            wire.kill(0)
            away_ns = r.randint(0, int(patience_ns * 0.05))
            wire.run(wire.now + away_ns)
            if r.random() < 0.3:  # together with other intervals
                wire.ends[0].rules = some_rules(r, multiplier=(wire.ends[0].rules.multiplier,))
            wire.replace(0, told, away_ns)
            assert wire.ends[0].up
            settle(wire)
            agreed(wire)
            assert len(wire.ends[1].changes) == mark


def test_a_replacement_that_comes_late_is_honest() -> None:
    """Its peer has gone down meanwhile: both go through Down, and come up again."""
    for number in range(RUNS):
        with seed(number) as r:
            wire = both_up(number, r)
            told = wire.facts(0)
            wire.kill(0)
            wire.until(lambda w=wire: not w.ends[1].up, 10 * NS_PER_S)
            wire.replace(0, told, 2 * NS_PER_S)
            wire.until(lambda w=wire: not w.ends[0].up, 10 * NS_PER_S)
            settle(wire)
            agreed(wire)


def test_admin_down_is_heard_at_once() -> None:
    for number in range(20):
        with seed(number) as r:
            wire = both_up(number, r)
            wire.happen(0, Shutdown())
            wire.run(wire.now + MS)
            assert wire.ends[1].session.state is State.DOWN
            assert wire.ends[1].session.diag == Diag.NEIGHBOR_DOWN
            settle(wire)
            assert wire.ends[1].session.state is State.DOWN


def test_a_one_way_link_is_down_for_both() -> None:
    for number in range(RUNS):
        with seed(number) as r:
            wire = both_up(number, r)
            wire.loss[0] = 1.0  # end 1 hears nothing, and says so
            limit_ns = detection_us(wire.ends[1].session) * NS_PER_US + MS
            wire.until(lambda w=wire: not any(e.up for e in w.ends), limit_ns)
            assert wire.ends[0].session.diag == Diag.NEIGHBOR_DOWN
            wire.run(wire.now + 10 * NS_PER_S)
            assert not any(e.up for e in wire.ends)


def test_a_slow_reader_declares_nobody_dead() -> None:
    """Frozen for longer than the detection time while the neighbour speaks: what has come is heard first."""
    for number in range(RUNS):
        with seed(number) as r:
            rules = Rules(multiplier=3)
            wire = Wire(number, rules, replace(rules, multiplier=200))  # end 0 is patient with end 1, 1 not with 0
            settle(wire)
            agreed(wire)
            mark = len(wire.ends[1].changes)
            wire.ends[0].rules = replace(rules, multiplier=255)
            wire.reload(0, wire.ends[0].rules)
            wire.run(wire.now + 10 * MS)
            wire.freeze(0)
            wire.run(wire.now + r.randint(50, 2000) * MS)
            wire.thaw(0)
            wire.run(wire.now + 50 * MS)
            assert wire.ends[0].up
            assert len(wire.ends[1].changes) == mark


def test_passive() -> None:
    passive, active = Rules(passive=True), Rules()
    for number in range(20):
        with seed(number):
            wire = Wire(number, passive, active)
            settle(wire)
            agreed(wire)
            wire = Wire(number, passive, passive)
            wire.run(wire.now + 60 * NS_PER_S)
            assert [e.sent_ns for e in wire.ends] == [0, 0], "neither begins"
