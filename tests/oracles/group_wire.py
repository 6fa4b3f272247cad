"""A virtual wire with sync groups: directors with several virtual routers each, which vrrp/group.py moves together.

Every virtual router has a link of its own, which can be cut for one director.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastha.vrrp import group, machine
from fastha.vrrp.machine import Event, Role, SendAdvert
from fastha.vrrp.rules import Rules
from oracles.vrrp_wire import MS, Wire


@dataclass(frozen=True)
class Seat:
    """Whose router it is, in which group, and of which virtual router (so on which link)."""

    director: int
    group: int
    vrid: int


class GroupWire(Wire):
    """`told`: (director, group, the effects of one burst, in order); `lines`: what the FIFO of a director would say."""

    def __init__(self, seed: int, seats: list[tuple[Seat, Rules]], loss: float = 0.0, jitter_ns: int = MS) -> None:
        super().__init__(seed, [rules for _, rules in seats], loss, 0.0, jitter_ns)
        self.seats = [seat for seat, _ in seats]
        self.cut: set[tuple[int, int]] = set()  # (director, vrid): hears nobody, and nobody hears it
        self.told: list[list[type]] = []
        self.lines: dict[int, list[str]] = {}

    def of(self, director: int) -> list[int]:
        return [i for i, seat in enumerate(self.seats) if seat.director == director]

    def members(self, index: int) -> list[int]:
        seat = self.seats[index]
        return [i for i in self.of(seat.director) if self.seats[i].group == seat.group]

    def role(self, director: int, number: int) -> Role:
        states = [self.routers[i].state for i in self.of(director) if self.seats[i].group == number]
        roles = {state.role for state in states}
        assert len(roles) == 1, f"group {number} of director {director} is torn apart: {states}"
        return roles.pop()

    def fault(self, index: int) -> None:
        """Its interface goes down; nobody hears its goodbye."""
        seat = self.seats[index]
        self.cut.add((seat.director, seat.vrid))
        self.happen(index, machine.FaultRaised("link"))

    def heal(self, index: int) -> None:
        seat = self.seats[index]
        self.cut.discard((seat.director, seat.vrid))
        if "link" in self.routers[index].state.faults:
            self.happen(index, machine.FaultCleared("link"))

    def happen(self, index: int, event: Event) -> None:
        router = self.routers[index]
        if router.dead:
            return
        if router.frozen:
            if isinstance(event, machine.Advert | machine.AdvertZero):
                router.queue.append(event)
            return
        numbers = self.members(index)
        olds = [self.routers[i].state for i in numbers]
        rules = [self.routers[i].rules for i in numbers]
        states, moves = group.step(rules, olds, numbers.index(index), event, self.now)
        for i, old, new in zip(numbers, olds, states, strict=True):
            self.routers[i].state = new
            if new.role is not old.role:
                self.routers[i].changes.append((self.now, new.role))
            if new.deadline_ns is not None and new.deadline_ns != old.deadline_ns:
                self._push(max(new.deadline_ns, self.now), i, machine.TimerFired())
        self.told.append([type(effect) for _, effect in moves])
        for number, effect in moves:
            if isinstance(effect, group.GroupNotify):
                self._say(index, f"GROUP {self.seats[index].group} {effect.new}")
            else:
                if isinstance(effect, machine.Notify):
                    self._say(index, f"INSTANCE {self.seats[numbers[number]].vrid} {effect.new}")
                self._effect(numbers[number], effect)

    def _say(self, index: int, line: str) -> None:
        self.lines.setdefault(self.seats[index].director, []).append(line)

    def _hears(self, index: int, other: int) -> bool:
        mine, yours = self.seats[index], self.seats[other]
        return mine.vrid == yours.vrid and not self.cut & {(s.director, s.vrid) for s in (mine, yours)}

    def _effect(self, index: int, effect: machine.Effect) -> None:
        if isinstance(effect, SendAdvert):  # only on its own link: the others are as if on another side
            sides = [r.side for r in self.routers]
            for other, router in enumerate(self.routers):
                if other != index and not self._hears(index, other):
                    router.side = -1
            super()._effect(index, effect)
            for router, side in zip(self.routers, sides, strict=True):
                router.side = side
        else:
            super()._effect(index, effect)
