"""The session machine, cell by cell, in the words of RFC 5880."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fastha.bfd import adopt, machine
from fastha.bfd.machine import (
    DetectionTimer,
    Diag,
    Notify,
    Packet,
    Poll,
    RulesChanged,
    Send,
    Session,
    Shutdown,
    State,
    detection_us,
    new,
    step,
    transmit_us,
)
from fastha.bfd.rules import Rules
from fastha.model.units import NS_PER_S, NS_PER_US

NOW = 1000 * NS_PER_S
RULES = Rules(min_tx_us=10_000, min_rx_us=20_000, multiplier=3)
ADMIN_DOWN, DOWN, INIT, UP = State


def packet(state: State = UP, **more: Any) -> Packet:
    values: dict[str, Any] = {"mine": 77, "multiplier": 4, "min_tx_us": 30_000, "min_rx_us": 15_000, **more}
    return Packet(state, **values)


def up(rules: Rules = RULES, **more: Any) -> Session:
    """An Up session whose poll sequence is over."""
    session, _ = step(rules, new(rules, 5), packet(DOWN, min_tx_us=1_000_000), NOW)
    session, _ = step(rules, session, packet(UP, final=True), NOW)
    session, _ = step(rules, session, packet(UP, final=True), NOW)
    assert (session.state, session.poll) == (UP, Poll.NONE)
    return replace(session, **more)


def states(effects: tuple[machine.Effect, ...]) -> list[State]:
    return [e.new for e in effects if isinstance(e, Notify)]


def test_every_state_answers_every_event() -> None:
    events = {Packet, DetectionTimer, RulesChanged, Shutdown}
    assert set(machine.TABLE) == set(State)
    for cells in machine.TABLE.values():
        assert set(cells) == events


@pytest.mark.parametrize(
    ("ours", "theirs", "then", "diag"),
    [  # RFC 5880 section 6.8.6, and the diagram of section 6.2
        (DOWN, ADMIN_DOWN, DOWN, Diag.NONE),
        (DOWN, DOWN, INIT, Diag.NONE),
        (DOWN, INIT, UP, Diag.NONE),
        (DOWN, UP, DOWN, Diag.NONE),
        (INIT, ADMIN_DOWN, DOWN, Diag.NEIGHBOR_DOWN),
        (INIT, DOWN, INIT, Diag.NONE),
        (INIT, INIT, UP, Diag.NONE),
        (INIT, UP, UP, Diag.NONE),
        (UP, ADMIN_DOWN, DOWN, Diag.NEIGHBOR_DOWN),
        (UP, DOWN, DOWN, Diag.NEIGHBOR_DOWN),
        (UP, INIT, UP, Diag.NONE),
        (UP, UP, UP, Diag.NONE),
        *((ADMIN_DOWN, theirs, ADMIN_DOWN, Diag.NONE) for theirs in State),
    ],
)
def test_what_the_neighbour_says(ours: State, theirs: State, then: State, diag: Diag) -> None:
    session = up() if ours is UP else replace(new(RULES, 5), state=ours)
    after, effects = step(RULES, session, packet(theirs), NOW + 5)
    assert (after.state, after.diag) == (then, diag)
    assert states(effects) == ([then] if then is not ours else [])
    assert (Send() in effects) == (then is not ours), "a change is said at once, section 6.8.7"
    if ours is ADMIN_DOWN:
        assert (after, effects) == (session, ()), "discarded"
    else:
        assert (after.yours, after.remote_state) == (77, theirs)
        assert after.detect_at_ns == NOW + 5 + detection_us(after) * NS_PER_US


def test_not_faster_than_a_second_while_not_up() -> None:
    session = new(RULES, 5)
    assert session.desired_us == transmit_us(RULES, session) == 1_000_000
    session, _ = step(RULES, session, packet(DOWN), NOW)
    assert session.state is INIT
    assert session.desired_us == transmit_us(RULES, session) == 1_000_000
    assert new(Rules(idle_tx_us=3_000_000), 1).desired_us == 3_000_000
    session, _ = step(RULES, up(), packet(DOWN), NOW)
    assert session.desired_us == transmit_us(RULES, session) == 1_000_000


def test_intervals_are_negotiated_by_a_poll_sequence_after_up() -> None:
    session, _ = step(RULES, new(RULES, 5), packet(INIT, min_tx_us=1_000_000), NOW)
    assert (session.state, session.poll) == (UP, Poll.RUNNING)
    assert session.desired_us == 10_000
    assert transmit_us(RULES, session) == 15_000, "what the neighbour can take"
    assert detection_us(session) == 4 * 1_000_000, "what it does"
    session, effects = step(RULES, session, packet(UP, poll=True), NOW)
    assert effects == (Send(final=True),)
    assert session.poll is Poll.RUNNING, "a Poll is no answer to ours"
    assert detection_us(session) == 4 * 30_000
    session, effects = step(RULES, session, packet(UP, final=True), NOW)
    assert (session.poll, effects) == (Poll.NONE, ())


def test_every_poll_is_answered_but_when_admin_down() -> None:
    for state in (DOWN, INIT, UP):
        session = up() if state is UP else replace(new(RULES, 5), state=state)
        for theirs in State:
            _, effects = step(RULES, session, packet(theirs, poll=True), NOW)
            assert effects[0] == Send(final=True)
    _, effects = step(RULES, replace(new(RULES, 5), state=ADMIN_DOWN), packet(poll=True), NOW)
    assert effects == ()


def test_silence() -> None:
    session = up()
    assert session.detect_at_ns is not None
    at = session.detect_at_ns
    assert step(RULES, session, DetectionTimer(), at - 1) == (session, ()), "stale"
    after, effects = step(RULES, session, DetectionTimer(), at)
    assert (after.state, after.diag, after.yours, after.detect_at_ns) == (DOWN, Diag.DETECTION_EXPIRED, 0, None)
    assert states(effects) == [DOWN]
    assert "nothing heard for 120 ms" in str(effects)
    again, effects = step(RULES, after, packet(DOWN, mine=78), at + 1)
    assert (again.state, again.yours) == (INIT, 78), "another neighbour, as it were"
    init = replace(session, state=INIT)
    after, _ = step(RULES, init, DetectionTimer(), at)
    assert (after.state, after.diag) == (DOWN, Diag.DETECTION_EXPIRED)
    down = replace(session, state=DOWN)
    after, effects = step(RULES, down, DetectionTimer(), at)
    assert (after.yours, effects) == (0, ()), "nobody to tell"


def test_a_neighbour_that_asked_for_silence_and_died_is_greeted_again() -> None:
    session, _ = step(RULES, up(), packet(min_rx_us=0), NOW)
    assert transmit_us(RULES, session) == 0, "section 6.8.7: RemoteMinRxInterval is zero"
    assert session.detect_at_ns is not None
    session, _ = step(RULES, session, DetectionTimer(), session.detect_at_ns)
    assert transmit_us(RULES, session) == 1_000_000


def test_demand_mode_of_the_neighbour() -> None:
    session, _ = step(RULES, up(), packet(demand=True), NOW)
    assert transmit_us(RULES, session) == 0, "section 6.8.7"
    assert transmit_us(RULES, replace(session, poll=Poll.RUNNING)) > 0, "but in a poll sequence"
    assert transmit_us(RULES, replace(session, remote_state=INIT)) > 0, "or while not both are up"


def test_passive() -> None:
    rules = replace(RULES, passive=True)
    session = new(rules, 5)
    assert transmit_us(rules, session) == 0
    session, effects = step(rules, session, packet(DOWN), NOW)
    assert Send() in effects
    assert transmit_us(rules, session) == 1_000_000
    assert session.detect_at_ns is not None
    session, effects = step(rules, session, DetectionTimer(), session.detect_at_ns)
    assert Send() not in effects, "section 6.8.7: RemoteDiscr is zero"
    assert transmit_us(rules, session) == 0


def test_a_reload_that_slows_us_down_waits_for_the_neighbour() -> None:
    """Section 6.8.3."""
    slower = replace(RULES, min_tx_us=50_000, min_rx_us=5_000)
    session, effects = step(slower, up(), RulesChanged(), NOW)
    assert effects == (Send(),)
    assert (session.desired_us, session.required_us, session.poll) == (50_000, 5_000, Poll.RUNNING)
    assert transmit_us(slower, session) == 15_000, "as before: it counts on that"
    assert session.rx_us == 20_000, "as before: it may send no faster yet"
    session, _ = step(slower, session, packet(final=True), NOW)
    assert transmit_us(slower, session) == 50_000
    assert session.rx_us == 5_000


def test_a_reload_that_speeds_us_up_counts_at_once() -> None:
    start = up(replace(RULES, min_tx_us=500_000))
    assert transmit_us(RULES, start) == 500_000
    session, _ = step(RULES, start, RulesChanged(), NOW)
    assert transmit_us(RULES, session) == 15_000
    slack = replace(RULES, min_rx_us=200_000)
    session, _ = step(slack, up(), RulesChanged(), NOW)
    assert detection_us(session) == 4 * 200_000
    before = up()
    assert before.detect_at_ns is not None
    assert session.detect_at_ns == before.detect_at_ns + 4 * (200_000 - 30_000) * NS_PER_US, "time waited counts"


def test_two_reloads_need_two_answers() -> None:
    one, two = replace(RULES, min_tx_us=50_000), replace(RULES, min_tx_us=60_000)
    session, _ = step(one, up(), RulesChanged(), NOW)
    session, _ = step(two, session, RulesChanged(), NOW)
    session, _ = step(two, session, packet(final=True), NOW)
    assert (session.poll, transmit_us(two, session)) == (Poll.RUNNING, 15_000), "that may be the answer to the first"
    session, _ = step(two, session, packet(final=True), NOW)
    assert (session.poll, transmit_us(two, session)) == (Poll.NONE, 60_000)


def test_a_reload_that_changes_nothing_on_the_wire_but_the_multiplier() -> None:
    session = up()
    assert step(replace(RULES, multiplier=9), session, RulesChanged(), NOW) == (session, (Send(),))


def test_shutdown() -> None:
    for session in (new(RULES, 5), up()):
        after, effects = step(RULES, session, Shutdown(), NOW)
        assert (after.state, after.diag, after.detect_at_ns) == (ADMIN_DOWN, Diag.ADMIN_DOWN, None)
        assert effects[0] == Send()
        assert step(RULES, after, Shutdown(), NOW) == (after, ())


# -- adoption ------------------------------------------------------------------------------------------------------


def told(session: Session, rules: Rules = RULES) -> dict[str, Any]:
    """The facts a session reports of itself, as far as they matter."""
    return {
        "state": str(session.state), "discriminator": session.mine, "remote_discriminator": session.yours,
        "desired_us": session.desired_us, "required_us": session.required_us, "multiplier": rules.multiplier,
        "remote_min_tx_us": session.remote_min_tx_us, "remote_min_rx_us": session.remote_min_rx_us,
        "remote_multiplier": session.remote_multiplier, "remote_demand": session.remote_demand,
        "tx_us": transmit_us(rules, session),
    }  # fmt: skip


def test_a_replacement_goes_on_as_up() -> None:
    before = up()
    after = adopt.adopt(RULES, told(before), 5 * NS_PER_S, before.mine, NOW)
    assert after.state is UP
    assert (after.mine, after.yours) == (before.mine, before.yours)
    assert detection_us(after) == detection_us(before)
    assert after.detect_at_ns == NOW + detection_us(after) * NS_PER_US, "it has a whole detection time to speak"
    gone, _ = step(RULES, after, packet(DOWN), NOW)
    assert gone.state is DOWN, "if it has given us up it says so"


@pytest.mark.parametrize(
    "change",
    [{"state": "down"}, {"remote_discriminator": 0}, {"discriminator": 6}, {"remote_min_tx_us": "x"}, {"tx_us": None}],
)
def test_what_cannot_be_adopted_starts_anew(change: dict[str, Any]) -> None:
    assert adopt.adopt(RULES, told(up()) | change, 0, 5, NOW) == new(RULES, 5)
    assert adopt.adopt(RULES, {}, 0, 5, NOW) == new(RULES, 5)


def test_one_that_is_dead_for_long_has_no_session() -> None:
    facts = told(up())
    assert adopt.adopt(RULES, facts, adopt.ADOPT_NS + 1, 5, NOW) == new(RULES, 5)
    patient = facts | {"desired_us": 8_000_000}
    assert adopt.adopt(RULES, patient, 24 * NS_PER_S, 5, NOW).state is UP, "its peer waits 3 x 8 s"
