"""Notify FIFOs: pipes with a name that get a line for each change, and the scripts that read them (shell).

keepalived.md 1.11: created 0644 without umask if missing, removed at the end if created, opened for reading and writing
(so that there always is a reader), not through a symbolic link. A line that the pipe does not take waits here, in
order; what is more than QUEUE bytes is dropped, counted and said. Nothing here waits.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
import struct
import subprocess
import termios
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from fastha.log import Log
from fastha.model import Fifo, GlobalDefs, Script
from fastha.model.units import NS_PER_S
from fastha.parent.loop import READ, WRITE, Loop, Timer
from fastha.scripts import lines
from fastha.scripts.configured import defaults
from fastha.scripts.identity import Defaults, resolve
from fastha.scripts.launch import Refused, launch, signal_group

QUEUE = 4 << 20  # bytes that wait for a slow reader
STEADY_NS = 60 * NS_PER_S  # a script that ran so long is started again at once
LAST_AGAIN_NS = 60 * NS_PER_S
LAST_READ_S = 1.0  # at the end, for a script to read what is in the pipe
KILL_S = 0.5  # and then to end


@dataclass(slots=True)
class Reader:
    """A fifo script that runs."""

    process: subprocess.Popen[bytes]
    pidfd: int
    started_ns: int


class Pipe:
    """One FIFO, from `open` to `close`."""

    def __init__(self, fifo: Fifo, loop: Loop, log: Log, whose: Defaults, secure: bool) -> None:
        self.fifo = fifo
        self.written = self.dropped = 0
        self._loop, self._log, self._whose, self._secure = loop, log, whose, secure
        self._fd = -1
        self._created = False
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._complained = False
        self._reader: Reader | None = None
        self._again_ns = 0
        self._timer: Timer | None = None

    def open(self) -> None:
        """Said in the log if it cannot be: then there is no such FIFO, and every line counts as dropped."""
        path = self.fifo.path
        try:
            try:
                os.mkfifo(path, 0o644)
                self._created = True
            except FileExistsError:
                pass
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            if not stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.close(fd)
                raise FileExistsError(0, "it is there and no FIFO")
            self._fd = fd
            if self.fifo.user or self.fifo.group:
                who = resolve(self.fifo.user, self.fifo.group, False, Defaults())
                if who is not None:
                    os.fchown(fd, who.uid, who.gid)
        except OSError as error:
            self._log.error(f"notify fifo {path}: {error.strerror or error}")
        except LookupError as error:
            self._log.error(f"notify fifo {path}: {str(error).strip(chr(39))}; it keeps its owner")
        if self._fd >= 0 and self.fifo.script is not None:
            self._start(self.fifo.script)

    def write(self, data: bytes) -> None:
        """A whole line or nothing."""
        if self._fd < 0 or len(data) > select.PIPE_BUF or self._queued + len(data) > QUEUE:
            self._drop()
        elif self._queue or not self._put(data):
            if not self._queue:
                self._loop.add(self._fd, WRITE, lambda _events: self._flush())
            self._queue.append(data)
            self._queued += len(data)

    def _put(self, data: bytes) -> bool:
        try:
            os.write(self._fd, data)  # pipe(7): up to PIPE_BUF bytes go whole or not at all
        except BlockingIOError:
            return False
        self.written += 1
        return True

    def _flush(self) -> None:
        while self._queue and self._put(self._queue[0]):
            self._queued -= len(self._queue.popleft())
        if not self._queue:
            self._loop.remove(self._fd)
            if self._complained:
                self._complained = False
                self._log.warning(
                    f"notify fifo {self.fifo.path} is read again; {self.dropped} lines were dropped in all"
                )

    def _drop(self) -> None:
        self.dropped += 1
        if not self._complained:
            self._complained = True
            why = "it could not be opened" if self._fd < 0 else "nobody reads it fast enough"
            self._log.error(f"notify fifo {self.fifo.path}: lines are dropped: {why}")

    def facts(self) -> dict[str, Any]:
        return {
            "path": self.fifo.path,
            "what": self.fifo.what,
            "written": self.written,
            "waiting": len(self._queue),
            "dropped": self.dropped,
            "script": self._reader.process.pid if self._reader is not None else None,
        }

    # -- its script --

    def _start(self, script: Script) -> None:
        name = " ".join(script.argv)
        try:
            # keepalived.md 1.11: configured argv plus the FIFO path as last argument
            process = launch(
                (*script.argv, self.fifo.path),
                script.user,
                script.group,
                script.supplementary,
                self._whose,
                secure=self._secure,
            )
        except Refused as why:
            self._log.error(f"notify fifo {self.fifo.path}: script {name} cannot be run: {why}")
            return
        reader = self._reader = Reader(process, os.pidfd_open(process.pid), self._loop.now_ns())
        self._loop.add(reader.pidfd, READ, lambda _events: self._ended(reader, script))

    def _ended(self, reader: Reader, script: Script) -> None:
        status = self._reap(reader)
        how = f"signal {-status}" if status < 0 else f"status {status}"
        steady = self._loop.now_ns() - reader.started_ns >= STEADY_NS
        self._again_ns = 0 if steady else min(max(2 * self._again_ns, NS_PER_S), LAST_AGAIN_NS)
        self._log.warning(
            f"notify fifo {self.fifo.path}: its script ended ({how}); "
            f"it is started again in {self._again_ns / NS_PER_S:g} s, lines wait"
        )
        self._timer = self._loop.call_later(self._again_ns, lambda: self._start(script))

    def _reap(self, reader: Reader) -> int:
        self._loop.remove(reader.pidfd)
        os.close(reader.pidfd)
        self._reader = None
        return reader.process.wait()

    def close(self) -> None:
        """The script may read what is in the pipe, and is ended; the FIFO is removed if it was made here."""
        if self._timer is not None:
            self._timer.cancel()
        reader = self._reader
        if reader is not None:
            self._wait(LAST_READ_S, lambda: reader.process.poll() is not None or not self._unread())
        if self._queue:
            self.dropped += len(self._queue)
            self._log.warning(f"notify fifo {self.fifo.path}: {len(self._queue)} lines were not read")
            self._loop.remove(self._fd)
            self._queue.clear()
        if self._fd >= 0:
            os.close(self._fd)  # the end, for who reads: what it has taken it may still write
            self._fd = -1
        if reader is not None:
            self._wait(KILL_S, lambda: reader.process.poll() is not None)
            if reader.process.poll() is None:
                signal_group(reader.process.pid, signal.SIGTERM)
                self._wait(KILL_S, lambda: reader.process.poll() is not None)
            signal_group(reader.process.pid, signal.SIGKILL)
            self._reap(reader)
        if self._created:
            try:
                os.unlink(self.fifo.path)
            except OSError:
                pass

    def _unread(self) -> int:
        """Bytes on their way to the reader."""
        if self._queue:
            self._flush()
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0" * 4))
        return int(waiting) + self._queued

    @staticmethod
    def _wait(seconds: float, over: Any) -> None:
        end = time.monotonic() + seconds
        while not over() and time.monotonic() < end:
            time.sleep(0.005)


class Fifos:
    """All of them. `commit` makes them those of a configuration; `line` is what a child says."""

    def __init__(self, loop: Loop, log: Log) -> None:
        self._loop, self._log = loop, log
        self._pipes: dict[str, Pipe] = {}  # by what they get

    def commit(self, defs: GlobalDefs) -> None:
        """One that is as it was goes on, with its script and what is in it."""
        wanted = {fifo.what: fifo for fifo in defs.fifos}
        for what in [what for what, pipe in self._pipes.items() if wanted.get(what) != pipe.fifo]:
            self._pipes.pop(what).close()
        for what, fifo in wanted.items():
            if what not in self._pipes:
                pipe = self._pipes[what] = Pipe(fifo, self._loop, self._log, defaults(defs), defs.scripts.secure)
                pipe.open()

    def line(self, role: str, line: str) -> None:
        """`role`: the child that says it."""
        what = lines.FIFO_OF[role]
        # The global FIFO gets everything (keepalived.md 1.11).
        for name in ("all", what):
            if (pipe := self._pipes.get(name)) is not None:
                pipe.write(lines.encode(line, what))

    def facts(self) -> list[dict[str, Any]]:
        return [pipe.facts() for pipe in self._pipes.values()]

    def close(self) -> None:
        """At the end of the daemon. Idempotent."""
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes.clear()
