"""The parent's event loop: one thread, selectors and a heap of timers.

A turn serves descriptors first and timers after, so a timer that judges somebody's silence has always read
what had arrived. Callbacks do not block; what they raise ends the loop (that is our own bug).
"""

from __future__ import annotations

import heapq
import selectors
import time
from collections.abc import Callable
from itertools import count

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Timer:
    """Fires once at `when_ns`; `cancel()` is idempotent."""

    __slots__ = ("callback", "when_ns")

    def __init__(self, when_ns: int, callback: Callable[[], object]) -> None:
        self.when_ns = when_ns
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Not thread-safe. Timers that were cancelled leave the heap when their time comes."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()  # equal deadlines fire in the order they were set
        self._running = False
        self._longest_ns = 0

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def add(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Call `callback(events)` while `fd` has any of READ, WRITE."""
        self._selector.register(fd, events, callback)

    def modify(self, fd: int, events: int) -> None:
        key = self._selector.get_key(fd)
        if key.events != events:
            self._selector.modify(fd, events, key.data)

    def remove(self, fd: int) -> None:
        """Forget `fd`; call before closing it."""
        self._selector.unregister(fd)

    def call_at(self, when_ns: int, callback: Callable[[], object]) -> Timer:
        timer = Timer(when_ns, callback)
        heapq.heappush(self._heap, (when_ns, next(self._order), timer))
        return timer

    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer:
        return self.call_at(self.now_ns() + delay_ns, callback)

    def run(self) -> None:
        """Turn until `stop()`."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        self._running = False

    def turn(self, wait_s: float | None = None) -> None:
        """One turn: wait (at most `wait_s`) for descriptors or the next timer, then serve both."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        if self._heap:
            until = max(0, self._heap[0][0] - self.now_ns()) / 1e9
            wait_s = until if wait_s is None else min(wait_s, until)
        ready = self._selector.select(wait_s)
        began_ns = self.now_ns()
        for key, events in ready:
            # A callback before this one may have closed the descriptor, or given its number to somebody else.
            if self._selector.get_map().get(key.fd) is key:
                key.data(events)
        now = self.now_ns()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if (callback := timer.callback) is not None:
                timer.callback = None
                callback()
        self._longest_ns = max(self._longest_ns, self.now_ns() - began_ns)

    def take_longest_ns(self) -> int:
        """How long the longest turn since the last call took: nobody was served meanwhile."""
        longest_ns, self._longest_ns = self._longest_ns, 0
        return longest_ns

    def close(self) -> None:
        """Release the selector. Idempotent."""
        self._selector.close()
