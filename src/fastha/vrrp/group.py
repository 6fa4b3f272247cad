"""Sync groups: virtual routers that move together. Pure.

`step(rules, members, index, event, now_ns, complete)` plays one event of one member with machine.step, and then what
follows for the others:

- The group leads when every member would: one whose master is silent *waits* (BACKUP without a timer) for the rest, and
  an advert it honours takes that back. So a link on which one member hears nobody does not move the group.
- A master that yields takes all of them to BACKUP; they say so with priority 0, so that the peer's group need not wait.
- A master that listens because it was silent for too long makes all of them listen, with their addresses in place.
- A member in FAULT takes all of them to FAULT, until none has a fault of its own.

Each rule needs to look at the others only when `concerns` says so. Effects are those of all members in one burst: every
advert first, then addresses, then ARP, then notifications, the group's last. (At start the group's comes first: as
keepalived, observed.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fastha.vrrp import machine
from fastha.vrrp.machine import Effect, Event, Role, State
from fastha.vrrp.rules import Rules

DRAGGED = "another member of its sync group is in FAULT"  # the one fault that is not a member's own


@dataclass(frozen=True, slots=True)
class GroupNotify:
    """The state of the group changed."""

    old: Role
    new: Role
    why: str


Play: TypeAlias = Callable[[int, Event], None]
Moves: TypeAlias = list[tuple[int, Effect | GroupNotify]]  # (number of the member, -1: the group; effect)

RANKS = {
    kind: rank
    for rank, kind in enumerate(
        (machine.SendAdvert, machine.RemoveAddresses, machine.AddAddresses, machine.Garp, machine.Notify, GroupNotify)
    )
}


def own_faults(state: State) -> frozenset[str]:
    """Those that do not come from the group."""
    return state.faults - {DRAGGED}


def ready(state: State) -> bool:
    """Would it be master, if all of the group can?"""
    return state.role is Role.MASTER or (state.role is Role.BACKUP and state.deadline_ns is None)


def role_of(states: Iterable[State]) -> Role:
    """The group's state: FAULT if one is, MASTER if all that take part are. INIT if none takes part."""
    roles = {state.role for state in states} - {Role.INIT}
    if not roles:
        return Role.INIT
    if Role.FAULT in roles:
        return Role.FAULT
    return Role.MASTER if roles == {Role.MASTER} else Role.BACKUP


def concerns(old: State, new: State) -> bool:
    """Does this change of a member mean something for its group?"""
    return old.role is not new.role or bool(own_faults(old)) != bool(own_faults(new))


def step(
    rules: Sequence[Rules], members: Sequence[State], index: int, event: Event, now_ns: int, complete: bool = True
) -> tuple[list[State], Moves]:
    """The next states of all members and what to do. `complete`: there is no member that is not here yet."""
    states: list[State] = list(members)
    moves: Moves = []
    before = states[index]

    def play(number: int, event: Event) -> None:
        states[number], effects = machine.step(rules[number], states[number], event, now_ns)
        moves.extend((number, effect) for effect in effects)

    new, effects = machine.step(rules[index], before, event, now_ns)
    able = complete and all(ready(state) for number, state in enumerate(states) if number != index)
    if new.role is Role.MASTER and (before.role is Role.INIT or (before.role is Role.BACKUP and not able)):
        play(index, machine.GroupWaits())
        if able:
            lead(states, play, "all of the sync group can")
        return states, _burst(members, states, moves)
    states[index] = new
    moves += [(index, effect) for effect in effects]
    if concerns(before, new) and new.role is not Role.INIT:  # who is stopped takes nobody along
        _follow(states, index, before, play)
    return states, _burst(members, states, moves)


def settle(rules: Sequence[Rules], members: Sequence[State], now_ns: int, complete: bool) -> tuple[list[State], Moves]:
    """Members that were brought together become of one mind: after a reload."""
    states: list[State] = list(members)
    moves: Moves = []

    def play(number: int, event: Event) -> None:
        states[number], effects = machine.step(rules[number], states[number], event, now_ns)
        moves.extend((number, effect) for effect in effects)

    _share_faults(states, play)
    masters = any(state.role is Role.MASTER for state in states)
    others = [state for state in states if state.role is not Role.MASTER and not ready(state)]
    if masters and any(state.role is Role.BACKUP and state.master_ip for state in others):
        for number, state in enumerate(states):
            if state.role is Role.MASTER:
                play(number, machine.Resign("its sync group has another master"))
    elif complete and (not others or (masters and all(state.role is Role.BACKUP for state in others))):
        lead(states, play, "all of the sync group can")  # also one that has just come, and has heard nobody
    return states, _burst(members, states, moves)


def alone(state: State, event_ns: int, rules: Rules) -> tuple[State, tuple[Effect, ...]]:
    """A member that leaves its group: no fault comes from there any more, and it waits for nobody."""
    effects: tuple[Effect, ...] = ()
    if DRAGGED in state.faults:
        state, effects = machine.step(rules, state, machine.FaultCleared(DRAGGED), event_ns)
    if state.role is Role.BACKUP and state.deadline_ns is None:
        state, more = machine.step(rules, state, machine.GroupLeads("waits for no sync group any more"), event_ns)
        effects += more
    return state, effects


def lead(states: Sequence[State], play: Play, why: str) -> None:
    """All that are not master yet become it."""
    for number, state in enumerate(states):
        if state.role is Role.BACKUP:
            play(number, machine.GroupLeads(why))


def _follow(states: list[State], index: int, before: State, play: Play) -> None:
    """The others after a change of member `index`."""
    new = states[index]
    _share_faults(states, play)
    if new.role is Role.MASTER:
        lead(states, play, "its sync group becomes master")
    elif before.role is Role.MASTER and new.role is Role.BACKUP:
        event = machine.GroupListens() if new.holding else machine.Resign("its sync group yields")
        for number, state in enumerate(states):
            if state.role is Role.MASTER:
                play(number, event)


def _share_faults(states: list[State], play: Play) -> None:
    """Who must have DRAGGED gets it, then who must not loses it."""
    faulty = {number for number, state in enumerate(states) if own_faults(state) and state.role is not Role.INIT}
    for wanted in (True, False):
        for number, state in enumerate(states):
            if (bool(faulty - {number}) if len(faulty) < 2 else True) is not wanted:
                continue
            if wanted and DRAGGED not in state.faults:
                play(number, machine.FaultRaised(DRAGGED))
            elif not wanted and DRAGGED in state.faults:
                play(number, machine.FaultCleared(DRAGGED))


def _burst(old: Sequence[State], new: Sequence[State], moves: Moves) -> Moves:
    """In the order in which they must happen, with what the group says of itself."""
    before, after = role_of(old), role_of(new)
    moves.sort(key=lambda move: RANKS.get(type(move[1]), len(RANKS)))
    if before is after:
        return moves
    whys = [effect.why for _, effect in moves if isinstance(effect, machine.Notify) and effect.new is after]
    notify = -1, GroupNotify(before, after, whys[0] if whys else "")
    if before is not Role.INIT:
        return [*moves, notify]
    first = next((i for i, (_, effect) in enumerate(moves) if isinstance(effect, machine.Notify)), len(moves))
    return [*moves[:first], notify, *moves[first:]]
