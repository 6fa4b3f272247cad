"""What happened lately: a ring of numbered events, each logged once, by the process that saw it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from fastha.log import INFO, Log

RING = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """`wall` is seconds since the epoch; `source` the process that saw it; `subject` an instance, a server, a child
    or ""; `cause` why it happened, as far as it is told apart from `text`."""

    number: int
    wall: float
    source: str
    kind: str
    subject: str
    text: str
    cause: str


class Events:
    """Numbers start at 1 and are never reused; a reader that was away sees from the numbers what it missed.

    `stream` names this numbering: another daemon begins another one."""

    def __init__(self, log: Log, size: int = RING) -> None:
        self.last = 0
        self.stream = f"{time.time_ns():x}"
        self._log = log
        self._ring: deque[Event] = deque(maxlen=size)
        self._waiting: list[Callable[[], object]] = []

    def log(self, kind: str, subject: str, text: str, level: int = INFO, cause: str = "") -> None:
        """Something the parent itself has seen."""
        self.add("parent", kind, subject, text, cause)
        self._log.write(level, text, {"FASTHA_KIND": kind, "FASTHA_SUBJECT": subject})

    def add(self, source: str, kind: str, subject: str, text: str, cause: str = "") -> Event:
        """Something that `source` has seen, and logged."""
        self.last += 1
        event = Event(self.last, time.time(), source, kind, subject, text, cause or text)
        self._ring.append(event)
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
        return event

    @property
    def first(self) -> int:
        """The oldest number that is still kept; one more than `last` if there is none."""
        return self.last - len(self._ring) + 1

    def since(self, number: int) -> list[Event]:
        """Events with a number greater than `number` that are still kept, oldest first."""
        return list(islice(self._ring, max(0, number - self.first + 1), None))

    def number_at(self, wall: float) -> int:
        """The number of the last event before this moment."""
        return next((event.number for event in reversed(self._ring) if event.wall < wall), self.first - 1)

    def once(self, callback: Callable[[], object]) -> None:
        """Call `callback()` when the next event comes. It does not block and adds none."""
        self._waiting.append(callback)

    def forget(self, callback: Callable[[], object]) -> None:
        """It does not wait any more; one that does not is no harm."""
        self._waiting = [one for one in self._waiting if one is not callback]
