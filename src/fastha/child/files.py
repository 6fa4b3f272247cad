"""Files with a number in them, looked at whenever somebody writes, replaces or removes one (shell: inotify(7)).

A file is found by its directory (it appears, is moved there, goes) and by itself (it is written, also where a symbolic
link leads to). What cannot be watched that way is looked at every LOOK_NS: a directory that is not there yet.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from fastha.child.filevalue import MOST, parse
from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_S

LOOK_NS = NS_PER_S
# linux/inotify.h
CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF, Q_OVERFLOW, IGNORED, ONLYDIR = 0x400, 0x800, 0x4000, 0x8000, 0x1000000
MASK_ADD = 0x20000000
OF_DIRECTORY = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF | ONLYDIR
EVENT = struct.Struct("=iIII")  # wd, mask, cookie, length of the name that follows
TAKE = 1 << 16
Changed = Callable[[int], object]


@dataclass(eq=False, slots=True)
class Tracked:
    """One path and who is told of its number."""

    path: str
    value: int = 0
    told: list[Changed] = field(default_factory=list)
    directory_wd: int = -1
    file_wd: int = -1

    @property
    def name(self) -> bytes:
        return os.fsencode(os.path.basename(self.path))


class Files:
    """`follow` a path, `leave` it. The descriptor exists while something is followed."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1
        self._tracked: dict[str, Tracked] = {}
        self._by_wd: dict[int, set[Tracked]] = {}
        self._timer: Timer | None = None
        self.reads = 0

    def follow(self, path: str, changed: Changed) -> int:
        """The number in the file now; `changed(number)` is called from the loop whenever it is another one. OSError if
        this process can have no inotify descriptor."""
        self._open()
        tracked = self._tracked.get(path)
        if tracked is None:
            tracked = self._tracked[path] = Tracked(path)
            self._watch(tracked)
            tracked.value = self._read(path)
        tracked.told.append(changed)
        return tracked.value

    def leave(self, path: str, changed: Changed) -> None:
        tracked = self._tracked[path]
        tracked.told.remove(changed)
        if not tracked.told:
            del self._tracked[path]
            self._unwatch(tracked, tracked.directory_wd)
            self._unwatch(tracked, tracked.file_wd)
            if not self._tracked:
                self.close()

    def close(self) -> None:
        """Forget everything. Idempotent."""
        self._tracked.clear()
        self._by_wd.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        if self._fd < 0:
            fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if fd < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")
            self._fd = fd
            self._reactor.add(fd, select.EPOLLIN, self._heard)

    # -- watching --

    def _add(self, tracked: Tracked, path: str, mask: int) -> int:
        wd = int(self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask)))
        if wd >= 0:
            self._by_wd.setdefault(wd, set()).add(tracked)
        return wd

    def _watch(self, tracked: Tracked) -> None:
        """(Re)find what there is to watch."""
        directory = self._add(tracked, os.path.dirname(tracked.path) or ".", OF_DIRECTORY)
        # The file after its directory: one that appears in between is seen by either.
        file = self._add(tracked, tracked.path, CLOSE_WRITE | MASK_ADD)
        for old in (tracked.directory_wd, tracked.file_wd):
            if old not in (directory, file):
                self._unwatch(tracked, old)
        tracked.directory_wd, tracked.file_wd = directory, file
        if directory < 0 and self._timer is None:
            self._timer = self._reactor.call_later(LOOK_NS, self._look)

    def _unwatch(self, tracked: Tracked, wd: int) -> None:
        others = self._by_wd.get(wd)
        if wd < 0 or others is None:
            return
        others.discard(tracked)
        if not others:
            del self._by_wd[wd]
            self._libc.inotify_rm_watch(self._fd, wd)

    def _look(self) -> None:
        self._timer = None
        self._again({t for t in self._tracked.values() if t.directory_wd < 0})

    # -- events --

    def _heard(self, _events: int) -> None:
        concerned: set[Tracked] = set()
        try:
            data = os.read(self._fd, TAKE)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            wd, mask, _cookie, length = EVENT.unpack_from(data, offset)
            offset += EVENT.size + length
            name = data[offset - length : offset].rstrip(b"\0")
            if mask & Q_OVERFLOW:
                concerned.update(self._tracked.values())
                continue
            those = self._by_wd.get(wd, set())
            if mask & (IGNORED | DELETE_SELF | MOVE_SELF):
                concerned |= those
            if mask & (IGNORED | MOVE_SELF):
                self._gone(wd, mask)
            # A file that is a link may change its meaning by any name beside it (..data of a Kubernetes volume).
            concerned.update(t for t in those if name in (b"", t.name) or (t.directory_wd == wd and _is_link(t.path)))
        self._again(concerned)

    def _gone(self, wd: int, mask: int) -> None:
        """The directory is not what its path says any more."""
        for tracked in self._by_wd.pop(wd, ()):
            if tracked.directory_wd == wd:
                tracked.directory_wd = -1
            if tracked.file_wd == wd:
                tracked.file_wd = -1
        if not mask & IGNORED:
            self._libc.inotify_rm_watch(self._fd, wd)

    def _again(self, concerned: set[Tracked]) -> None:
        for tracked in concerned:
            if self._tracked.get(tracked.path) is not tracked:
                continue
            self._watch(tracked)
            value = self._read(tracked.path)
            if value != tracked.value:
                tracked.value = value
                for changed in list(tracked.told):
                    changed(value)

    def _read(self, path: str) -> int:
        """keepalived.md 2.6: a missing file is 0. Nothing here waits: a pipe in its place is no number either."""
        self.reads += 1
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return 0
        try:
            return parse(os.read(fd, MOST + 1))
        except OSError:
            return 0
        finally:
            os.close(fd)


def _is_link(path: str) -> bool:
    return os.path.islink(path)
