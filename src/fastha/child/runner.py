"""Commands run through the spawner: a bounded number at once, the others wait in order (shell on the reactor)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastha.loop.reactor import Reactor, Timer
from fastha.model import Script
from fastha.model.units import NS_PER_S
from fastha.scripts.identity import Defaults, environment
from fastha.scripts.launch import signal_group

MOST_RUNNING = 64
AGAIN_NS = NS_PER_S  # before a spawner that died is replaced
MESSAGE = 1 << 18  # fastha.scripts.spawner


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `status`: exit status, or minus the signal; `late`: it was ended, out of time; `refused`:
    why it was not run; `lost`: our own fault, nothing is known of it. `output`: the last of what it said."""

    started_ns: int
    ended_ns: int
    status: int = 0
    late: bool = False
    output: str = ""
    refused: str = ""
    lost: str = ""


@dataclass(slots=True)
class Order:
    script: Script
    timeout_ns: int
    done: Callable[[Done], object] | None  # None: nobody waits for it any more
    started_ns: int = 0
    pgid: int = 0


class Runner:
    """`run` returns a ticket; its `done` is called once, from the loop, unless the ticket is cancelled. The spawner is
    started with the first command."""

    def __init__(self, reactor: Reactor, most: int = MOST_RUNNING) -> None:
        self._reactor, self._most = reactor, most
        self._defaults, self._secure = Defaults(), False
        self._channel: socket.socket | None = None
        self._pid = 0
        self._timer: Timer | None = None
        self._next = 0
        self._orders: dict[int, Order] = {}  # those that wait and those that run
        self._waiting: deque[int] = deque()
        self._running: set[int] = set()
        self.waited = 0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def queued(self) -> int:
        return len(self._orders) - len(self._running)

    @property
    def pid(self) -> int:
        """The spawner's, 0 while there is none."""
        return self._pid

    def configure(self, defaults: Defaults, secure: bool) -> None:
        """For the commands that start from now on."""
        if (defaults, secure) != (self._defaults, self._secure):
            self._defaults, self._secure = defaults, secure
            if self._channel is not None:
                self._tell_defaults()

    def run(self, script: Script, timeout_ns: int, done: Callable[[Done], object]) -> int:
        self._next += 1
        self._orders[self._next] = Order(script, timeout_ns, done)
        self._waiting.append(self._next)
        if len(self._orders) > self._most:
            self.waited += 1
        self._reactor.call_at(self._reactor.now_ns(), self._fill)  # `done` is never called from in here
        return self._next

    def cancel(self, ticket: int) -> None:
        """End it; `done` is not called. A ticket that is done is none."""
        order = self._orders.get(ticket)
        if order is None:
            return
        order.done = None
        if ticket in self._running:
            self._send({"kill": ticket})
        else:
            del self._orders[ticket]

    def close(self) -> None:
        """End all of them. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._orders.clear()
        self._waiting.clear()
        self._running.clear()
        self._hang_up(NS_PER_S)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._most:
            if self._waiting[0] not in self._orders:  # cancelled
                self._waiting.popleft()
                continue
            if self._channel is None and not self._begin():
                return
            ticket = self._waiting.popleft()
            order = self._orders[ticket]
            order.started_ns = self._reactor.now_ns()
            script = order.script
            self._running.add(ticket)
            self._send(
                {
                    "run": ticket,
                    "argv": script.argv,
                    "user": script.user,
                    "group": script.group,
                    "supplementary": script.supplementary,
                    "timeout_ns": order.timeout_ns,
                }
            )

    # -- the spawner --

    def _begin(self) -> bool:
        """Start it; False if it has to wait."""
        if self._timer is not None:
            return False
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        except OSError as error:
            self._fail(error.strerror or str(error))
            return False
        ours.setblocking(False)
        try:
            with theirs:
                self._pid = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-P", "-S", "-m", "fastha.scripts.spawner"],
                    # -S: nothing of site-packages is loaded, so our own folder has to be named.
                    environment() | {"PYTHONPATH": _source()},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    ],
                    setsid=True,
                    setsigmask=[],
                    setsigdef=[s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)],
                )
        except OSError as error:
            ours.close()
            self._fail(error.strerror or str(error))
            return False
        self._channel = ours
        self._reactor.add(ours.fileno(), select.EPOLLIN, self._heard)
        self._tell_defaults()
        return True

    def _tell_defaults(self) -> None:
        self._send({"defaults": asdict(self._defaults), "secure": self._secure})

    def _send(self, message: dict[str, Any]) -> None:
        if self._channel is None:
            return
        try:
            self._channel.send(json.dumps(message).encode("utf-8", "surrogateescape"))
        except OSError as error:
            self._lost(f"the spawner does not answer: {error.strerror or error}")

    def _heard(self, _events: int) -> None:
        for _ in range(2 * self._most):
            if self._channel is None:
                return
            try:
                data = self._channel.recv(MESSAGE)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._lost("the spawner has ended")
                return
            self._ended(json.loads(data))
        self._fill()

    def _ended(self, told: dict[str, Any]) -> None:
        ticket = told.pop("id")
        if "begun" in told:
            if ticket in self._orders:
                self._orders[ticket].pgid = told["begun"]
            return
        self._running.discard(ticket)
        order = self._orders.pop(ticket, None)
        if order is not None and order.done is not None:
            order.done(Done(**told))

    def _lost(self, why: str) -> None:
        """Nothing is known of those that ran: they die with it, and so does what they have started."""
        self._hang_up(0)
        for order in self._orders.values():
            if order.pgid:
                signal_group(order.pgid, signal.SIGKILL)
        self._fail(why)

    def _fail(self, why: str) -> None:
        self._timer = self._reactor.call_later(AGAIN_NS, self._again)
        lost = [self._orders.pop(ticket) for ticket in list(self._running) if ticket in self._orders]
        self._running.clear()
        now = self._reactor.now_ns()
        for order in lost:
            if order.done is not None:
                order.done(Done(order.started_ns, now, lost=why))

    def _again(self) -> None:
        self._timer = None
        self._fill()

    def _hang_up(self, patience_ns: int) -> None:
        """The end of its channel makes the spawner end all that runs, and then itself; it has `patience_ns` for it."""
        if self._channel is not None:
            with contextlib.suppress(OSError):  # a closed reactor has let go of it
                self._reactor.remove(self._channel.fileno())
            self._channel.close()
            self._channel = None
        if self._pid:
            end_ns = time.monotonic_ns() + patience_ns
            while not os.waitpid(self._pid, os.WNOHANG)[0]:
                if time.monotonic_ns() >= end_ns:
                    os.kill(self._pid, signal.SIGKILL)
                    os.waitpid(self._pid, 0)
                    break
                time.sleep(0.002)
            self._pid = 0


def _source() -> str:
    """The folder that holds the package."""
    import fastha

    return os.path.dirname(os.path.dirname(os.path.abspath(fastha.__file__)))
