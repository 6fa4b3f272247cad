"""The state machine of a BFD session in asynchronous mode, RFC 5880 sections 6.2 and 6.8.

`step(rules, session, event, now_ns) -> (session, effects)` looks up one cell of a dense table: every state has an
answer to every event. The cells are the policy; the native lane repeats one of them (a packet on an Up session with
nothing new in it) and a test holds it to that.

A session has two timers. When to *detect* is `Session.detect_at_ns`. When to *transmit* is the lane's: it sends what
the session is, every `transmit_us(rules, session)` less a jitter, and at once for each Send. Packets that RFC 5880
section 6.8.6 discards are no events.

Intervals: what a packet announces (`desired_us`, `required_us`) and what is in force (`tx_us`, `rx_us`) differ while a
poll sequence runs that slows us down (section 6.8.3): the peer must know before we do.

Beyond the RFC:

- When the peer has not been heard for a detection time everything about it is forgotten, its Required Min RX Interval
  too: a peer that asked for silence and died would never be greeted again.
- There is no poll sequence while not Up: each packet says what is true, and nothing faster than one second is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, TypeAlias

from fastha.bfd.rules import Rules
from fastha.model.units import NS_PER_US


class State(IntEnum):
    """bfd.SessionState, numbered as on the wire (RFC 5880 section 4.1)."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3

    def __str__(self) -> str:
        return ("admin-down", "down", "init", "up")[self]


class Diag(IntEnum):
    """bfd.LocalDiag: why a session went down (RFC 5880 section 4.1)."""

    NONE = 0
    DETECTION_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_DOWN = 3
    FORWARDING_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMIN_DOWN = 7
    REVERSE_CONCATENATED_PATH_DOWN = 8


class Poll(IntEnum):
    """A poll sequence, section 6.5. AGAIN: what it says has changed since, so a Final may be the answer to less."""

    NONE = 0
    RUNNING = 1
    AGAIN = 2


@dataclass(frozen=True, slots=True)
class Session:
    """State variables of section 6.8.1. Intervals in microseconds."""

    mine: int  # LocalDiscr
    desired_us: int  # DesiredMinTxInterval, as announced
    required_us: int  # RequiredMinRxInterval, as announced
    tx_us: int  # our half of the transmit interval in force
    rx_us: int  # our half of the detection time in force
    state: State = State.DOWN
    diag: int = Diag.NONE
    poll: Poll = Poll.NONE
    remote_state: State = State.DOWN
    remote_diag: int = Diag.NONE
    yours: int = 0  # RemoteDiscr
    remote_min_tx_us: int = 0
    remote_min_rx_us: int = 1  # section 6.8.1: "initialized to 1"
    remote_multiplier: int = 0
    remote_demand: bool = False
    detect_at_ns: int | None = None  # None: nobody is heard


def new(rules: Rules, mine: int) -> Session:
    """A session that knows nothing: Down."""
    return Session(mine, rules.slow_us, rules.min_rx_us, rules.slow_us, rules.min_rx_us)


def transmit_us(rules: Rules, s: Session) -> int:
    """The interval between periodic packets before jitter, section 6.8.2; 0: none are sent (section 6.8.7)."""
    if s.remote_min_rx_us == 0 or (rules.passive and s.yours == 0):
        return 0
    both_up = s.state is State.UP and s.remote_state is State.UP
    if s.remote_demand and both_up and s.poll is Poll.NONE:
        return 0
    return max(s.tx_us, s.remote_min_rx_us)


def detection_us(s: Session) -> int:
    """The detection time, section 6.8.4; 0 while nobody is heard."""
    return s.remote_multiplier * max(s.rx_us, s.remote_min_tx_us)


# -- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Packet:
    """One that section 6.8.6 does not discard."""

    state: State
    mine: int  # its sender's discriminator
    multiplier: int
    min_tx_us: int
    min_rx_us: int
    diag: int = Diag.NONE
    poll: bool = False
    final: bool = False
    demand: bool = False


@dataclass(frozen=True, slots=True)
class DetectionTimer:
    """The detection timer was due. Stale if `detect_at_ns` has moved since."""


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """A reload changed the rules; step() is given the new ones."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Take part no more, section 6.8.16."""


Event: TypeAlias = Packet | DetectionTimer | RulesChanged | Shutdown

# -- effects -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """One packet now. `final`: the answer to a Poll, never with a Poll of our own (section 6.5)."""

    final: bool = False


@dataclass(frozen=True, slots=True)
class Notify:
    """The state changed."""

    old: State
    new: State
    why: str


Effect: TypeAlias = Send | Notify
Outcome: TypeAlias = tuple[Session, tuple[Effect, ...]]
Cell: TypeAlias = Callable[[Rules, Session, Any, int], Outcome]


def step(rules: Rules, session: Session, event: Event, now_ns: int) -> Outcome:
    """The next state and what to do, in order."""
    return TABLE[session.state][type(event)](rules, session, event, now_ns)


# -- shared by cells -----------------------------------------------------------------------------------------------


def _same(rules: Rules, s: Session, event: Event, now_ns: int) -> Outcome:
    return s, ()


def _learn(s: Session, p: Packet, now_ns: int) -> Session:
    """Section 6.8.6, from "Set bfd.RemoteDiscr" on: what any packet teaches, and the detection time starts anew."""
    if p.final and s.poll is not Poll.NONE:  # "the Poll Sequence MUST be terminated"
        if s.poll is Poll.AGAIN:
            s = replace(s, poll=Poll.RUNNING)
        else:
            s = replace(s, poll=Poll.NONE, tx_us=s.desired_us, rx_us=s.required_us)
    s = replace(
        s,
        yours=p.mine,
        remote_state=p.state,
        remote_diag=p.diag,
        remote_demand=p.demand,
        remote_min_tx_us=p.min_tx_us,
        remote_min_rx_us=p.min_rx_us,
        remote_multiplier=p.multiplier,
    )
    return replace(s, detect_at_ns=now_ns + detection_us(s) * NS_PER_US)


def _answer(p: Packet) -> tuple[Effect, ...]:
    """Section 6.8.6: "If the Poll (P) bit is set, send a BFD Control packet ... with the Final (F) bit set"."""
    return (Send(final=True),) if p.poll else ()


def _become(rules: Rules, s: Session, state: State, diag: int, why: str, now_ns: int) -> Outcome:
    """Another state: said at once (section 6.8.7), at the pace of that state (section 6.8.3)."""
    desired_us = rules.min_tx_us if state is State.UP else rules.slow_us
    poll = Poll.RUNNING if state is State.UP and desired_us != s.desired_us else Poll.NONE
    # Only faster when Up, which counts at once; slower when not Up, where no peer counts on us.
    after = replace(
        s, state=state, diag=diag, poll=poll, desired_us=desired_us, tx_us=desired_us, required_us=rules.min_rx_us,
        rx_us=rules.min_rx_us,
    )  # fmt: skip
    if s.detect_at_ns is not None:
        gain_us = detection_us(after) - detection_us(s)
        after = replace(after, detect_at_ns=s.detect_at_ns + gain_us * NS_PER_US)
    return after, (*_say(rules, after), Notify(s.state, state, why))


def _say(rules: Rules, s: Session) -> tuple[Effect, ...]:
    """A packet now; none in the passive role to somebody who is not there (section 6.8.7)."""
    return () if rules.passive and s.yours == 0 else (Send(),)


def _forget(s: Session) -> Session:
    """Nobody was heard for a detection time: RemoteDiscr := 0 (section 6.8.1), and the rest of what it said."""
    return replace(
        s, yours=0, remote_state=State.DOWN, remote_min_tx_us=0, remote_min_rx_us=1, remote_multiplier=0,
        remote_demand=False, detect_at_ns=None,
    )  # fmt: skip


def _expired(s: Session, now_ns: int) -> bool:
    return s.detect_at_ns is not None and now_ns >= s.detect_at_ns


# -- Down ----------------------------------------------------------------------------------------------------------


def _down_packet(rules: Rules, s: Session, p: Packet, now_ns: int) -> Outcome:
    s = _learn(s, p, now_ns)
    if p.state is State.DOWN:
        after, effects = _become(rules, s, State.INIT, s.diag, "the neighbour is there", now_ns)
    elif p.state is State.INIT:
        after, effects = _become(rules, s, State.UP, Diag.NONE, "the neighbour hears us", now_ns)
    else:  # AdminDown: it does not want a session; Up: it has to notice first that there is none
        after, effects = s, ()
    return after, _answer(p) + effects


def _silent(rules: Rules, s: Session, event: DetectionTimer, now_ns: int) -> Outcome:
    return (_forget(s) if _expired(s, now_ns) else s), ()


# -- Init ----------------------------------------------------------------------------------------------------------


def _init_packet(rules: Rules, s: Session, p: Packet, now_ns: int) -> Outcome:
    s = _learn(s, p, now_ns)
    if p.state is State.ADMIN_DOWN:
        after, effects = _become(rules, s, State.DOWN, Diag.NEIGHBOR_DOWN, "the neighbour is admin-down", now_ns)
    elif p.state is State.DOWN:
        after, effects = s, ()
    else:
        after, effects = _become(rules, s, State.UP, Diag.NONE, "the neighbour hears us", now_ns)
    return after, _answer(p) + effects


def _init_expired(rules: Rules, s: Session, event: DetectionTimer, now_ns: int) -> Outcome:
    if not _expired(s, now_ns):
        return s, ()
    why = "the neighbour is silent"
    return _become(rules, _forget(s), State.DOWN, Diag.DETECTION_EXPIRED, why, now_ns)  # section 6.8.4


# -- Up ------------------------------------------------------------------------------------------------------------


def _up_packet(rules: Rules, s: Session, p: Packet, now_ns: int) -> Outcome:
    s = _learn(s, p, now_ns)
    after, effects = s, ()
    if p.state in (State.ADMIN_DOWN, State.DOWN):
        why = f"the neighbour signals {p.state}"
        after, effects = _become(rules, s, State.DOWN, Diag.NEIGHBOR_DOWN, why, now_ns)  # type: ignore[assignment]
    return after, _answer(p) + effects


def _up_expired(rules: Rules, s: Session, event: DetectionTimer, now_ns: int) -> Outcome:
    if not _expired(s, now_ns):
        return s, ()
    why = f"nothing heard for {detection_us(s) / 1000:g} ms"
    return _become(rules, _forget(s), State.DOWN, Diag.DETECTION_EXPIRED, why, now_ns)  # section 6.8.4


def _up_rules(rules: Rules, s: Session, event: RulesChanged, now_ns: int) -> Outcome:
    """New intervals while Up are said in a poll sequence; what slows us down, or makes us expect more, waits for its
    end (section 6.8.3)."""
    after = replace(s, desired_us=rules.min_tx_us, required_us=rules.min_rx_us)
    if (after.desired_us, after.required_us) == (s.desired_us, s.required_us):
        return s, (Send(),)  # another multiplier, or passive
    after = replace(
        after,
        tx_us=min(s.tx_us, rules.min_tx_us),
        rx_us=max(s.rx_us, rules.min_rx_us),
        poll=Poll.AGAIN if s.poll is not Poll.NONE else Poll.RUNNING,
    )
    assert s.detect_at_ns is not None
    gain_us = detection_us(after) - detection_us(s)
    return replace(after, detect_at_ns=s.detect_at_ns + gain_us * NS_PER_US), (Send(),)


# -- any but AdminDown ---------------------------------------------------------------------------------------------


def _slow_rules(rules: Rules, s: Session, event: RulesChanged, now_ns: int) -> Outcome:
    after = replace(
        s, desired_us=rules.slow_us, tx_us=rules.slow_us, required_us=rules.min_rx_us, rx_us=rules.min_rx_us
    )
    if s.detect_at_ns is not None:
        gain_us = detection_us(after) - detection_us(s)
        after = replace(after, detect_at_ns=s.detect_at_ns + gain_us * NS_PER_US)
    return after, ()


def _shutdown(rules: Rules, s: Session, event: Shutdown, now_ns: int) -> Outcome:
    return _become(rules, replace(s, detect_at_ns=None), State.ADMIN_DOWN, Diag.ADMIN_DOWN, "stopped", now_ns)


TABLE: Mapping[State, Mapping[type[Event], Cell]] = {
    # "If bfd.SessionState is AdminDown, discard the packet" (section 6.8.6). There is no way back: a session that is
    # wanted again is a new one.
    State.ADMIN_DOWN: {
        Packet: _same,
        DetectionTimer: _same,
        RulesChanged: _same,
        Shutdown: _same,
    },
    State.DOWN: {
        Packet: _down_packet,
        DetectionTimer: _silent,
        RulesChanged: _slow_rules,
        Shutdown: _shutdown,
    },
    State.INIT: {
        Packet: _init_packet,
        DetectionTimer: _init_expired,
        RulesChanged: _slow_rules,
        Shutdown: _shutdown,
    },
    State.UP: {
        Packet: _up_packet,
        DetectionTimer: _up_expired,
        RulesChanged: _up_rules,
        Shutdown: _shutdown,
    },
}
