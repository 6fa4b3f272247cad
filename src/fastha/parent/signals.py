"""Signals as events of the parent's loop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Collection
from types import FrameType

from fastha.parent.loop import READ, Loop


class Signals:
    """While entered, signals arrive as calls of `callback(number)` from the loop (signal.set_wakeup_fd)."""

    TAKEN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

    def __init__(self, loop: Loop, callback: Callable[[int], object], more: Collection[int] = ()) -> None:
        """`more`: to be taken besides."""
        self._loop, self._callback = loop, callback
        self._taken = {*self.TAKEN, *more}

    def __enter__(self) -> Signals:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._old_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _nothing) for number in self._taken}
        self._loop.add(self._read.fileno(), READ, self._event)
        return self

    def _event(self, _events: int) -> None:
        for number in self._read.recv(4096):
            if number in self._taken:
                self._callback(number)

    def __exit__(self, *_exc: object) -> None:
        self._loop.remove(self._read.fileno())
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self._read.close()
        self._write.close()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler that lets the wakeup descriptor do the work."""
