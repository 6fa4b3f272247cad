"""Notify scripts, run by the parent on the children's behalf.

Scripts of one subject (an instance, a virtual server, a real server) run one after another in the order they were
asked for: a script that says "master" never overtakes the one that said "backup". Subjects run side by side, at most
MAX_RUNNING at a time. A script is never dropped; one that takes too long is ended (SIGTERM to its process group, then
SIGKILL) and the next one runs. Whatever goes wrong is one line in the log.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastha.log import Log
from fastha.model import Script
from fastha.model.units import NS_PER_S
from fastha.parent.loop import READ, Loop, Timer

MAX_RUNNING = 64
TIMEOUT_NS = 60 * NS_PER_S
KILL_NS = 2 * NS_PER_S  # between SIGTERM and SIGKILL
DEFAULT_USER = "keepalived_script"  # as keepalived: used if it exists and nothing else is configured
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Left out of a script's environment: what changes how its interpreter or libraries behave, and what is
# between systemd and us alone. keepalived removes IFS, LD_PRELOAD and LD_LIBRARY_PATH.
_DROPPED_PREFIXES = ("LD_", "PYTHON", "BASH_", "NOTIFY_", "WATCHDOG_", "LISTEN_", "JOURNAL_", "GCONV_", "MALLOC_")
_DROPPED = ("IFS", "ENV", "CDPATH", "SHELLOPTS", "PS4", "VIRTUAL_ENV", "TMPDIR")


@dataclass(slots=True)
class Running:
    """A script that was started. `ended_by_us`: it was out of time."""

    subject: str
    name: str
    process: subprocess.Popen[bytes]
    pidfd: int
    started_ns: int
    timer: Timer
    ended_by_us: bool = False


class Scripts:
    """`user` and `group` are the configured script_user ("" = DEFAULT_USER if it exists, else our own)."""

    def __init__(self, loop: Loop, log: Log, *, timeout_ns: int = TIMEOUT_NS, max_running: int = MAX_RUNNING) -> None:
        self.user = self.group = ""
        self.counts = {"run": 0, "failed": 0}
        self._loop, self._log = loop, log
        self._timeout_ns, self._max = timeout_ns, max_running
        self._queues: dict[str, deque[Script]] = {}  # in the order in which their subjects began to wait
        self._running: dict[str, Running] = {}
        self._when_idle: Callable[[], object] | None = None

    def run(self, script: Script, subject: str) -> None:
        """Run `script` after everything that was asked for before it on behalf of `subject`."""
        self._queues.setdefault(subject, deque()).append(script)
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
            for script in queue:
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
                    self._start(queue.popleft(), subject)
                if not queue:
                    del self._queues[subject]
        self._check_idle()

    def _start(self, script: Script, subject: str) -> None:
        self.counts["run"] += 1
        name = " ".join(script.argv)
        try:
            process = _launch(script.argv, self._identity(script))
        except (OSError, LookupError, ValueError, subprocess.SubprocessError) as error:
            self.counts["failed"] += 1
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip("'\"")
            self._log.error(f"{subject}: script {name} cannot be run: {reason}")
            return
        pidfd = os.pidfd_open(process.pid)
        now = self._loop.now_ns()
        timer = self._loop.call_at(now + self._timeout_ns, lambda: self._expired(running))
        running = Running(subject, name, process, pidfd, now, timer)
        self._running[subject] = running
        self._loop.add(pidfd, READ, lambda _events: self._exited(running))

    def _identity(self, script: Script) -> dict[str, Any]:
        """Popen arguments that give the script its user and group. LookupError if there is no such user or group."""
        user, group = script.user or self.user, script.group or (self.group if not script.user else "")
        if not user:
            if os.geteuid() != 0 or not _exists(DEFAULT_USER):
                return {} if not group else {"group": _gid(group), "extra_groups": []}
            user = DEFAULT_USER
        entry = _passwd(user)
        gid = _gid(group) if group else entry.pw_gid
        if (entry.pw_uid, gid) == (os.geteuid(), os.getegid()):
            return {}
        home = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
        return {"user": entry.pw_uid, "group": gid, "extra_groups": [], "env": environment() | home}

    def _exited(self, running: Running) -> None:
        self._forget(running)
        status = running.process.wait()
        if running.ended_by_us:
            # What it left behind in its process group goes with it.
            _signal_group(running.process.pid, signal.SIGKILL)
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
                f"it did not end within {self._timeout_ns / NS_PER_S:g} s"
            )
            running.ended_by_us = True
            _signal_group(running.process.pid, signal.SIGTERM)
            running.timer = self._loop.call_later(KILL_NS, lambda: self._expired(running))
        else:
            _signal_group(running.process.pid, signal.SIGKILL)

    def _forget(self, running: Running) -> None:
        running.timer.cancel()
        self._loop.remove(running.pidfd)
        os.close(running.pidfd)

    def _check_idle(self) -> None:
        if self._when_idle is not None and not self.pending:
            callback, self._when_idle = self._when_idle, None
            callback()


def environment() -> dict[str, str]:
    """Our environment without what could bend a script; PATH is always there."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED_PREFIXES) and name not in _DROPPED
    }
    return {"PATH": PATH} | kept


def _launch(argv: tuple[str, ...], identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    if not argv:
        raise ValueError("it is empty")
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "start_new_session": True,  # a process group of its own
        "cwd": "/",
        "env": environment(),
        **identity,
    }
    try:
        return subprocess.Popen(argv, **options)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # No "#!" line: keepalived hands such a file to the shell, and so do we.
        return subprocess.Popen(("/bin/sh", *argv), **options)


def _signal_group(pgid: int, number: int) -> None:
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _passwd(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise LookupError(f"there is no user {user}") from None


def _gid(group: str) -> int:
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {group}") from None
