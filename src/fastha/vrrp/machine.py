"""The state machine of a virtual router, RFC 9568 section 6.4 (version 2: RFC 3768 section 6.4, the same shape).

`step(rules, state, event, now_ns) -> (state, effects)` looks up one cell of a dense table: every state has an answer
to every event. The cells are the policy; the native lane repeats two of them and a test holds it to that.

`State.deadline_ns` is the one timer an instance has: Master_Down_Timer in BACKUP, Adver_Timer in MASTER. Effects are in
the order in which they must happen: advert, addresses, ARP, notifications.

Beyond the RFC:

- *holding*: a BACKUP (or INIT) whose addresses are still in the kernel, because its predecessor was master or because
  it was itself and lost the CPU. Another master's advert makes it give them up; silence makes it master again, and no
  address was touched.
- A master that was silent for longer than any peer waits (`Rules.silence_ns`) is no longer master, whatever it
  believes: it becomes a holding BACKUP and listens. Before that point it just speaks: listening then would push
  patient peers into a takeover that speaking prevents; after it, every living peer has already decided, so silence
  costs nothing. Where `nopreempt` or `preempt_delay` protect whoever is master, and another one is heard, the
  shortest wait of a peer is enough to believe that it is.
- *waiting*: a BACKUP without a timer. Its master is silent, but its sync group cannot lead yet; an advert that it
  honours sets the timer again.
- `timer_expired_backup` makes that point earlier: `Rules.patience_ns` is then what the quickest peer waits.
- *held* (`Rules.held`): an operator does not want it to be master. It stays BACKUP, whoever is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

from fastha.vrrp.rules import Rules
from fastha.wire.address import shown

HELD = "held by an operator"


class Role(StrEnum):
    """States, RFC 9568 section 6.3, and FAULT as operators of keepalived know it."""

    INIT = "init"
    BACKUP = "backup"
    MASTER = "master"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class State:
    """What an instance is now. `deadline_ns` None: no timer. IP addresses are numbers, 0: none."""

    role: Role = Role.INIT
    priority: int = 100  # effective
    deadline_ns: int | None = None
    master_adver_ns: int = 0  # Master_Adver_Interval: own, or (v3) learned from the master
    master_ip: int = 0  # the master last heard; own_ip while MASTER
    holding: bool = False
    preempt_at_ns: int | None = None  # preempt_delay runs: a lower-priority master is honoured until then
    asserted_ns: int | None = None  # when a lower-priority master was last answered
    faults: frozenset[str] = frozenset()
    master_priority: int = 0  # that of master_ip, while it is another router's


# -- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Startup:
    """Take part. `resume`: the predecessor was master a moment ago and no peer can have given it up."""

    resume: bool = False


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Take part no more."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer was due. Stale if the state's deadline has moved since."""


@dataclass(frozen=True, slots=True)
class Advert:
    """An acceptable advert with a priority of 1..255."""

    priority: int
    src: int
    adver_ns: int


@dataclass(frozen=True, slots=True)
class AdvertZero:
    """An acceptable advert with priority 0: that master resigns, RFC 9568 section 5.2.4."""

    src: int


@dataclass(frozen=True, slots=True)
class FaultRaised:
    reason: str


@dataclass(frozen=True, slots=True)
class FaultCleared:
    reason: str


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The effective priority is now this (tracking)."""

    priority: int


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """A reload or the interface changed the rules; step() is given the new ones."""

    old: Rules


@dataclass(frozen=True, slots=True)
class Resign:
    """An operator wants another router to be master."""

    why: str


@dataclass(frozen=True, slots=True)
class GroupWaits:
    """It would become master, but not all of its sync group can (vrrp/group.py)."""


@dataclass(frozen=True, slots=True)
class GroupLeads:
    """All of its sync group become master now."""

    why: str


@dataclass(frozen=True, slots=True)
class GroupListens:
    """A member of its sync group was silent for too long and listens."""


Event: TypeAlias = (
    Startup
    | Shutdown
    | TimerFired
    | Advert
    | AdvertZero
    | FaultRaised
    | FaultCleared
    | PriorityChanged
    | RulesChanged
    | Resign
    | GroupWaits
    | GroupLeads
    | GroupListens
)

# -- effects -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendAdvert:
    """Send one now. Priority 0 resigns."""

    priority: int


@dataclass(frozen=True, slots=True)
class AddAddresses:
    """Make the kernel hold every address; those it has stay untouched."""


@dataclass(frozen=True, slots=True)
class RemoveAddresses:
    """Take every address back; pending ARP is forgotten."""


@dataclass(frozen=True, slots=True)
class Garp:
    """Gratuitous ARP: "master" after a transition, "lower_prio" after another master was heard."""

    occasion: str


@dataclass(frozen=True, slots=True)
class Notify:
    """The role changed."""

    old: Role
    new: Role
    why: str


@dataclass(frozen=True, slots=True)
class Warn:
    """An operator should see this once; nothing changed."""

    text: str


Effect: TypeAlias = SendAdvert | AddAddresses | RemoveAddresses | Garp | Notify | Warn
Outcome: TypeAlias = tuple[State, tuple[Effect, ...]]
Cell: TypeAlias = Callable[[Rules, State, Any, int], Outcome]


def step(rules: Rules, state: State, event: Event, now_ns: int) -> Outcome:
    """The next state and what to do, in order."""
    if rules.deaf and isinstance(event, Advert | AdvertZero):
        return state, ()  # beyond the RFC, `owner_ignore_adverts`: whatever others say
    return TABLE[state.role][type(event)](rules, state, event, now_ns)


def dotted(ip: int) -> str:
    """10.0.0.1 for 0x0a000001; fe80::1 for its number."""
    return shown(ip)


# -- transitions shared by cells -----------------------------------------------------------------------------------


def _become_master(rules: Rules, state: State, now_ns: int, why: str) -> Outcome:
    """RFC 9568 6.4.1 (110)-(135) and 6.4.2 (330)-(360): advert, ARP, Adver_Timer, MASTER."""
    new = replace(
        state,
        role=Role.MASTER,
        deadline_ns=rules.due_ns(now_ns),
        master_adver_ns=rules.advert_int_ns,
        master_ip=rules.own_ip,
        holding=False,
        preempt_at_ns=None,
        asserted_ns=None,
    )
    effects = SendAdvert(state.priority), AddAddresses(), Garp("master"), Notify(state.role, Role.MASTER, why)
    return new, effects


def _become_backup(rules: Rules, state: State, now_ns: int, why: str, heard_ns: int, master_ip: int) -> Outcome:
    """BACKUP with a full master-down interval ahead; the caller decides about addresses."""
    new = replace(
        state,
        role=Role.BACKUP,
        deadline_ns=now_ns + rules.master_down_ns(state.priority, heard_ns),
        master_adver_ns=heard_ns,
        master_ip=master_ip,
        preempt_at_ns=None,
        asserted_ns=None,
    )
    return new, (Notify(state.role, Role.BACKUP, why),)


def _resign(rules: Rules, state: State, now_ns: int, why: str) -> Outcome:
    """From MASTER to BACKUP of its own will: priority 0, so that a peer takes over after its skew, RFC 9568 5.2.4. It
    comes back if there is no peer, but not before one that has lost this advert had its turn."""
    new, effects = _become_backup(rules, state, now_ns, why, rules.advert_int_ns, 0)
    patience_ns = rules.silence_ns + rules.skew_ns(state.priority, rules.advert_int_ns)
    new = replace(new, deadline_ns=now_ns + patience_ns)
    return new, (SendAdvert(0), RemoveAddresses(), *effects)


def _stop_taking_part(state: State, role: Role, faults: frozenset[str], why: str) -> Outcome:
    """Into INIT or FAULT from BACKUP or MASTER: a master says so (priority 0), whoever holds addresses returns them."""
    effects: list[Effect] = []
    if state.role is Role.MASTER:
        effects.append(SendAdvert(0))  # 6.4.3 (615)-(620) on shutdown; keepalived does the same on FAULT
    if state.role is Role.MASTER or state.holding:
        effects.append(RemoveAddresses())
    effects.append(Notify(state.role, role, why))
    new = replace(
        state,
        role=role,
        deadline_ns=None,
        master_ip=0,
        holding=False,
        preempt_at_ns=None,
        asserted_ns=None,
        faults=faults,
    )
    return new, tuple(effects)


def _same(rules: Rules, state: State, event: Event, now_ns: int) -> Outcome:
    return state, ()


def _note_priority(rules: Rules, state: State, event: PriorityChanged, now_ns: int) -> Outcome:
    return replace(state, priority=event.priority), ()


def _note_clear(rules: Rules, state: State, event: FaultCleared, now_ns: int) -> Outcome:
    return replace(state, faults=state.faults - {event.reason}), ()


# -- INIT, 6.4.1 ---------------------------------------------------------------------------------------------------


def _init_startup(rules: Rules, state: State, event: Startup, now_ns: int) -> Outcome:
    if state.faults:
        effects: tuple[Effect, ...] = (Notify(Role.INIT, Role.FAULT, ", ".join(sorted(state.faults))),)
        if state.holding:
            effects = (RemoveAddresses(), *effects)
        return replace(state, role=Role.FAULT, holding=False), effects
    if rules.held:
        effects = (RemoveAddresses(),) if state.holding else ()
        new, more = _become_backup(rules, replace(state, holding=False), now_ns, HELD, rules.advert_int_ns, 0)
        return new, (*effects, *more)
    if rules.owner:  # (105) the router owns the addresses
        return _become_master(rules, state, now_ns, "owner of the addresses")
    if event.resume:
        return _become_master(rules, state, now_ns, "goes on where its predecessor stopped")
    # (140) Master_Adver_Interval := Advertisement_Interval; (145) set Master_Down_Timer; (150) BACKUP
    why = "addresses found in place; listens before it speaks" if state.holding else "started"
    return _become_backup(rules, state, now_ns, why, rules.advert_int_ns, 0)


def _init_fault(rules: Rules, state: State, event: FaultRaised, now_ns: int) -> Outcome:
    return replace(state, faults=state.faults | {event.reason}), ()


def _init_advert(rules: Rules, state: State, event: Advert, now_ns: int) -> Outcome:
    if state.holding:  # somebody else is master while we wait to take part
        return replace(state, holding=False, master_ip=event.src), (RemoveAddresses(),)
    return replace(state, master_ip=event.src), ()


def _init_shutdown(rules: Rules, state: State, event: Shutdown, now_ns: int) -> Outcome:
    return replace(state, holding=False), (RemoveAddresses(),) if state.holding else ()


def _init_waits(rules: Rules, state: State, event: GroupWaits, now_ns: int) -> Outcome:
    """An owner, or one that would go on where its predecessor stopped, before the rest of its group can."""
    new, effects = _become_backup(rules, state, now_ns, "waits for the rest of its sync group", rules.advert_int_ns, 0)
    return replace(new, deadline_ns=None), effects


# -- BACKUP, 6.4.2 -------------------------------------------------------------------------------------------------


def _backup_shutdown(rules: Rules, state: State, event: Shutdown, now_ns: int) -> Outcome:
    return _stop_taking_part(state, Role.INIT, state.faults, "stopped")  # (320) cancel the timer, INIT


def _backup_fault(rules: Rules, state: State, event: FaultRaised, now_ns: int) -> Outcome:
    return _stop_taking_part(state, Role.FAULT, state.faults | {event.reason}, event.reason)


def _backup_timer(rules: Rules, state: State, event: TimerFired, now_ns: int) -> Outcome:
    if state.deadline_ns is None or now_ns < state.deadline_ns:
        return state, ()  # stale: an advert came in between
    if rules.held:  # whoever was master is silent, and it is not for us to follow
        deadline_ns = now_ns + rules.master_down_ns(state.priority, state.master_adver_ns)
        return replace(state, deadline_ns=deadline_ns, master_ip=0), ()
    if not state.master_ip:
        why = "no master heard"
    elif rules.preempt and 0 < state.master_priority < state.priority:
        why = f"preempts {dotted(state.master_ip)}, which has priority {state.master_priority}"
    else:
        why = f"no advert from {dotted(state.master_ip)}"
    return _become_master(rules, state, now_ns, why)  # (325)-(365)


def _backup_advert_zero(rules: Rules, state: State, event: AdvertZero, now_ns: int) -> Outcome:
    # (425) set the Master_Down_Timer to Skew_Time. A holder keeps holding: whoever resigned is leaving.
    return replace(state, deadline_ns=now_ns + rules.skew_ns(state.priority, state.master_adver_ns)), ()


def _backup_advert(rules: Rules, state: State, event: Advert, now_ns: int) -> Outcome:
    effects: tuple[Effect, ...] = ()
    if state.holding:  # beyond the RFC: another master is alive, so these addresses are its
        state, effects = replace(state, holding=False), (RemoveAddresses(),)
    lower = event.priority < state.priority
    preempt_at_ns = None
    if lower and rules.preempt:
        if rules.preempt_delay_ns == 0:
            state = replace(state, master_ip=event.src, master_priority=event.priority)
            return state, effects  # (450) discard: let the timer run out
        preempt_at_ns = state.preempt_at_ns
        if preempt_at_ns is None:
            preempt_at_ns = now_ns + rules.preempt_delay_ns
        if now_ns >= preempt_at_ns:
            state = replace(state, master_ip=event.src, master_priority=event.priority)
            return replace(state, preempt_at_ns=preempt_at_ns), effects
    # (430)-(445): Preempt_Mode is false, or its priority is not lower than ours (or preempt_delay says: not yet)
    heard_ns = rules.interval_ns(event.adver_ns)
    new = replace(
        state,
        deadline_ns=now_ns + rules.master_down_ns(state.priority, heard_ns),
        master_adver_ns=heard_ns,
        master_ip=event.src,
        master_priority=event.priority,
        preempt_at_ns=preempt_at_ns,
    )
    return new, effects


def _backup_priority(rules: Rules, state: State, event: PriorityChanged, now_ns: int) -> Outcome:
    """Time already waited counts: only the skew changes."""
    return _moved(rules, rules, state, replace(state, priority=event.priority)), ()


def _backup_rules(rules: Rules, state: State, event: RulesChanged, now_ns: int) -> Outcome:
    heard_ns = rules.advert_int_ns if rules.version == 2 or not state.master_ip else state.master_adver_ns
    preempt_at_ns = state.preempt_at_ns if rules.preempt_delay_ns else None
    new = replace(state, master_adver_ns=heard_ns, preempt_at_ns=preempt_at_ns)
    if rules.held and state.holding:
        return _moved(event.old, rules, state, replace(new, holding=False)), (RemoveAddresses(),)
    return _moved(event.old, rules, state, new), (AddAddresses(),) if state.holding else ()


def _moved(old_rules: Rules, rules: Rules, old: State, new: State) -> State:
    """`new` with the deadline that its master-down interval gives, counted from when the old timer was set."""
    if old.deadline_ns is None:  # waiting; what it waits for is its group's to say
        return new
    gain = rules.master_down_ns(new.priority, new.master_adver_ns) - old_rules.master_down_ns(
        old.priority, old.master_adver_ns
    )
    return replace(new, deadline_ns=old.deadline_ns + gain)


def _backup_waits(rules: Rules, state: State, event: GroupWaits, now_ns: int) -> Outcome:
    return replace(state, deadline_ns=None), ()


def _backup_leads(rules: Rules, state: State, event: GroupLeads, now_ns: int) -> Outcome:
    if rules.held:
        return state, ()
    return _become_master(rules, state, now_ns, event.why)


# -- MASTER, 6.4.3 -------------------------------------------------------------------------------------------------


def _master_shutdown(rules: Rules, state: State, event: Shutdown, now_ns: int) -> Outcome:
    return _stop_taking_part(state, Role.INIT, state.faults, "stopped")  # (610)-(625)


def _master_fault(rules: Rules, state: State, event: FaultRaised, now_ns: int) -> Outcome:
    return _stop_taking_part(state, Role.FAULT, state.faults | {event.reason}, event.reason)


def _listen(rules: Rules, state: State, now_ns: int) -> Outcome:
    why = "was silent for longer than any peer waits; listens before it speaks again"
    return _become_backup(rules, replace(state, holding=True), now_ns, why, rules.advert_int_ns, 0)


def silent_too_long(rules: Rules, state: State, now_ns: int, limit_ns: int) -> bool:
    """Has this master sent nothing for longer than this?"""
    assert state.deadline_ns is not None
    return now_ns - (state.deadline_ns - rules.advert_int_ns) > limit_ns


def _master_timer(rules: Rules, state: State, event: TimerFired, now_ns: int) -> Outcome:
    if state.deadline_ns is None or now_ns < state.deadline_ns:
        return state, ()
    if silent_too_long(rules, state, now_ns, rules.patience_ns):
        return _listen(rules, state, now_ns)
    # (630)-(635) send, reset Adver_Timer: from the deadline (no drift), but never into the past (no burst)
    due_ns = state.deadline_ns + rules.advert_int_ns
    return replace(state, deadline_ns=due_ns if due_ns > now_ns else rules.due_ns(now_ns)), (
        SendAdvert(state.priority),
    )


def _master_advert_zero(rules: Rules, state: State, event: AdvertZero, now_ns: int) -> Outcome:
    if silent_too_long(rules, state, now_ns, rules.patience_ns):
        return _listen(rules, state, now_ns)
    # (705)-(710) send an advert, reset Adver_Timer
    return replace(state, deadline_ns=rules.due_ns(now_ns)), (SendAdvert(state.priority),)


def _master_advert(rules: Rules, state: State, event: Advert, now_ns: int) -> Outcome:
    protected = not rules.preempt or rules.preempt_delay_ns > 0
    limit_ns = rules.down_timer_adverts * rules.advert_int_ns if protected else rules.patience_ns
    if silent_too_long(rules, state, now_ns, limit_ns):
        state, effects = _listen(rules, state, now_ns)
        state, more = _backup_advert(rules, state, event, now_ns)
        return state, more + effects
    if (event.priority, event.src) > (state.priority, rules.own_ip):
        # (720)-(760) higher priority, or equal and a greater address: it is master. No advert: it has spoken
        # (`higher_prio_send_advert`: one all the same).
        why = f"{dotted(event.src)} has priority {event.priority}"
        new, effects = _become_backup(rules, state, now_ns, why, rules.interval_ns(event.adver_ns), event.src)
        new = replace(new, master_priority=event.priority)
        last = (SendAdvert(state.priority),) if rules.speaks_before_yielding else ()
        return new, (*last, RemoveAddresses(), *effects)
    if (event.priority, event.src) == (state.priority, rules.own_ip):
        return state, (Warn(f"another router uses our address {dotted(event.src)} and priority {event.priority}"),)
    # (765)-(775) lower: assert at once and teach the bridges again. At most ten times an interval, so that
    # a flood of adverts is not answered by a flood.
    if state.asserted_ns is not None and now_ns - state.asserted_ns < rules.advert_int_ns // 10:
        return state, ()
    answer = (SendAdvert(state.priority),) if rules.answers_lower else ()
    return replace(state, asserted_ns=now_ns), (*answer, Garp("lower_prio"))


def _master_rules(rules: Rules, state: State, event: RulesChanged, now_ns: int) -> Outcome:
    """Stays master, unless it is held now; one advert says what is new, and the address difference is applied."""
    if rules.held:
        return _resign(rules, state, now_ns, HELD)
    new = replace(
        state,
        deadline_ns=rules.due_ns(now_ns),
        master_adver_ns=rules.advert_int_ns,
        master_ip=rules.own_ip,
    )
    return new, (SendAdvert(state.priority), AddAddresses())


def _master_resign(rules: Rules, state: State, event: Resign, now_ns: int) -> Outcome:
    return _resign(rules, state, now_ns, event.why)


def _master_listens(rules: Rules, state: State, event: GroupListens, now_ns: int) -> Outcome:
    return _listen(rules, state, now_ns)


# -- FAULT ---------------------------------------------------------------------------------------------------------


def _fault_fault(rules: Rules, state: State, event: FaultRaised, now_ns: int) -> Outcome:
    return replace(state, faults=state.faults | {event.reason}), ()


def _fault_clear(rules: Rules, state: State, event: FaultCleared, now_ns: int) -> Outcome:
    faults = state.faults - {event.reason}
    state = replace(state, faults=faults)
    if faults:
        return state, ()
    # always BACKUP, also for an owner: others have been master meanwhile
    return _become_backup(rules, state, now_ns, f"no longer: {event.reason}", rules.advert_int_ns, 0)


def _fault_shutdown(rules: Rules, state: State, event: Shutdown, now_ns: int) -> Outcome:
    return replace(state, role=Role.INIT), (Notify(Role.FAULT, Role.INIT, "stopped"),)


TABLE: Mapping[Role, Mapping[type[Event], Cell]] = {
    Role.INIT: {
        Startup: _init_startup,
        Shutdown: _init_shutdown,
        TimerFired: _same,
        Advert: _init_advert,
        AdvertZero: _same,
        FaultRaised: _init_fault,
        FaultCleared: _note_clear,
        PriorityChanged: _note_priority,
        RulesChanged: _same,
        Resign: _same,
        GroupWaits: _init_waits,
        GroupLeads: _same,
        GroupListens: _same,
    },
    Role.BACKUP: {
        Startup: _same,
        Shutdown: _backup_shutdown,
        TimerFired: _backup_timer,
        Advert: _backup_advert,
        AdvertZero: _backup_advert_zero,
        FaultRaised: _backup_fault,
        FaultCleared: _note_clear,
        PriorityChanged: _backup_priority,
        RulesChanged: _backup_rules,
        Resign: _same,
        GroupWaits: _backup_waits,
        GroupLeads: _backup_leads,
        GroupListens: _same,
    },
    Role.MASTER: {
        Startup: _same,
        Shutdown: _master_shutdown,
        TimerFired: _master_timer,
        Advert: _master_advert,
        AdvertZero: _master_advert_zero,
        FaultRaised: _master_fault,
        FaultCleared: _note_clear,
        PriorityChanged: _note_priority,  # said with the next advert
        RulesChanged: _master_rules,
        Resign: _master_resign,
        GroupWaits: _same,
        GroupLeads: _same,
        GroupListens: _master_listens,
    },
    Role.FAULT: {
        Startup: _same,
        Shutdown: _fault_shutdown,
        TimerFired: _same,
        Advert: _same,
        AdvertZero: _same,
        FaultRaised: _fault_fault,
        FaultCleared: _fault_clear,
        PriorityChanged: _note_priority,
        RulesChanged: _same,
        Resign: _same,
        GroupWaits: _same,
        GroupLeads: _same,
        GroupListens: _same,
    },
}
