"""One reading of the configuration, in a process of its own (shell over channel/stream.py).

A process that writes nothing for SILENCE_NS is killed. However it ends, `done` is called once, in a turn of the loop.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastha.channel.stream import Decoder, End
from fastha.errors import FasthaError, Fault
from fastha.log import Log
from fastha.model.parts import Key, Part
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent.configuration import Configuration
from fastha.parent.loop import READ, Loop, Timer
from fastha.parent.spawn import DROPPED, every_signal

ARGV = ("-m", "fastha.reading")
CHANNEL_FD = 3
READ_BYTES = 1 << 16
SLICE_NS = 2 * NS_PER_MS  # of parts per turn
SILENCE_NS = 60 * NS_PER_S
STDERR_LINES = 50  # of one reading, in the log


@dataclass(slots=True)
class Read:
    """What came of it. `configuration` is None if there are errors among the `faults` (of which the first are here;
    `errors` and `warnings` count all)."""

    configuration: Configuration | None
    faults: tuple[Fault, ...]
    errors: int = 0
    warnings: int = 0
    files: tuple[str, ...] = ()
    read_ns: int = 0


@dataclass(slots=True)
class _Stderr:
    """Its last words: into the log line by line, and the last line into the reason of a failure."""

    rest: bytes = b""
    lines: int = 0
    last: str = ""


@dataclass(slots=True)
class _Taken:
    """What has been said so far."""

    parts: dict[Key, Part] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    end: End | None = None


class Reading:
    """`done(Read)`, or `done(FasthaError)` when the process could not do its work. Parts that are equal to those of
    `running` are the same objects. `cancel()` kills it without a word."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        path: str,
        running: Configuration | None,
        done: Callable[[Read | FasthaError], object],
        *,
        argv: Sequence[str] = ARGV,
        silence_ns: int = 0,
    ) -> None:
        self._loop, self._log, self._path, self._done = loop, log, path, done
        self._running = running.parts if running is not None else {}
        self._silence_ns = silence_ns or SILENCE_NS
        self._decoder = Decoder()
        self._taken, self._stderr = _Taken(), _Stderr()
        self._why = ""
        self._paused = False  # reading, because there are parts to take
        self._timer: Timer | None = None
        self._more: Timer | None = None
        self._data = self._errors = self._pidfd = -1
        try:
            self.pid, self._pidfd, self._data, self._errors = spawn(argv, path)
        except OSError as error:
            self.pid = 0
            self._why = f"it could not be started: {error.strerror or error}"
            loop.call_later(0, self._finish)
            return
        for fd, callback in ((self._data, self._readable), (self._errors, self._stderr_readable)):
            os.set_blocking(fd, False)
            loop.add(fd, READ, callback)
        loop.add(self._pidfd, READ, self._ended)
        self._heard_ns = loop.now_ns()
        self._watch()

    def cancel(self) -> None:
        self._done = lambda _outcome: None
        self._kill("cancelled")

    def _watch(self) -> None:
        """Is it silent for too long? Not its fault while we have not read what it said."""
        due_ns = self._heard_ns + self._silence_ns
        if self._loop.now_ns() < due_ns or self._more is not None:
            self._timer = self._loop.call_at(max(due_ns, self._loop.now_ns() + NS_PER_S), self._watch)
        else:
            self._kill(f"it said nothing for {self._silence_ns / NS_PER_S:g} s")

    def _kill(self, why: str) -> None:
        self._why = self._why or why
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # its end is read next

    # -- what it says --

    def _readable(self, _events: int) -> None:
        try:
            data = os.read(self._data, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._close_data()
            return
        self._heard_ns = self._loop.now_ns()
        self._decoder.feed(data)
        self._take()

    def _take(self) -> None:
        """Parts of one slice; while there are more, nothing new is read."""
        self._more = None
        end_ns = self._loop.now_ns() + SLICE_NS
        try:
            for item in self._decoder.items():
                if isinstance(item, Part):
                    before = self._running.get(item.key)
                    self._taken.parts[item.key] = before if before is not None and before == item else item
                elif isinstance(item, End):
                    self._taken.end = item
                else:
                    self._taken.faults += item
                if self._loop.now_ns() >= end_ns:
                    self._more = self._loop.call_later(0, self._take)
                    break
        except (ValueError, TypeError, KeyError) as error:
            self._log.error(f"the process that read {self._path} spoke nonsense: {error!r}")
            self._kill("it spoke nonsense")
            self._close_data()
            return
        if self._data < 0:
            self._finish()
        elif self._paused is (self._more is None):
            self._paused = not self._paused
            if self._paused:
                self._loop.remove(self._data)
            else:
                self._loop.add(self._data, READ, self._readable)

    def _close_data(self) -> None:
        if self._data >= 0:
            if not self._paused:
                self._loop.remove(self._data)
            os.close(self._data)
            self._data = -1
        self._finish()

    def _stderr_readable(self, _events: int) -> None:
        try:
            data = os.read(self._errors, READ_BYTES)
        except BlockingIOError:
            return
        stderr = self._stderr
        *lines, stderr.rest = (stderr.rest + data).split(b"\n")
        if not data:
            lines, stderr.rest = [stderr.rest], b""
            self._loop.remove(self._errors)
            os.close(self._errors)
            self._errors = -1
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                stderr.last = text
                stderr.lines += 1
                if stderr.lines <= STDERR_LINES:
                    self._log.warning(f"reading {self._path}: {text}")
        stderr.rest = stderr.rest[-READ_BYTES:]
        self._finish()

    def _ended(self, _events: int) -> None:
        self._loop.remove(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if status < 0:
            self._why = self._why or f"it was killed by signal {-status}, {signal.strsignal(-status)}"
        elif status:
            self._why = self._why or f"it ended with status {status}"
        if self._timer is not None:
            self._timer.cancel()
        self._finish()

    # -- the end --

    def _finish(self) -> None:
        """All three are over (what it wrote is read to its end): say how it went."""
        if self._data >= 0 or self._errors >= 0 or self._pidfd >= 0 or self._more is not None:
            return
        done, self._done = self._done, lambda _outcome: None
        end, taken = self._taken.end, self._taken
        if end is None or self._why:
            why = self._why or "it ended too early"
            last = f" ({self._stderr.last})" if self._stderr.last else ""
            done(FasthaError(f"{self._path}: the process that reads it failed: {why}{last}"))
            return
        configuration = Configuration(taken.parts.values()) if end.ok else None
        done(Read(configuration, taken.faults, end.errors, end.warnings, end.files, end.read_ns))


def spawn(argv: Sequence[str], path: str) -> tuple[int, int, int, int]:
    """Start it: (pid, pidfd, descriptor of what it says, descriptor of its stderr). OSError if that cannot be."""
    data, errors = os.pipe(), os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", *argv, path, "--channel", str(CHANNEL_FD)],
            {name: value for name, value in os.environ.items() if name not in DROPPED},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, errors[1], 1),
                (os.POSIX_SPAWN_DUP2, errors[1], 2),
                (os.POSIX_SPAWN_DUP2, data[1], CHANNEL_FD),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=every_signal(),
        )
    except BaseException:
        os.close(data[0])
        os.close(errors[0])
        raise
    finally:
        os.close(data[1])
        os.close(errors[1])
    try:
        return pid, os.pidfd_open(pid), data[0], errors[0]
    except OSError:
        os.close(data[0])
        os.close(errors[0])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
