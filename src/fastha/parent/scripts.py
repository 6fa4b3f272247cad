"""Notify scripts, run by the parent on the children's behalf.

Scripts of one subject (an instance, a virtual server, a real server) run one after another in the order they were
asked for: a script that says "master" never overtakes the one that said "backup". Subjects run side by side, at most
MAX_RUNNING at a time. A script is never dropped; one that takes too long is ended (SIGTERM to its process group, then
SIGKILL) and the next one runs. Whatever goes wrong is one line in the log.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fastha.log import Log
from fastha.model import GlobalDefs, Script
from fastha.model.units import NS_PER_S
from fastha.parent.loop import READ, Loop, Timer
from fastha.scripts.configured import defaults
from fastha.scripts.identity import Defaults
from fastha.scripts.launch import Refused, launch, signal_group

MAX_RUNNING = 64
TIMEOUT_NS = 60 * NS_PER_S
KILL_NS = 2 * NS_PER_S  # between SIGTERM and SIGKILL


@dataclass(slots=True)
class Running:
    """A script that was started. `ended_by_us`: it was out of time."""

    subject: str
    name: str
    process: subprocess.Popen[bytes]
    pidfd: int
    started_ns: int
    timer: Timer
    timeout_ns: int
    ended_by_us: bool = False


class Scripts:
    """`configure` says whom they run as unless they say it themselves, and what is not run at all."""

    def __init__(self, loop: Loop, log: Log, *, timeout_ns: int = TIMEOUT_NS, max_running: int = MAX_RUNNING) -> None:
        self.defaults, self.secure = Defaults(), False
        self.counts = {"run": 0, "failed": 0}
        self._loop, self._log = loop, log
        self._timeout_ns, self._max = timeout_ns, max_running
        self._queues: dict[str, deque[tuple[Script, int]]] = {}  # in the order in which their subjects began to wait
        self._running: dict[str, Running] = {}
        self._when_idle: Callable[[], object] | None = None

    def configure(self, defs: GlobalDefs) -> None:
        """For the scripts that start from now on."""
        self.defaults, self.secure = defaults(defs), defs.scripts.secure

    def run(self, script: Script, subject: str, timeout_ns: int = 0) -> None:
        """Run `script` after everything that was asked for before it on behalf of `subject`."""
        self._queues.setdefault(subject, deque()).append((script, timeout_ns or self._timeout_ns))
        self._start_some()

    @property
    def pending(self) -> int:
        """Scripts that wait or run."""
        return sum(map(len, self._queues.values())) + len(self._running)

    def when_idle(self, callback: Callable[[], object]) -> None:
        """Call `callback()` once nothing waits or runs (now, if that is so)."""
        self._when_idle = callback
        self._check_idle()

    def abandon(self) -> None:
        """The daemon cannot wait any longer: what waits is named in the log, what runs is left to itself."""
        for subject, queue in self._queues.items():
            for script, _timeout_ns in queue:
                self._log.error(f"{subject}: script {script.argv[0]} was not run: the daemon is stopping")
        for running in self._running.values():
            self._log.warning(f"{running.subject}: script {running.name} still runs, pid {running.process.pid}")
            self._forget(running)
            running.process.returncode = 0  # it is init's now; Popen need not complain
        self._queues.clear()
        self._running.clear()

    def _start_some(self) -> None:
        for subject in list(self._queues):
            if len(self._running) >= self._max:
                return
            if subject not in self._running:
                queue = self._queues[subject]
                while queue and subject not in self._running:
                    self._start(*queue.popleft(), subject)
                if not queue:
                    del self._queues[subject]
        self._check_idle()

    def _start(self, script: Script, timeout_ns: int, subject: str) -> None:
        self.counts["run"] += 1
        name = " ".join(script.argv)
        try:
            process = launch(
                script.argv, script.user, script.group, script.supplementary, self.defaults, secure=self.secure
            )
        except Refused as why:
            self.counts["failed"] += 1
            self._log.error(f"{subject}: script {name} cannot be run: {why}")
            return
        pidfd = os.pidfd_open(process.pid)
        now = self._loop.now_ns()
        timer = self._loop.call_at(now + timeout_ns, lambda: self._expired(running))
        running = Running(subject, name, process, pidfd, now, timer, timeout_ns)
        self._running[subject] = running
        self._loop.add(pidfd, READ, lambda _events: self._exited(running))

    def _exited(self, running: Running) -> None:
        self._forget(running)
        status = running.process.wait()
        if running.ended_by_us:
            # What it left behind in its process group goes with it.
            signal_group(running.process.pid, signal.SIGKILL)
        elif status:
            self.counts["failed"] += 1
            how = f"signal {-status}, {signal.strsignal(-status)}" if status < 0 else f"status {status}"
            self._log.warning(f"{running.subject}: script {running.name} failed: {how}")
        else:
            took_ms = (self._loop.now_ns() - running.started_ns) // 1_000_000
            self._log.debug(f"{running.subject}: script {running.name} ended well after {took_ms} ms")
        del self._running[running.subject]
        self._start_some()

    def _expired(self, running: Running) -> None:
        if not running.ended_by_us:
            self.counts["failed"] += 1
            self._log.warning(
                f"{running.subject}: script {running.name} is stopped: "
                f"it did not end within {running.timeout_ns / NS_PER_S:g} s"
            )
            running.ended_by_us = True
            signal_group(running.process.pid, signal.SIGTERM)
            running.timer = self._loop.call_later(KILL_NS, lambda: self._expired(running))
        else:
            signal_group(running.process.pid, signal.SIGKILL)

    def _forget(self, running: Running) -> None:
        running.timer.cancel()
        self._loop.remove(running.pidfd)
        os.close(running.pidfd)

    def _check_idle(self) -> None:
        if self._when_idle is not None and not self.pending:
            callback, self._when_idle = self._when_idle, None
            callback()
