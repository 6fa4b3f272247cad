"""Long work in slices: generators that run for SLICE_NS, give the loop a turn, and go on where they were.

What a generator does between two `yield`s is never interrupted. Works run one after another, in the order they came.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_MS

SLICE_NS = 2 * NS_PER_MS
PIECE = 64  # of many things that a generator goes through: so many between two places to pause

Steps = Iterator[None]
T = TypeVar("T")


class Work:
    """`add` a generator; each `yield` is a place to pause. `breathe()` is called at each of them too.

    Python's garbage collector does not run during work: it would look at every object of a large configuration at a
    moment of its own choosing. At the end all that exists is frozen, so that later collections do not look at it
    either; whoever drops objects of the frozen kind breaks their cycles by hand."""

    def __init__(
        self,
        reactor: Reactor,
        stalled: Callable[[int], object] = lambda _ns: None,
        breathe: Callable[[], object] = lambda: None,
        *,
        collects: bool = True,
    ) -> None:
        """`stalled(ns)` is told how long each slice took. `collects`: whether the collector is to run between works."""
        self._reactor, self._stalled, self._breathe, self._collects = reactor, stalled, breathe, collects
        self._queue: deque[Steps] = deque()
        self._timer: Timer | None = None
        self._quiet = False

    @property
    def idle(self) -> bool:
        return not self._queue

    def add(self, steps: Steps) -> None:
        self.quiet()
        self._queue.append(steps)
        if self._timer is None:
            self._timer = self._reactor.call_at(self._reactor.now_ns(), self._slice)

    def quiet(self) -> None:
        """Work is coming (what it needs already arrives): no collector from now until it is done."""
        if not self._quiet:
            self._quiet = True
            gc.collect(1)  # what is garbage now would be frozen as well
            gc.disable()

    def no_work(self) -> None:
        """It does not come after all."""
        if self._quiet and not self._queue:
            self._rest()

    def clear(self) -> None:
        """Forget all of it, where it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for steps in self._queue:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
        if self._queue:
            self._queue.clear()
            self._rest()

    def _slice(self) -> None:
        self._timer = None
        began_ns = self._reactor.now_ns()
        self._go_on(began_ns + SLICE_NS)
        if self._queue:
            self._timer = self._reactor.call_at(self._reactor.now_ns(), self._slice)
        else:
            self._rest()
        self._stalled(self._reactor.now_ns() - began_ns)

    def _go_on(self, end_ns: int) -> None:
        now_ns = self._reactor.now_ns
        while self._queue:
            steps = self._queue[0]
            for _ in steps:
                self._breathe()
                if now_ns() >= end_ns:
                    break
            else:
                if self._queue and self._queue[0] is steps:  # it may have cleared the queue
                    self._queue.popleft()
                if now_ns() < end_ns:
                    continue
            break

    def _rest(self) -> None:
        self._quiet = False
        gc.freeze()
        if self._collects:
            gc.enable()


def pieces(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """All of them, a PIECE at a time."""
    return (things[first : first + PIECE] for first in range(0, len(things), PIECE))


def run(steps: Steps) -> None:
    """All of it at once."""
    for _ in steps:
        pass
