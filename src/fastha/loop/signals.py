"""Signals as one more descriptor of the reactor.

The interpreter's own C handler writes each signal's number to a pipe (signal.set_wakeup_fd); the reactor watches the
pipe and calls `callback(number)` in its normal order. Nothing is blocked, so programs that this process starts inherit
a clean mask and, after exec, default actions. (signalfd would need a blocked mask, which exec passes on.)
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from fastha.loop.reactor import Reactor

DEFAULT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)


def _quiet(number: int, frame: FrameType | None) -> None:
    """A Python handler must exist, or the interpreter's C handler is not installed; the pipe does the work."""


class Signals:
    """Deliver `numbers` to `callback` from the reactor's loop until `close()`; main thread only.

    As with all signals, several of one number that come before the loop turns may arrive as one.
    """

    def __init__(
        self, reactor: Reactor, callback: Callable[[signal.Signals], object], numbers: Iterable[int] = DEFAULT
    ) -> None:
        self._reactor = reactor
        self._callback = callback
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_handlers: dict[int, Any] = {}
        self._closed = False
        # A full pipe already holds every number that matters; the interpreter need not print about it.
        self._old_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in numbers:
            self._old_handlers[number] = signal.signal(number, _quiet)
        reactor.add(self._read, select.EPOLLIN, self._readable)

    def _readable(self, events: int) -> None:
        try:
            pending = os.read(self._read, 65536)
        except BlockingIOError:
            return
        for number in dict.fromkeys(pending):  # each once, in order of arrival
            if number in self._old_handlers and not self._closed:
                self._callback(signal.Signals(number))

    def close(self) -> None:
        """Restore what was there before. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._reactor.remove(self._read)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._read)
        os.close(self._write)
