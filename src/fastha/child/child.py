"""The shell both children share: messages by type, heartbeat, facts, and what ends it.

Run by hand there is no channel: facts and heartbeats go nowhere, events are only logged, SIGTERM and SIGINT are
the `stop` message. Under a parent SIGTERM, SIGINT and SIGHUP are ignored: a signal to the whole process group
(Ctrl-C, systemd) reaches the parent too, and the parent decides in which order its children stop.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastha.channel.endpoint import Closed, Endpoint
from fastha.channel.messages import MESSAGES, Message
from fastha.child.environment import Environment
from fastha.child.log import Limiter
from fastha.child.patch import Patch, combine, conflicts
from fastha.child.process import Memory
from fastha.loop.reactor import Reactor, Timer
from fastha.loop.signals import Signals
from fastha.model import MailDefs, Script
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.scripts.letters import Letter

HEARTBEAT_NS = 250 * NS_PER_MS
LAST_WORDS_NS = NS_PER_S  # how long an ending child waits for a parent that does not read
FACTS_NS = 100 * NS_PER_MS  # facts are sent at most this often

EXIT_STOPPED = 0
EXIT_ORPHANED = 1


class Child:
    """One child process. Make it, give it handlers with `on`, then `run()`; `finish(code)` ends the run.

    `endpoint` is the channel to the parent, or None when run by hand. `orphaned` is called when the channel has
    closed; unless replaced it logs one line and finishes with EXIT_ORPHANED.
    """

    def __init__(
        self, role: str, endpoint: Endpoint | None = None, *, reactor: Reactor | None = None, name: str = "fastha"
    ) -> None:
        self._owns_reactor = reactor is None
        if reactor is None:
            reactor = Reactor()
        self.role = role
        self.by_hand = endpoint is None
        self.reactor = reactor
        self.log = logging.getLogger(name)
        self.mail = MailDefs()  # as committed
        self.limited = Limiter(self.log, reactor.now_ns)
        self.orphaned: Callable[[], object] = self._orphaned
        self._endpoint = endpoint
        self._watching = 0
        self._handlers: dict[str, Callable[[Message], object]] = {}
        self._facts: Patch = {}
        self._facts_timer: Timer | None = None
        self._facts_sent_ns = -FACTS_NS
        self._memory = Memory()
        self.environment = Environment(role, self.log.log)
        self._heartbeat_ns = 0
        self._beaten_ns = 0
        self._stall_ns = 0
        self._exit_code: int | None = None

    def on(self, kind: str, handler: Callable[[Message], object]) -> None:
        """Call `handler(message)` for each message of type `kind` from the parent (`stop` also by signal)."""
        if MESSAGES[kind].direction != "down":
            raise ValueError(f"{kind!r} is not for a child")
        self._handlers[kind] = handler

    # -- up --

    def send(self, kind: str, **fields: object) -> None:
        """Queue a message to the parent. By hand, nobody hears it."""
        if self._endpoint is None:
            return
        try:
            self._endpoint.send(type=kind, **fields)
        except Closed:
            self._gone()
        else:
            self._watch()

    def facts(self, patch: Patch) -> None:
        """Tell the parent what changed: an RFC 7396 patch, sent merged with others at most every 100 ms."""
        if self._endpoint is None:
            return
        if conflicts(self._facts, patch):
            self.flush_facts()
        combine(self._facts, patch)
        if self._facts_timer is None:
            self._facts_timer = self.reactor.call_at(
                max(self.reactor.now_ns(), self._facts_sent_ns + FACTS_NS), self.flush_facts
            )

    def flush_facts(self) -> None:
        """Send what `facts` has gathered, now."""
        if self._facts_timer is not None:
            self._facts_timer.cancel()
            self._facts_timer = None
        if self._facts:
            patch, self._facts = self._facts, {}
            self._facts_sent_ns = self.reactor.now_ns()
            self.send("facts", facts=patch)

    def event(self, kind: str, subject: str, text: str, level: int = logging.INFO, cause: str = "") -> None:
        """Something an operator should see: logged here, and kept by the parent (which does not log it again).
        `cause`: why, where `text` says more than that."""
        self.log.log(level, "%s: %s", subject, text, extra={"fields": {"FASTHA_KIND": kind, "FASTHA_SUBJECT": subject}})
        self.send("event", event={"kind": kind, "subject": subject, "text": text, "cause": cause})

    def script(self, script: Script | None, subject: str) -> None:
        """Have the parent run a notify script for `subject`; None is no script."""
        if script is None:
            return
        if self.by_hand:
            self.log.info("%s: not running %s: scripts are run by the parent", subject, script.argv[0])
            return
        self.send("script", script=asdict(script), subject=subject)

    def post(self, letter: Letter | None) -> None:
        """Have the parent mail it, if somebody wants mail; None is no letter."""
        if letter is not None and self.mail.to:
            self.send("mail", what=letter.kind, subject=letter.subject, text=letter.text)

    # -- life --

    def run(self) -> int:
        """Say hello, turn until `finish`, and return the exit code. An exception of a handler is logged and raised."""
        signals = Signals(self.reactor, self._signal, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        try:
            if self._endpoint is not None:
                self._watch()
            self.send("hello", role=self.role, pid=os.getpid())
            self._heartbeat_ns = self.reactor.now_ns()
            self._heartbeat()
            if self._exit_code is None:
                self.reactor.run()
            self.flush_facts()
            self._drain()
        except Exception:
            self.log.exception("our own fault; this process ends")
            raise
        finally:
            signals.close()
            self.close()
        return EXIT_STOPPED if self._exit_code is None else self._exit_code

    def finish(self, code: int) -> None:
        """End `run()` with this exit code; the first one counts."""
        if self._exit_code is None:
            self._exit_code = code
        self.reactor.stop()

    def close(self) -> None:
        """Release every descriptor, without a last word. Idempotent; `run` ends with it."""
        self._hang_up()
        self._memory.close()
        if self._owns_reactor:
            self.reactor.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.by_hand and number != signal.SIGHUP:
            self._dispatch({"type": "stop"})

    def progress(self) -> None:
        """Call between the parts of a long step (a commit of thousands of servers): the loop stands still meanwhile,
        and a heartbeat that is due says that the work does not."""
        if self.reactor.now_ns() - self._beaten_ns >= HEARTBEAT_NS:
            self.beat()

    def stalled(self, ns: int) -> None:
        """One piece of work took so long: the loop stood still, whether or not a timer was due meanwhile."""
        self._stall_ns = max(self._stall_ns, ns)

    def _heartbeat(self) -> None:
        """Sent from our own loop, so it proves that the loop moved; kept on a fixed grid of 250 ms."""
        now = self.reactor.now_ns()
        self._heartbeat_ns = max(self._heartbeat_ns + HEARTBEAT_NS, now)
        self.reactor.call_at(self._heartbeat_ns, self._heartbeat)
        self.beat()

    def beat(self) -> None:
        """A heartbeat now: also before an answer, so that who gets it knows what the work has cost."""
        self._beaten_ns = self.reactor.now_ns()
        lag_ns = max(self.reactor.take_lag_ns(), self._stall_ns)
        self.environment.late(lag_ns)
        if self._endpoint is not None:
            self.send(
                "heartbeat",
                turns=self.reactor.turns,
                lag_ns=lag_ns,
                lag=self.reactor.lag(),
                rss_kb=self._memory.rss_kb(),
            )
        self._stall_ns = 0

    # -- the channel --

    def _watch(self) -> None:
        """Keep epoll's interest equal to what the endpoint wants."""
        if self._endpoint is None:
            return
        wanted = select.EPOLLIN | (select.EPOLLOUT if self._endpoint.wants_write() else 0)
        if not self._watching:
            self.reactor.add(self._endpoint.fileno(), wanted, self._ready)
        elif wanted != self._watching:
            self.reactor.modify(self._endpoint.fileno(), wanted)
        self._watching = wanted

    def _ready(self, events: int) -> None:
        if self._endpoint is None:
            return
        try:
            if events & select.EPOLLOUT:
                self._endpoint.flush()
            messages = self._endpoint.receive() if events & ~select.EPOLLOUT else []
        except Closed:
            self._gone()
            return
        for message in messages:
            self._dispatch(message)
        self._watch()

    def _dispatch(self, message: Message) -> None:
        handler: Callable[[Message], Any] | None = self._handlers.get(message["type"])
        if handler is None:
            raise ValueError(f"{self.role} has no handler for message {message['type']!r}")
        handler(message)

    def _gone(self) -> None:
        if self._endpoint is not None:
            self._hang_up()
            self.orphaned()

    def _orphaned(self) -> None:
        self.log.error("the parent is gone: leaving everything as it is")
        self.finish(EXIT_ORPHANED)

    def _hang_up(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            if self._watching:
                self.reactor.remove(endpoint.fileno())
            self._watching = 0
            endpoint.close()

    def _drain(self) -> None:
        """Give the parent a moment to take our last words."""
        end_ns = self.reactor.now_ns() + LAST_WORDS_NS
        try:
            while self._endpoint is not None and self._endpoint.wants_write():
                left_ns = end_ns - self.reactor.now_ns()
                if left_ns <= 0 or not select.select([], [self._endpoint], [], left_ns / NS_PER_S)[1]:
                    return
                self._endpoint.flush()
        except Closed:
            pass
