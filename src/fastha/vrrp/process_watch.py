"""Processes of this host, as the kernel's process connector tells of them (shell).

The connector belongs to the initial network namespace (drivers/connector/cn_proc.c); from another one the socket is
opened there, where that is permitted. It says nothing to a process in another user or PID namespace. Where it is
silent, and after messages were lost, /proc is read: a few milliseconds at a time, at most once a second.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator

from fastha.child import Child
from fastha.link.monitor import BUFFER
from fastha.loop.reactor import Timer
from fastha.model import ReceiveBuffer, TrackProcess
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.outside import candidates
from fastha.room import make_room
from fastha.setns import entered
from fastha.vrrp.process_events import CN_IDX_PROC, EXIT, FORK, IGNORE, LISTEN, NETLINK_CONNECTOR, NONE, decode, request
from fastha.vrrp.processes import Census, Seen

SLICE_NS = 2 * NS_PER_MS  # of reading /proc in one turn
MESSAGES = 64  # taken in per turn
PATIENCE = 4096  # messages that may come before the answer to our request
LOOK_NS = NS_PER_S  # between two looks at everything
COST = 20  # and at least this many times what one look takes
COMMAND = 1 << 17  # bytes of a command line that are read
ROOM = 1 << 16

Told = Callable[[dict[str, bool]], object]


class Silent(Exception):
    """Why the connector says nothing here."""


class ProcessWatch:
    """`follow` says what is counted; `told` hears {name: is it up} from the loop: the first time when everything was
    looked at once."""

    def __init__(self, child: Child, told: Told) -> None:
        self._child, self._reactor, self._told = child, child.reactor, told
        self._census = Census()
        self._buffer = ReceiveBuffer()
        self._sock: socket.socket | None = None
        self._heard_of = False  # whether there is a connector, or somebody was told that there is none
        self._look: Iterator[None] | None = None
        self._again = False  # something was lost since the look began
        self._look_timer: Timer | None = None
        self._due_timer: Timer | None = None
        self._rested_ns = 0  # when the next look may begin
        self._took_ns = 0  # by this look so far

    def follow(self, wanted: Iterable[TrackProcess], buffer: ReceiveBuffer) -> None:
        """From now on these."""
        wanted = tuple(wanted)
        if not wanted:
            self.close()
            return
        new = self._census.configure(wanted, self._reactor.now_ns())
        if not self._heard_of:
            self._heard_of = True
            self._buffer = buffer
            self._listen()
        elif self._sock is not None and buffer != self._buffer:
            self._buffer = buffer
            make_room(self._sock, BUFFER, buffer)
        if new:
            if self._look_timer is not None:
                self._look_timer.cancel()
            self._look, self._look_timer, self._rested_ns = None, None, 0  # one under way began without them
            self._look_soon()
        self._tell()

    def facts(self) -> dict[str, dict[str, object]]:
        """For status: {name: {up: absent before the first look, running: how many}}."""
        return {
            name: {**({} if count.up is None else {"up": count.up}), "running": len(count.pids)}
            for name, count in self._census.counts.items()
        }

    def close(self) -> None:
        """Idempotent."""
        for timer in (self._look_timer, self._due_timer):
            if timer is not None:
                timer.cancel()
        self._look_timer = self._due_timer = None
        self._look, self._heard_of, self._again = None, False, False
        self._census = Census()
        if self._sock is not None:
            self._hang_up(self._sock)

    # -- the connector --

    def _listen(self) -> None:
        try:
            self._sock = _open(self._buffer)
        except Silent as why:
            self._child.log.warning(
                "the kernel's process connector says nothing here (%s): /proc is read every second", why
            )
            return
        self._reactor.add(self._sock.fileno(), select.EPOLLIN, self._heard)

    def _hang_up(self, sock: socket.socket) -> None:
        self._sock = None
        self._reactor.remove(sock.fileno())
        _say_no_more(sock)

    def _heard(self, _events: int) -> None:
        sock = self._sock
        if sock is None:
            return
        now_ns = self._reactor.now_ns()
        for _ in range(MESSAGES):  # the rest is reported again: others have their turn
            try:
                data, sender = sock.recvfrom(ROOM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._again = True
                self._child.limited("processes", 1.0, "messages of the process connector were lost: reading /proc")
                self._look_soon()
                continue
            if sender[0]:
                continue  # not from the kernel
            for event in decode(data):
                if event.what == FORK:
                    self._census.forked(event.other, event.pid, now_ns)
                    if self._look is not None:  # its parent may have been seen as what it was afterwards
                        self._census.looked(event.pid, self._read(event.pid), now_ns)
                elif event.what == EXIT:
                    self._census.looked(event.pid, None, now_ns)
                elif event.what != NONE:
                    self._census.looked(event.pid, self._read(event.pid), now_ns)
        self._tell()

    # -- /proc --

    def _look_soon(self) -> None:
        if self._look is None and self._look_timer is None:
            self._look_timer = self._reactor.call_at(max(self._rested_ns, self._reactor.now_ns()), self._begin)

    def _begin(self) -> None:
        self._again, self._took_ns = False, 0
        self._look = self._everything()
        self._slice()

    def _slice(self) -> None:
        self._look_timer = None
        if self._look is None:
            return
        began_ns = self._reactor.now_ns()
        for _ in self._look:
            if self._reactor.now_ns() >= began_ns + SLICE_NS:
                self._took_ns += self._reactor.now_ns() - began_ns
                self._look_timer = self._reactor.call_at(self._reactor.now_ns(), self._slice)
                return
        now_ns = self._reactor.now_ns()
        self._look = None
        self._census.end(now_ns)
        self._rested_ns = now_ns + max(LOOK_NS, COST * (self._took_ns + now_ns - began_ns))
        if self._again or self._sock is None:
            self._look_soon()
        self._tell()

    def _everything(self) -> Iterator[None]:
        self._census.begin()
        for name in os.listdir("/proc"):
            if name.isdecimal():
                self._census.looked(int(name), self._read(int(name)), self._reactor.now_ns())
                yield

    def _read(self, pid: int) -> Seen | None:
        """None if it has ended; a zombie has."""
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                stat = file.read(4096)
            comm, _, rest = stat.partition(b"(")[2].rpartition(b")")
            if rest[1:2] in b"ZX":
                return None
            if not self._census.by_command:
                return Seen(comm)
            with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
                return Seen(comm, tuple(file.read(COMMAND).removesuffix(b"\0").split(b"\0")))
        except OSError:
            return None

    # -- what it means --

    def _tell(self) -> None:
        changed = self._census.take()
        due_ns = self._census.next_ns()
        if self._due_timer is not None and self._due_timer.when_ns != due_ns:
            self._due_timer.cancel()
            self._due_timer = None
        if due_ns is not None and self._due_timer is None:
            self._due_timer = self._reactor.call_at(due_ns, self._expire)
        if changed:
            self._told(changed)

    def _expire(self) -> None:
        self._due_timer = None
        self._census.expire(self._reactor.now_ns())
        self._tell()


def _open(buffer: ReceiveBuffer) -> socket.socket:
    """A socket that hears of every process. Silent if there is none."""
    try:
        sock = _in_initial_network()
    except OSError as error:
        raise Silent(error.strerror or str(error)) from None
    try:
        make_room(sock, BUFFER, buffer)
        sock.setblocking(False)
        sock.bind((0, CN_IDX_PROC))
        sock.send(request(LISTEN))
        _await_answer(sock)
    except OSError as error:
        sock.close()
        raise Silent(error.strerror or str(error)) from None
    except Silent:
        _say_no_more(sock)
        raise
    return sock


def _await_answer(sock: socket.socket) -> None:
    """The kernel answers before `send` returns, if it does at all."""
    for _ in range(PATIENCE):
        try:
            data, sender = sock.recvfrom(ROOM)
        except BlockingIOError:
            break
        for event in decode(data) if not sender[0] else ():
            if event.what == NONE:
                if event.other:
                    raise Silent(os.strerror(event.other))
                return
    raise Silent("it does not answer, as to any other user or PID namespace than the first")


def _in_initial_network() -> socket.socket:
    """Opened in the first network namespace where that is another one than ours and we may; else in ours."""
    for path in candidates():
        try:
            with entered(path):
                return _opened()
        except OSError:
            continue
    return _opened()


def _opened() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_CONNECTOR)


def _say_no_more(sock: socket.socket) -> None:
    """The kernel counts those who listen (before Linux 6.6 it forgets none by itself)."""
    try:
        sock.send(request(IGNORE))
    except OSError:
        pass
    sock.close()
