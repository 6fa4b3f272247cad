"""What happened lately: a ring of numbered events, each logged once, by the process that saw it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from fastha.log import INFO, Log

RING = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """`wall` is seconds since the epoch; `source` the process that saw it; `subject` an instance, a server, a child
    or ""."""

    number: int
    wall: float
    source: str
    kind: str
    subject: str
    text: str


class Events:
    """Numbers start at 1 and are never reused; a reader that was away sees from the numbers what it missed."""

    def __init__(self, log: Log, size: int = RING) -> None:
        self.last = 0
        self._log = log
        self._ring: deque[Event] = deque(maxlen=size)

    def log(self, kind: str, subject: str, text: str, level: int = INFO) -> None:
        """Something the parent itself has seen."""
        self.add("parent", kind, subject, text)
        self._log.write(level, text)

    def add(self, source: str, kind: str, subject: str, text: str) -> Event:
        """Something that `source` has seen, and logged."""
        self.last += 1
        event = Event(self.last, time.time(), source, kind, subject, text)
        self._ring.append(event)
        return event

    def since(self, number: int) -> list[Event]:
        """Events with a number greater than `number` that are still kept, oldest first."""
        missing = self.last - number
        if missing <= 0:
            return []
        return list(self._ring)[-missing:]
