"""One probe under way: a conversation with a socket and a deadline (shell).

    CONNECTING -> (WAITING, for a handshake's turn) -> TALKING -> over

The deadline is for the peer: time spent WAITING for our own turn is not counted, and a loop that was late gives back,
once, what it took. Before silence is judged, what the kernel has is read.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from fastha.checker.ending import Ending
from fastha.checker.talk import sockets
from fastha.checker.talk.talk import Talk, Verdict
from fastha.loop.reactor import Reactor, Timer
from fastha.model import Networked
from fastha.model.units import NS_PER_MS

READS = 4  # per event, so that one that floods starves nobody
READ = 65536
LATE_NS = 20 * NS_PER_MS  # a deadline handled later than this was missed by us (as in slot.pxd)
MOST_BYTES = 64 << 20  # of one conversation
MOST_UNSENT = 256 << 10


class Phase(Enum):
    CONNECTING = auto()
    WAITING = auto()
    TALKING = auto()
    OVER = auto()


class Turns(Protocol):
    """Who may shake hands now."""

    def enter(self, flight: Flight) -> bool:
        """True: now. False: `Flight.resume` is called when it is."""
        ...

    def leave(self, flight: Flight) -> None:
        """It shakes hands, or waits to, no more. Idempotent."""
        ...


class Flight:
    """Starts at once. `over(flight, verdict)` is called exactly once, never from here, unless it is cancelled first."""

    def __init__(
        self,
        reactor: Reactor,
        check: Networked,
        talk: Talk,
        turns: Turns,
        over: Callable[[Flight, Verdict], object],
    ) -> None:
        self.check = check
        self.talk = talk
        self.phase = Phase.CONNECTING
        self.started_ns = reactor.now_ns()
        self.waited_ns = 0
        self._reactor = reactor
        self._turns = turns
        self._over = over
        self._sock: socket.socket | None = None
        self._events = 0  # what the reactor watches; 0: nothing
        self._unsent = bytearray()
        self._heard = 0
        self._left_ns = check.timeout_ns
        self._deadline_ns = 0
        self._extended = False
        self._again = False  # connected a second time
        self._turn = False  # it need not ask for a turn any more
        self._timer: Timer | None = None
        self._connect()

    # -- up --

    def _connect(self) -> None:
        self.phase = Phase.CONNECTING
        self._arm(self._left_ns)
        try:
            self._sock = sockets.open_socket(self.check)
            sockets.connect(self._sock, self.check)
            self._watch(select.EPOLLOUT)  # also if it is connected: `over` is not called from here
        except OSError as error:
            verdict = Verdict(sockets.ending_of(error), error.errno or 0)
            self._disarm()
            self._timer = self._reactor.call_at(self._reactor.now_ns(), lambda: self._finish(verdict))

    def _connected(self) -> None:
        """It is, or there was an error; or neither yet."""
        assert self._sock is not None
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._finish(Verdict(sockets.ENDINGS.get(error, Ending.ERROR), error))
            return
        try:
            self._sock.getpeername()
        except OSError:
            return
        if not self.talk.handshaking or self._turn or self._turns.enter(self):
            self._turn = True
            self._begin()
            return
        self.phase = Phase.WAITING
        self._waiting_since_ns = self._reactor.now_ns()
        self._left_ns = max(LATE_NS, self._deadline_ns - self._waiting_since_ns)
        self._disarm()
        self._watch(0)

    def resume(self) -> None:
        """Its turn has come. A peer that gave up meanwhile is asked once more: it was we who kept it waiting."""
        assert self.phase is Phase.WAITING
        assert self._sock is not None
        self.waited_ns += self._reactor.now_ns() - self._waiting_since_ns
        self._turn = True
        if not self._again and _has_ended(self._sock):
            self._again = True
            self._hang_up(at_once=True)
            self._connect()
            return
        self._arm(self._left_ns)
        self._begin()

    def _begin(self) -> None:
        self.phase = Phase.TALKING
        self._send(self.talk.begin())
        self._settle()

    # -- while it lasts --

    def _ready(self, events: int) -> None:
        if self.phase is Phase.CONNECTING:
            self._connected()
            return
        if self._unsent:
            self._send(b"")
        if self.phase is Phase.TALKING and events & ~select.EPOLLOUT:
            self._read()
        self._settle()

    def _read(self) -> None:
        assert self._sock is not None
        for _turn in range(READS):
            try:
                data = self._sock.recv(READ)
            except BlockingIOError:
                return
            except OSError as error:
                self._finish(Verdict(sockets.ending_of(error), error.errno or 0))
                return
            if not data:
                self.talk.end()
                verdict = self.talk.verdict
                assert verdict is not None
                self._finish(verdict, peer_closed=True)
                return
            self._heard += len(data)
            self._send(self.talk.receive(data))
            if self.phase is not Phase.TALKING or self.talk.verdict is not None:
                return
            if self._heard > MOST_BYTES:
                self._finish(Verdict(Ending.TOO_LONG, 0, f"more than {MOST_BYTES >> 20} MiB"))
                return

    def _send(self, data: bytes) -> None:
        assert self._sock is not None
        self._unsent += data
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError as error:
                self._unsent.clear()
                if self.talk.verdict is None:
                    self._refused(error)
                return
            del self._unsent[:sent]
        if len(self._unsent) > MOST_UNSENT:
            self._finish(Verdict(Ending.PROTOCOL, 0, "asks for much and takes nothing"))

    def _refused(self, error: OSError) -> None:
        """The peer takes nothing more. What it said before counts for more than that."""
        assert self._sock is not None
        try:
            while self.talk.verdict is None and (data := self._sock.recv(READ)):
                self.talk.receive(data)
        except OSError:
            pass
        self._finish(self.talk.verdict or Verdict(sockets.ending_of(error), error.errno or 0))

    def _settle(self) -> None:
        """After each step: a verdict ends it, a finished handshake lets the next begin, the reactor watches."""
        if self.phase is not Phase.TALKING:
            return
        if self.talk.verdict is not None:
            self._finish(self.talk.verdict)
            return
        if not self.talk.handshaking:
            self._turns.leave(self)
        self._watch(select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0))

    # -- the deadline --

    def _late(self) -> None:
        self._timer = None
        late_ns = self._reactor.now_ns() - self._deadline_ns
        if self.phase is Phase.CONNECTING:
            self._connected()
        if self.phase is Phase.CONNECTING:
            self._finish(Verdict(Ending.CONNECT_TIMEOUT))
        if self.phase is Phase.TALKING:
            self._read()
            self._settle()
        self._arm_again(late_ns)

    def _arm_again(self, late_ns: int) -> None:
        if self.phase is not Phase.TALKING:
            return
        if late_ns > LATE_NS and not self._extended:
            self._extended = True
            self._arm(min(late_ns, self.check.timeout_ns))
        else:
            self._finish(Verdict(Ending.REPLY_TIMEOUT))

    def _arm(self, left_ns: int) -> None:
        self._disarm()
        self._deadline_ns = self._reactor.now_ns() + left_ns
        self._timer = self._reactor.call_at(self._deadline_ns, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the end --

    def cancel(self) -> None:
        """Give up, without a verdict."""
        self._close(at_once=True)

    def _finish(self, verdict: Verdict, peer_closed: bool = False) -> None:
        if self.phase is Phase.OVER:
            return
        self._close(at_once=not peer_closed)
        self._over(self, verdict)

    def _close(self, at_once: bool) -> None:
        connecting = self.phase is Phase.CONNECTING
        self.phase = Phase.OVER
        self._disarm()
        self._hang_up(at_once and not connecting and getattr(self.check, "close_reset", True))
        self._unsent.clear()
        self._turns.leave(self)

    def _hang_up(self, at_once: bool) -> None:
        self._watch(0)
        if self._sock is not None:
            sockets.close(self._sock, at_once)
            self._sock = None

    def _watch(self, events: int) -> None:
        if self._sock is None or events == self._events:
            return
        if not events:
            self._reactor.remove(self._sock.fileno())
        elif self._events:
            self._reactor.modify(self._sock.fileno(), events)
        else:
            self._reactor.add(self._sock.fileno(), events, self._ready)
        self._events = events


def _has_ended(sock: socket.socket) -> bool:
    """Whether the peer of a silent connection has closed or reset it."""
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
