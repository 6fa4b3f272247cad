"""What a child is like as a process: priority, scheduling, CPUs, memory, name. Shell.

Real-time: SCHED_RR with SCHED_RESET_ON_FORK, so that no script inherits it. Who uses more CPU time without a pause than
RLIMIT_RTTIME allows gets SIGXCPU, and here goes on as a normal process: late is better than dead.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
from collections.abc import Callable
from types import FrameType

from fastha.model import ProcessDefs, Processes
from fastha.model.units import NS_PER_US

MCL_CURRENT, MCL_FUTURE = 1, 2  # mlockall(2)
RLIMIT_RTTIME = 15  # getrlimit(2); not in the module `resource`
HIGHEST = 99
Say = Callable[[int, str], object]  # level, text


class Environment:
    """`follow` makes the process what is wanted; only what differs is touched, and a failure is one line."""

    def __init__(self, role: str, say: Say) -> None:
        self.role = role
        self._say = say
        self._now = ProcessDefs()
        self._named = ""
        self._auto = 0
        self._delay_ns = 0
        self._raised = 0  # real-time priority that lateness has brought

    def follow(self, wanted: Processes) -> None:
        """At the first commit, and at each that changes something."""
        old, new = self._now, wanted.of(self.role)
        self._now = new
        self._auto = HIGHEST if wanted.auto_priority < 0 else wanted.auto_priority
        self._delay_ns = wanted.auto_delay_us * NS_PER_US
        prefix = f"{self.role}_"
        if wanted.umask >= 0:
            os.umask(wanted.umask)
        if (name := new.name or (f"fastha_{self.role}" if wanted.names else "")) != self._named:
            self._named = name
            self._try(f"{prefix}process_name", lambda: rename(name or f"fastha-{self.role}"))
        if new.cpus != old.cpus:
            cpus = new.cpus or range(os.cpu_count() or 1)
            self._try(f"{prefix}cpu_affinity", lambda: os.sched_setaffinity(0, cpus))
        if new.nice != old.nice:
            self._try(f"{prefix}priority {new.nice}", lambda: os.setpriority(os.PRIO_PROCESS, 0, new.nice))
        if new.no_swap != old.no_swap:
            self._try(f"{prefix}no_swap", lambda: lock_memory(new.no_swap))
        if new.rttime_us != old.rttime_us:
            self._try(f"{prefix}rlimit_rttime", lambda: self._limit(new.rttime_us))
        if new.rt_priority != old.rt_priority:
            self._raised = 0
            self._try(f"{prefix}rt_priority {new.rt_priority}", lambda: schedule(new.rt_priority))

    def late(self, late_ns: int) -> None:
        """A timer was so late: with max_auto_priority one step of real-time priority more."""
        current = max(self._now.rt_priority, self._raised)
        if not self._auto or late_ns < self._delay_ns or current >= self._auto:
            return
        self._raised = current + 1
        self._say(logging.WARNING, f"late by {late_ns // 1_000_000} ms: real-time priority {self._raised}")
        self._try("max_auto_priority", lambda: schedule(self._raised))

    def _limit(self, us: int) -> None:
        signal.signal(signal.SIGXCPU, self._exceeded if us else signal.SIG_DFL)
        hard = resource.getrlimit(RLIMIT_RTTIME)[1]
        resource.setrlimit(RLIMIT_RTTIME, (us or resource.RLIM_INFINITY, hard))

    def _exceeded(self, _number: int, _frame: FrameType | None) -> None:
        schedule(0)
        self._say(
            logging.ERROR, f"more than {self._now.rttime_us} us without a pause: goes on without real-time priority"
        )

    def _try(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._say(logging.ERROR, f"{what} has no effect: {why}")


def schedule(rt_priority: int) -> None:
    """SCHED_RR with this priority, or with 0 as every process."""
    if rt_priority:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(rt_priority))
    else:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def rename(name: str) -> None:
    """What ps(1) shows; at most 15 bytes count (PR_SET_NAME)."""
    with open("/proc/self/comm", "w") as file:
        file.write(name)


def lock_memory(on: bool) -> None:
    """Everything we have and will have stays in memory. OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE) if on else libc.munlockall():
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
