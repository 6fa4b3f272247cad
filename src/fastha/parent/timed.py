"""`reload_time_file` and `reload_repeat`: looks at the file once a second, and asks for the reload at its time (shell).

The clock is read again each second, so a clock that is set and a night that has an hour more do what people expect.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from fastha.log import Log
from fastha.model.units import NS_PER_S
from fastha.parent.appointment import MOST_BYTES, Appointment, parse
from fastha.parent.loop import Loop, Timer

LOOK_NS = NS_PER_S


class Timed:
    """`follow` after each commit. `reload()` is called when it is time."""

    def __init__(
        self, loop: Loop, log: Log, reload: Callable[[], object], now: Callable[[], float] = time.time
    ) -> None:
        self._loop, self._log, self._reload, self._now = loop, log, reload, now
        self._path, self._repeat = "", False
        self._seen: tuple[int, int, int] | None = None  # of the file that was last understood, or complained of
        self._next: Appointment | None = None
        self._timer: Timer | None = None

    @property
    def at(self) -> float:
        """When the next reload is due, seconds since the epoch; 0: no time is set."""
        return self._next.at if self._next is not None else 0.0

    def follow(self, path: str, repeat: bool) -> None:
        """From now on look at this file; "": at none."""
        self._repeat = repeat
        if path != self._path:
            self._path, self._seen, self._next = path, None, None
        if path and self._timer is None:
            self._look()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if not self._path:
            return
        self._read()
        wait_ns = LOOK_NS
        if self._next is not None:
            left_s = self._next.at - self._now()
            if left_s <= 0:
                self._due(self._next)
            elif left_s < 1:
                wait_ns = max(1, round(left_s * NS_PER_S))
        self._timer = self._loop.call_later(wait_ns, self._look)

    def _read(self) -> None:
        """Take notice of a file that is new, other or gone."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._seen = self._next = None
            return
        try:
            status = os.fstat(fd)
            seen = status.st_ino, status.st_mtime_ns, status.st_size
            if seen == self._seen:
                return
            self._seen = seen
            text = os.read(fd, MOST_BYTES + 1)
        except OSError as error:
            self._complain(error.strerror or str(error))
            return
        finally:
            os.close(fd)
        try:
            self._next = parse(text, self._now())
        except (ValueError, OverflowError) as error:
            self._complain(str(error))
            return
        if self._next is None:
            self._complain("that time has passed")
            return
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self._next.at))
        self._log.info(f"reload_time_file {self._path}: next reload at {when}")

    def _complain(self, why: str) -> None:
        self._next = None
        self._log.warning(f"reload_time_file {self._path}: {why}; no reload is planned")

    def _due(self, appointment: Appointment) -> None:
        self._next = None
        if self._repeat and not appointment.dated:
            self._seen = None  # the same text means tomorrow
        else:
            try:
                os.unlink(self._path)
            except OSError as error:
                self._log.warning(f"reload_time_file {self._path}: cannot be removed: {error.strerror or error}")
        self._log.info(f"reload_time_file {self._path}: it is time")
        self._reload()
