"""Who waits for an answer of a child: tickets with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastha.model.units import NS_PER_S
from fastha.parent.loop import Loop, Timer

WAIT_NS = 30 * NS_PER_S

Done = Callable[[dict[str, Any]], object]


class Tickets:
    """Every `done` is called exactly once: with the child's answer, or with {ok: False, operations: 0, text}."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._last = 0
        self._waiting: dict[int, tuple[Done, Timer]] = {}

    def take(self, done: Done) -> int:
        self._last += 1
        ticket = self._last
        late = f"no answer within {WAIT_NS // NS_PER_S} s"
        timer = self._loop.call_later(WAIT_NS, lambda: self.answer(ticket, _failed(late)))
        self._waiting[ticket] = done, timer
        return ticket

    def answer(self, ticket: int, fields: dict[str, Any]) -> None:
        """One that nobody waits for (any more) is no harm."""
        done, timer = self._waiting.pop(ticket, (None, None))
        if done is not None and timer is not None:
            timer.cancel()
            done(fields)

    def fail(self, text: str) -> None:
        """The child that owed the answers is gone."""
        for ticket in list(self._waiting):
            self.answer(ticket, _failed(text))


def _failed(text: str) -> dict[str, Any]:
    return {"ok": False, "operations": 0, "text": text}
