"""One child as the parent sees it: process, channel, pulse, and what happens when it ends.

              spawn            hello, propose       ready, commit        committed
    IDLE ------------> STARTING -------> PREPARING -------> COMMITTING -------> RUNNING
      ^                    |                 |                  |                  |
      |  asked             +--- ended -------+------------------+------------------+
      +------ STOPPING                       v
                                  WAITING (back-off) or HELD (until a reload)

A RUNNING child stays RUNNING through a reload: it does its work with what it has, whatever it prepares.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Protocol

from fastha.channel.endpoint import Closed, Endpoint
from fastha.channel.messages import Message
from fastha.log import Log
from fastha.model import Processes
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent import changes, condition, watchdog
from fastha.parent.configuration import Configuration
from fastha.parent.loop import READ, WRITE, Loop, Timer
from fastha.parent.restart import Ending, History, Then, died, ending_of
from fastha.parent.setting import PidFiles
from fastha.parent.spawn import Process, spawn

SLICE_NS = 2 * NS_PER_MS  # of a proposal per turn
QUEUED_BYTES = 1 << 17  # more is not worked out before the child has taken some of it


class State(Enum):
    IDLE = "idle"
    STARTING = "starting"
    PREPARING = "preparing"
    COMMITTING = "committing"
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting"
    HELD = "held"


ALIVE = frozenset({State.STARTING, State.PREPARING, State.COMMITTING, State.RUNNING, State.STOPPING})


class Owner(Protocol):
    """Who is told what a child says and does."""

    def heard(self, child: Child, message: Message) -> None:
        """Any message but a heartbeat. What it raises is taken for nonsense of the child."""

    def ended(self, child: Child, ending: Ending, text: str) -> None:
        """The process is gone and reaped; `child.state` already says what follows."""

    def wanted(self, child: Child) -> bool:
        """Whether the running configuration has work for it."""


class Child:
    """Starts and ends again and again; the object stays."""

    def __init__(self, process: Process, loop: Loop, log: Log, owner: Owner, pids: PidFiles) -> None:
        self.process = process
        self.role = process.role
        self.state = State.IDLE
        self.pid = 0
        self.started_ns = 0
        self.starts = 0
        self.wait_ns = Processes().child_wait_s * NS_PER_S  # an orderly end may take so long
        self.generation = 0  # of the last proposal it was sent
        self.sign_of_life_ns = 0  # last one while it did its work; outlives the process
        self.pulse: Mapping[str, Any] = {}  # its last heartbeat
        self.worst_lag_ns = 0  # of the heartbeats since somebody set it to 0
        self.last_end = ""
        self.ended_well = False  # the last process ended with status 0
        self._loop, self._log, self._owner, self._pids = loop, log, owner, pids
        self._history = History()
        self._watch = watchdog.Pulse(0)
        self._endpoint: Endpoint | None = None
        self._pidfd = -1
        self._ending: Ending | None = None  # why we ended it
        self._silent: condition.Condition | None = None  # half a silence ago
        self._doing = ""  # what it did when it was taken for hung
        self._outgoing: Iterator[Message] | None = None  # what is still to be said of a proposal
        self._proposed = Configuration()
        self._has: tuple[int, Configuration] = (0, Configuration())  # what this process was last told to run
        self._timer: Timer | None = None  # of STOPPING: kill; of WAITING: start again

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    # -- towards the child --

    def start(self) -> None:
        """Spawn it, unless it is alive. A failure to spawn counts as a death."""
        if self.alive:
            return
        self._cancel_timer()
        now = self._loop.now_ns()
        self.started_ns, self._ending, self.pulse = now, None, {}
        self._silent, self._doing = None, ""
        self.starts += 1
        try:
            self.pid, self._pidfd, sock = spawn(self.process)
        except OSError as error:
            self._after(Ending.CRASHED, f"{self.role} cannot be started: {error.strerror or error}")
            return
        self._endpoint = Endpoint(sock, "down")
        self._watch = watchdog.spawned(now)
        self.state = State.STARTING
        self._loop.add(self._endpoint.fileno(), READ, self._channel_event)
        self._loop.add(self._pidfd, READ, self._exit_event)
        self._log.info(f"{self.role} started, pid {self.pid}")
        self._pids.write(self.role, self.pid)

    def revive(self) -> None:
        """An operator's reload: start it now if it is waiting or held, with a clean record."""
        if self.state in (State.WAITING, State.HELD):
            self._history = History()
            self.start()

    def propose(
        self, generation: int, configuration: Configuration, dataplane: str, previous: Mapping[str, Any]
    ) -> None:
        """Send what differs from what its process runs, in slices, and then the proposal itself."""
        self.generation, self._proposed = generation, configuration
        if self.state is not State.RUNNING:
            self.state = State.PREPARING
        self._watch = watchdog.proposed(self._watch, self._loop.now_ns())
        self._outgoing = self._proposing(generation, configuration, dataplane, previous)
        self._pump()

    def _proposing(
        self, generation: int, configuration: Configuration, dataplane: str, previous: Mapping[str, Any]
    ) -> Iterator[Message]:
        base, has = self._has
        yield from changes.messages(has.parts, configuration.parts, self.process.sees, generation, base)
        yield from changes.previous_slices(previous, generation)
        yield {"type": "propose", "generation": generation, "config": None, "dataplane": dataplane, "previous": {}}

    def _pump(self) -> None:
        """Say more of the proposal, no faster than the child takes it."""
        end_ns = self._loop.now_ns() + SLICE_NS
        while self._outgoing is not None and self._endpoint is not None and self._endpoint.queued() < QUEUED_BYTES:
            message = next(self._outgoing, None)
            if message is None:
                self._outgoing = None
                return
            self.send(**message)
            if self._loop.now_ns() >= end_ns:
                self._loop.call_later(0, self._pump)
                return

    def commit(self, generation: int) -> None:
        self._has = generation, self._proposed
        if self.state is not State.RUNNING:
            self.state = State.COMMITTING
        self._watch = watchdog.proposed(self._watch, self._loop.now_ns())
        self.send(type="commit", generation=generation)

    def abandon(self, generation: int) -> None:
        self._outgoing = None
        self._watch = watchdog.settled(self._loop.now_ns())
        self.send(type="abandon", generation=generation)

    def answered(self) -> None:
        """It said `ready`."""
        self._watch = watchdog.settled(self._loop.now_ns())

    def confirmed(self) -> None:
        """It said `committed`."""
        self.state = State.RUNNING
        self.sign_of_life_ns = self._loop.now_ns()
        self._watch = watchdog.settled(self.sign_of_life_ns)

    def stop(self, ending: Ending = Ending.ASKED) -> None:
        """Ask it to give everything up; SIGKILL after `wait_ns`."""
        if self.state is State.STOPPING:
            return
        self._cancel_timer()
        if not self.alive:
            self.state = State.IDLE
            return
        self.state = State.STOPPING
        self._ending = ending
        self._timer = self._loop.call_later(self.wait_ns, self._stop_expired)
        self._outgoing = None
        self.send(type="stop")

    def kill(self, ending: Ending) -> None:
        """SIGKILL: works on a stopped process too."""
        if self._pidfd >= 0:
            self._ending = self._ending or ending
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has just ended; the pidfd says so next

    def send(self, **message: object) -> None:
        """Never blocks, never raises: to a child that is gone, its end is the answer."""
        if self._endpoint is not None:
            try:
                self._endpoint.send(**message)
            except Closed:
                return
            self._watch_channel()

    def judge(self, late_ns: int) -> None:
        """The watchdog's tick; the parent was `late_ns` late for it."""
        if not self.alive or self.state is State.STOPPING:
            return
        self._watch = watchdog.lost(self._watch, late_ns)
        now = self._loop.now_ns()
        if self.state is not State.RUNNING and watchdog.overdue(self._watch, now):
            self.kill(Ending.LATE)
        elif watchdog.hung(self._watch, now):
            if self._ending is None:
                self._doing = condition.told(self._silent, condition.look(self.pid))
            self.kill(Ending.LATE if self.state is State.STARTING else Ending.HUNG)
        elif not watchdog.hung(self._watch, now + watchdog.SILENCE_NS // 2):
            self._silent = None
        elif self._silent is None:
            self._silent = condition.look(self.pid)

    @property
    def stuck(self) -> bool:
        """It hangs, and killing it does not end it."""
        return self.alive and self.state is not State.STOPPING and watchdog.stuck(self._watch, self._loop.now_ns())

    # -- from the child --

    def _channel_event(self, events: int) -> None:
        assert self._endpoint is not None
        try:
            if events & WRITE:
                self._endpoint.flush()
                self._pump()
            if events & READ and self._endpoint is not None:
                self._receive(self._endpoint)
        except Closed:
            self._close_channel()
        else:
            self._watch_channel()

    def _receive(self, endpoint: Endpoint) -> int:
        """Handle what has arrived; how many messages that were. Closed as the endpoint raises it."""
        try:
            messages = endpoint.receive()
            for message in messages:
                if message["type"] == "heartbeat":
                    self._beat(message)
                else:
                    self._owner.heard(self, message)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            # Not one of our messages: this child is broken, and we must not be.
            self._log.error(f"{self.role}[{self.pid}] spoke nonsense: {error!r}")
            self.kill(Ending.BROKEN)
            raise Closed("nonsense") from None
        return len(messages)

    def _beat(self, message: Message) -> None:
        now = self._loop.now_ns()
        lag_ns = int(message["lag_ns"])
        self.worst_lag_ns = max(self.worst_lag_ns, lag_ns)
        self.pulse = {
            "turns": int(message["turns"]),
            "lag_ns": lag_ns,
            "lag_max_ns": max(self.pulse.get("lag_max_ns", 0), lag_ns),
            "lag": list(map(int, message["lag"])),
            "rss_kb": int(message["rss_kb"]),
        }
        self._watch = watchdog.beat(self._watch, now)
        if self.state in (State.RUNNING, State.STOPPING):
            self.sign_of_life_ns = now

    def _exit_event(self, _events: int) -> None:
        """The process has ended: read its last words, reap it, decide."""
        try:
            while self._endpoint is not None and self._receive(self._endpoint):
                pass
        except Closed:
            pass
        self._close_channel()
        self._loop.remove(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.ended_well = status == 0
        ending = self._ending or ending_of(status)
        how = f"signal {-status}, {signal.strsignal(-status)}" if status < 0 else f"status {status}"
        doing = f"; {self._doing}" if self._doing else ""
        self._after(ending, f"{self.role}[{self.pid}] {ending.value} ({how}{doing})")

    def _after(self, ending: Ending, text: str) -> None:
        self._cancel_timer()
        self._pids.remove(self.role)
        self.pid = 0
        self.last_end = text
        now = self._loop.now_ns()
        self._history, decision = died(self._history, ending, self.started_ns, now)
        if decision.then is Then.REST or not self._owner.wanted(self):
            self.state = State.IDLE
        elif decision.then is Then.HOLD:
            self.state = State.HELD
            text += "; not tried again before the next reload"
        else:
            self.state = State.WAITING
            if decision.wait_ns:
                text += f"; next try in {decision.wait_ns / NS_PER_S:g} s"
            self._timer = self._loop.call_at(now + decision.wait_ns, self.start)
        self._owner.ended(self, ending, text)

    def _stop_expired(self) -> None:
        self._log.warning(f"{self.role}[{self.pid}] did not stop within {self.wait_ns // NS_PER_MS} ms: killed")
        self.kill(Ending.ASKED)

    def _watch_channel(self) -> None:
        if self._endpoint is not None:
            self._loop.modify(self._endpoint.fileno(), READ | WRITE if self._endpoint.wants_write() else READ)

    def _close_channel(self) -> None:
        self._outgoing = None
        self._has = 0, Configuration()
        if self._endpoint is not None:
            self._loop.remove(self._endpoint.fileno())
            self._endpoint.close()
            self._endpoint = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
