"""The reactor's Python contract in virtual time: nothing sleeps, `advance` moves the clock and fires what is due."""

from __future__ import annotations

import heapq
import itertools
import select
from collections.abc import Callable


class Timer:
    def __init__(self, when_ns: int, callback: Callable[[], object]) -> None:
        self.when_ns = when_ns
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualReactor:
    """Same methods as fastha.loop.reactor.Reactor; `turn()` serves ready descriptors, `advance(ns)` passes time."""

    def __init__(self, now_ns: int = 10**15) -> None:
        self._now = now_ns
        self._serial = itertools.count()
        self._timers: list[tuple[int, int, Timer]] = []
        self._fds: dict[int, tuple[int, Callable[[int], object]]] = {}
        self._hooks: list[Callable[[], object]] = []
        self.turns = 0
        self.stopped = False

    def now_ns(self) -> int:
        return self._now

    def pass_time(self, ns: int) -> None:
        """Work takes time: nothing is served meanwhile."""
        self._now += ns

    def add(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        assert fd not in self._fds
        self._fds[fd] = events, callback

    def modify(self, fd: int, events: int) -> None:
        self._fds[fd] = events, self._fds[fd][1]

    def remove(self, fd: int) -> None:
        del self._fds[fd]

    def call_at(self, deadline_ns: int, callback: Callable[[], object]) -> Timer:
        timer = Timer(deadline_ns, callback)
        heapq.heappush(self._timers, (deadline_ns, next(self._serial), timer))
        return timer

    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer:
        return self.call_at(self._now + delay_ns, callback)

    def before_sleep(self, hook: Callable[[], object]) -> None:
        self._hooks.append(hook)

    def lag(self) -> list[int]:
        return [0] * 6

    def take_lag_ns(self) -> int:
        return 0

    def turn(self) -> None:
        """One turn without sleeping: descriptors, due timers, hooks."""
        self.turns += 1
        poll = select.poll()
        for fd, (events, _) in self._fds.items():
            poll.register(fd, events)
        for fd, events in poll.poll(0):
            if fd in self._fds:
                self._fds[fd][1](events)
        while self._timers and self._timers[0][0] <= self._now:
            _, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
        for hook in self._hooks:
            hook()

    def advance(self, ns: int) -> None:
        """Pass `ns`, stopping at every deadline on the way."""
        end = self._now + ns
        self.turn()
        while not self.stopped and self._timers and self._timers[0][0] <= end:
            self._now = max(self._now, self._timers[0][0])
            self.turn()
        self._now = max(end, self._now)

    def run(self) -> None:
        """Turn until stopped; time jumps to the next deadline."""
        while not self.stopped:
            self.turn()
            if not self.stopped and self._timers:
                self._now = max(self._now, self._timers[0][0])

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        pass
