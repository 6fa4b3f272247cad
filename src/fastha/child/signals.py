"""Signals as events of the reactor.

The interpreter's C handler writes the signal's number into a pipe (signal.set_wakeup_fd), so that a loop which
sleeps in C is woken; the callback then runs between other callbacks, never inside one.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastha.loop.reactor import Reactor


class Signals:
    """Delivers each signal of `handlers` (number -> callback) through `reactor` until closed. Main thread only."""

    def __init__(self, reactor: Reactor, handlers: Mapping[int, Callable[[], object]]) -> None:
        self._reactor = reactor
        self._handlers = dict(handlers)
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old = {number: signal.signal(number, _heard) for number in self._handlers}
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        reactor.add(self._read, select.EPOLLIN, self._ready)

    def _ready(self, _events: int) -> None:
        for number in os.read(self._read, 4096):
            if number in self._handlers:
                self._handlers[number]()

    def close(self) -> None:
        """Put the former handlers back."""
        self._reactor.remove(self._read)
        signal.set_wakeup_fd(self._old_fd)
        for number, old in self._old.items():
            signal.signal(number, old)
        os.close(self._read)
        os.close(self._write)


def _heard(_number: int, _frame: object) -> None:
    """What a signal must have as a Python handler; the pipe does the work."""
