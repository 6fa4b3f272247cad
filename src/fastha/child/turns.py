"""Many have their turn, a few at a time. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 20  # at a time


class Turns(Generic[T]):
    """A tenth of them at a time, at most MOST; all have had their turn before one has another."""

    def __init__(self) -> None:
        self._queue: deque[T] = deque()

    def next(self, everyone: Collection[T]) -> list[T]:
        """Whose turn it is. One that has gone meanwhile may be among them."""
        many = min(-(-len(everyone) // 10), MOST)
        if len(self._queue) < many:
            self._queue.extend(everyone)
        return [self._queue.popleft() for _ in range(many)]
