"""BFD_CHECK behind the door of engine.py: nobody is asked, the answer is what the bfd process said last.

A slot that is scheduled answers once with what is known, and again at once whenever that changes; while nothing is
known of a session its checks have no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastha.checker.ending import Ending
from fastha.checker.engine import Answer, Deliver
from fastha.loop.reactor import Reactor, Timer
from fastha.model import BfdCheck, Check

KIND = "BFD_CHECK"


@dataclass(slots=True)
class _Slot:
    name: str
    scheduled: bool = False
    told: bool | None = None
    timer: Timer | None = None
    answers: int = 0
    failures: int = 0


class BfdStates:
    """An Engine. `update` is for what the parent forwards; `deliver` takes the answers, with slots of this engine."""

    def __init__(self, reactor: Reactor, deliver: Deliver) -> None:
        self._reactor, self._deliver = reactor, deliver
        self._states: dict[str, bool] = {}
        self._slots: dict[int, _Slot] = {}
        self._by_name: dict[str, set[int]] = {}
        self._last = 0

    def update(self, states: Mapping[str, bool]) -> None:
        """Sessions are up or down."""
        self._states.update(states)
        slots = (n for name in states for n in sorted(self._by_name.get(name, ())))
        self._answer(n for n in list(slots) if self._slots[n].scheduled)

    def open(self, check: Check) -> int:
        assert isinstance(check, BfdCheck)
        self._last += 1
        self._slots[self._last] = _Slot(check.name)
        self._by_name.setdefault(check.name, set()).add(self._last)
        return self._last

    def close_slot(self, slot: int) -> None:
        gone = self._slots.pop(slot)
        if gone.timer is not None:
            gone.timer.cancel()
        self._by_name[gone.name].discard(slot)
        if not self._by_name[gone.name]:
            del self._by_name[gone.name]

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        one = self._slots[slot]
        one.scheduled = True
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        if one.told is None and one.name in self._states:
            one.timer = self._reactor.call_at(when_ns, lambda: self._answer([slot]))

    def _answer(self, slots: Iterable[int]) -> None:
        """Those who would say something else than they did."""
        now = self._reactor.now_ns()
        answers = []
        for number in slots:
            one, up = self._slots[number], self._states[self._slots[number].name]
            if one.told is up:
                continue
            one.told, one.timer = up, None
            one.answers += 1
            one.failures += not up
            ending = Ending.SESSION_UP if up else Ending.SESSION_DOWN
            answers.append(Answer(number, 0, ending, 0, 0, now, now, one.name))
        if answers:
            self._deliver(answers)

    def stats(self, slot: int) -> tuple[int, int, int]:
        one = self._slots[slot]
        return one.answers, one.failures, -1

    def generation(self, slot: int) -> int:
        return 0  # a number is used once

    def counters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        for slot in list(self._slots):
            self.close_slot(slot)
