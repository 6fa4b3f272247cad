"""How many may do something at once; the others wait in order and are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Queue(Generic[T]):
    """`enter(x)` answers whether x may go on now; if not, `call(x)` when it may. `leave(x)` lets the next one in.

    `call` may itself lead to `leave`: there is no recursion, however many end at once. O(1) each.
    """

    def __init__(self, limit: int, call: Callable[[T], object]) -> None:
        self.limit = limit
        self.waited = 0  # that had to wait, ever
        self._call = call
        self._inside: set[T] = set()
        self._waiting: dict[T, None] = {}  # in order
        self._calling = False

    @property
    def inside(self) -> int:
        return len(self._inside)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self, one: T) -> bool:
        if len(self._inside) < self.limit and not self._waiting:
            self._inside.add(one)
            return True
        self._waiting[one] = None
        self.waited += 1
        return False

    def leave(self, one: T) -> None:
        """Idempotent; also for one that waits."""
        self._waiting.pop(one, None)
        self._inside.discard(one)
        if self._calling:
            return
        self._calling = True
        try:
            while self._waiting and len(self._inside) < self.limit:
                first = next(iter(self._waiting))
                del self._waiting[first]
                self._inside.add(first)
                self._call(first)
        finally:
            self._calling = False
