"""`vrrp_track_process`: which processes are meant, how many there are, and since when that counts. Pure.

keepalived.md 1.5. As keepalived 2.2.7 does it (observed): what a new process changes waits for fork_delay, what the end
of one changes for terminate_delay, whichever way it goes; it is forgotten if meanwhile the number is well again, or ill
again. The first count waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from fastha.model import TrackProcess

COMM = 15  # bytes of a name that the kernel keeps: linux/sched.h, TASK_COMM_LEN


class Seen(NamedTuple):
    """What one process is: its short name, and its command line if somebody asked for it."""

    comm: bytes
    argv: tuple[bytes, ...] = ()


def matches(wanted: TrackProcess, seen: Seen) -> bool:
    """Whether this is one of those that are meant."""
    name, *arguments = (word.encode("utf-8", "surrogateescape") for word in wanted.argv)
    if not wanted.by_command:
        return seen.comm == name[:COMM]
    if seen.argv[:1] != (name,):
        return False
    given = list(seen.argv[1:])
    match wanted.match:
        case "":
            return not arguments or given == arguments
        case "exact":
            return given == arguments
        case "partial":
            return given[: len(arguments)] == arguments
    if not arguments:
        return True
    last = len(arguments) - 1
    return given[:last] == arguments[:last] and len(given) > last and given[last].startswith(arguments[last])


@dataclass(eq=False, slots=True)
class Count:
    """One `vrrp_track_process`. `up`: None before everything was looked at once; `due_ns`: when the opposite counts."""

    wanted: TrackProcess
    pids: set[int] = field(default_factory=set)
    up: bool | None = None
    due_ns: int | None = None
    before: int = 0  # how many there were

    @property
    def enough(self) -> bool:
        most = self.wanted.quorum_max
        return self.wanted.quorum <= len(self.pids) and (most is None or len(self.pids) <= most)

    def judge(self, now_ns: int) -> bool:
        """Take the number of now into account; True if `up` is another one."""
        more, self.before = len(self.pids) > self.before, len(self.pids)
        if self.up is None or self.enough is self.up:
            self.due_ns = None
            return False
        if self.due_ns is None:
            delay_ns = self.wanted.fork_delay_ns if more else self.wanted.terminate_delay_ns
            self.due_ns = now_ns + delay_ns
        if now_ns < self.due_ns:
            return False
        self.up, self.due_ns = self.enough, None
        return True


class Census:
    """All of them. What changes is in `changed` ({name: up}) until somebody takes it."""

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        self.changed: dict[str, bool] = {}
        self._unseen: set[int] | None = None  # while everything is looked at: known processes not come across yet

    @property
    def by_command(self) -> bool:
        """Whether command lines are wanted."""
        return any(count.wanted.by_command for count in self.counts.values())

    def configure(self, wanted: Iterable[TrackProcess], now_ns: int) -> bool:
        """From now on these; True if everything has to be looked at for them."""
        before, self.counts = self.counts, {}
        new = False
        for one in wanted:
            old = before.get(one.name)
            if old is not None and _meaning(old.wanted) == _meaning(one):
                self.counts[one.name] = old
                if old.wanted != one:
                    old.wanted = one
                    self._judge(old, now_ns)
            else:
                self.counts[one.name] = Count(one)
                new = True
        return new

    def begin(self) -> None:
        """Everything is going to be looked at."""
        self._unseen = {pid for count in self.counts.values() for pid in count.pids}

    def end(self, now_ns: int) -> None:
        """Everything was looked at: what nobody came across is not there."""
        gone, self._unseen = self._unseen or set(), None
        for count in self.counts.values():
            count.pids -= gone
            if count.up is None:
                count.up = self.changed[count.wanted.name] = count.enough
            self._judge(count, now_ns)

    def looked(self, pid: int, seen: Seen | None, now_ns: int) -> None:
        """What a process is now; None: it has ended."""
        if self._unseen is not None:
            self._unseen.discard(pid)
        for count in self.counts.values():
            if seen is not None and matches(count.wanted, seen):
                if pid not in count.pids:
                    count.pids.add(pid)
                    self._judge(count, now_ns)
            elif pid in count.pids:
                count.pids.discard(pid)
                self._judge(count, now_ns)

    def forked(self, parent: int, child: int, now_ns: int) -> None:
        """A new process is what its parent is."""
        for count in self.counts.values():
            if parent in count.pids:
                count.pids.add(child)
                self._judge(count, now_ns)

    def expire(self, now_ns: int) -> None:
        """Delays that are over."""
        for count in self.counts.values():
            self._judge(count, now_ns)

    def next_ns(self) -> int | None:
        """When the next delay is over."""
        return min((count.due_ns for count in self.counts.values() if count.due_ns is not None), default=None)

    def take(self) -> dict[str, bool]:
        changed, self.changed = self.changed, {}
        return changed

    def _judge(self, count: Count, now_ns: int) -> None:
        if count.judge(now_ns) and count.up is not None:
            self.changed[count.wanted.name] = count.up


def _meaning(wanted: TrackProcess) -> object:
    return wanted.argv, wanted.match, wanted.full_command
