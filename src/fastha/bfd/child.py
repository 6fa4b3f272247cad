"""The BFD process: configuration in two phases, events from the lane to the sessions, states to the parent.

Decisions of this process:

- A session that begins is not spoken of until it is up or has had time to come up (FIRST_WORD): a start would else look
  like a failure to everybody who follows it. One that a predecessor knew is spoken of at once.
- When the parent dies it says AdminDown and ends: nobody would restart it, and a new daemon wants its ports.
- Python's garbage collector is off from the first commit on, as in the VRRP process.
"""

from __future__ import annotations

import gc
import resource
from typing import TYPE_CHECKING, Any

from fastha.bfd import lane, machine
from fastha.bfd.house import House
from fastha.bfd.rules import rules_of
from fastha.bfd.session import BfdSession
from fastha.channel.endpoint import Endpoint
from fastha.channel.messages import Message
from fastha.child import Child
from fastha.child.child import EXIT_ORPHANED, EXIT_STOPPED
from fastha.child.parts import Draft, Parts
from fastha.child.turns import Turns
from fastha.child.work import run
from fastha.errors import SystemFault
from fastha.loop.reactor import Reactor
from fastha.model import BfdInstance, Config
from fastha.model.config import diff
from fastha.model.units import NS_PER_MS, NS_PER_US

if TYPE_CHECKING:
    from fastha.wire.bfd import Control

SLICE_NS = 2 * NS_PER_MS  # of events per turn: the lane is served between slices
TAKE = 4  # sessions at a time
COUNT_NS = 100 * NS_PER_MS  # a tenth of the sessions publish their counters
GOODBYE_NS = 20 * NS_PER_MS  # from the first AdminDown to the last
FIRST_WORD = 3  # slow intervals
SPARE_FDS = 64  # descriptors that are not for sessions


class BfdChild:
    """Puts the BFD handlers into the common Child."""

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.child = Child("bfd", endpoint, reactor=Reactor())
        self.sessions: dict[str, BfdSession] = {}
        self._by_index: dict[int, BfdSession] = {}
        self._house: House | None = None
        self.parts = Parts()
        self._prepared: tuple[Draft, dict[str, Any], int] | None = None
        self._told: dict[str, bool] = {}  # what vrrp and checker know
        self._silent: set[str] = set()  # not spoken of yet
        self._totals: dict[str, object] = {}
        self._turns: Turns[BfdSession] = Turns()  # for counting
        self._beat = 0
        self._more_due = False
        self._stopping = False
        for kind, handler in {
            "parts": self.parts.take_parts,
            "previous": self.parts.take_previous,
            "propose": self._propose,
            "commit": self._commit,
            "abandon": self._abandon,
            "stop": lambda _: self._stop(EXIT_STOPPED),
        }.items():
            self.child.on(kind, handler)
        self.child.orphaned = self._orphaned
        self.child.reactor.before_sleep(self._look)

    @property
    def house(self) -> House:
        assert self._house is not None
        return self._house

    # -- configuration --

    def begin(self, config: Config) -> None:
        """By hand: prepare and commit at once. SystemFault or ValueError, one line."""
        self._prepare(self.parts.at_once(config), {})
        self._apply()

    def _propose(self, message: Message) -> None:
        generation = message["generation"]
        try:
            self._prepare(*self.parts.built(message))
        except (SystemFault, ValueError) as error:
            self.child.send("refused", generation=generation, reason=str(error))
        else:
            self.child.send("ready", generation=generation)

    def _prepare(self, draft: Draft, previous: dict[str, Any]) -> None:
        """Everything that can fail, before anything changes. SystemFault or ValueError, one line."""
        config = draft.config
        seen: dict[object, str] = {}
        for bfd in config.bfds:
            key = bfd.neighbor_ip, bfd.source_ip, bfd.multihop
            other = seen.setdefault(key, bfd.name)
            if other != bfd.name:
                raise ValueError(f"{bfd.name}: same neighbour and source as {other}")
        ask_for_descriptors(len(config.bfds))
        if self._house is None:
            self._house = House(self.child)
        for bfd in config.bfds:
            self._house.hear(bfd)
        self._prepared = draft, previous, self.child.reactor.now_ns()

    def _abandon(self, message: Message) -> None:
        self.parts.abandon(message["generation"])
        if self._prepared is not None and self._prepared[0].generation == message["generation"]:
            self._prepared = None

    def _commit(self, message: Message) -> None:
        self._apply()
        self.child.send("committed", generation=message["generation"])
        if self._told:
            self.child.send("bfd", states=self._told)

    def _apply(self) -> None:
        """Make the prepared configuration the running one."""
        assert self._prepared is not None
        draft, previous, prepared_ns = self._prepared
        self.child.environment.follow(draft.config.globals.processes)
        config = draft.config
        self._prepared = None
        reactor = self.child.reactor
        changes = diff(
            [(_identity(s.bfd), s.bfd) for s in self.sessions.values()], [(_identity(b), b) for b in config.bfds]
        )
        for bfd in changes.removed:
            self._remove(bfd.name)
        for _, bfd in changes.changed:
            self.sessions[bfd.name].change(bfd, reactor.now_ns())
            self.house.lane.breathe()
        told: dict[str, dict[str, Any]] = previous.get("sessions", {})
        for bfd in changes.added:
            died_ago_ns = previous.get("died_ago_ns", 1 << 62) + reactor.now_ns() - prepared_ns
            known = told.get(bfd.name, {})
            if (known.get("neighbor"), known.get("multihop")) != (bfd.neighbor_ip, bfd.multihop):
                known = {}
            self._add(bfd, known, died_ago_ns)
            self.house.lane.breathe()
        if not self._beat:
            self._count()
            gc.collect()
            gc.disable()
        gc.freeze()
        run(self.parts.commit(draft))

    def _add(self, bfd: BfdInstance, known: dict[str, Any], died_ago_ns: int) -> None:
        now = self.child.reactor.now_ns()
        session = self.sessions[bfd.name] = BfdSession(self.house, bfd, known, died_ago_ns, now)
        self._by_index[session.index] = session
        session.publish()
        if session.up or known:
            self._told[bfd.name] = session.up
            return
        self._silent.add(bfd.name)
        wait_ns = FIRST_WORD * rules_of(bfd).slow_us * NS_PER_US
        self.child.reactor.call_later(wait_ns, lambda: self._first_word(session))

    def _first_word(self, session: BfdSession) -> None:
        if self.sessions.get(session.bfd.name) is session and session.bfd.name in self._silent:
            self._tell(session)

    def _remove(self, name: str) -> None:
        session = self.sessions.pop(name)
        del self._by_index[session.index]
        self._silent.discard(name)
        self._told.pop(name, None)
        session.give_up(self.child.reactor.now_ns())
        session.close()
        self.child.facts({"sessions": {name: None}})

    # -- events --

    def _look(self) -> None:
        """Once per turn that concerns Python: what the lane left for the machine."""
        if self._house is not None and not self._more_due:
            self._play_slice()

    def _play_slice(self) -> None:
        """Sessions that wait for the next slice stay dirty in the lane, which sends for all of them meanwhile."""
        self._more_due = False
        end_ns = self.child.reactor.now_ns() + SLICE_NS
        while events := self.house.lane.take(TAKE):
            for index, what, fields, heard_ns in events:
                session = self._by_index.get(index)
                if session is not None:
                    self._play(session, what, fields, heard_ns)
            if self.child.reactor.now_ns() >= end_ns:
                self._more_due = True
                self.child.reactor.call_at(self.child.reactor.now_ns(), self._play_slice)
                return

    def _play(self, session: BfdSession, what: int, fields: Control | None, heard_ns: int) -> None:
        changed = False
        if what == lane.PACKET:
            assert fields is not None
            changed = session.packet(fields, heard_ns)
        elif what == lane.TIMER:
            changed = session.happen(machine.DetectionTimer(), self.child.reactor.now_ns())
        else:
            session.reopen()
        if changed:
            self._tell(session)

    def _tell(self, session: BfdSession) -> None:
        name = session.bfd.name
        self._silent.discard(name)
        if self._told.get(name) is not session.up:
            self._told[name] = session.up
            self.child.send("bfd", states={name: session.up})

    # -- counters --

    def _count(self) -> None:
        """Every session once a second, a tenth at a time; of more than 200 each less often."""
        for session in self._turns.next(self.sessions.values()):
            if self._by_index.get(session.index) is session:
                session.count()
                self.house.lane.breathe()
        totals = self.house.lane.totals()
        if self._beat % 10 == 0 and totals != self._totals:
            self._totals = totals
            self.child.facts({"strangers": totals})
        self._beat += 1
        self.child.reactor.call_later(COUNT_NS, self._count)

    # -- the end --

    def _orphaned(self) -> None:
        self.child.log.error("the parent is gone: saying admin-down to every neighbour")
        self._stop(EXIT_ORPHANED)

    def _stop(self, code: int) -> None:
        if self._stopping:
            return
        self._stopping = True
        for session in self.sessions.values():
            session.give_up(self.child.reactor.now_ns())
        # Once more a moment later: what was lost on the way may have been lost together.
        self.child.reactor.call_later(GOODBYE_NS if self.sessions else 0, lambda: self._finish(code))

    def _finish(self, code: int) -> None:
        for session in self.sessions.values():
            self.house.lane.send(session.index)
        self.child.finish(code)

    def run(self) -> int:
        """Until stopped; the exit code."""
        try:
            return self.child.run()
        finally:
            if self._house is not None:
                for session in self.sessions.values():
                    session.close()
                self._house.close()
            self.child.reactor.close()


def ask_for_descriptors(sessions: int) -> None:
    """One for each session. SystemFault if we may not have so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sessions + SPARE_FDS
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise SystemFault(f"{sessions} BFD sessions need as many file descriptors; the limit is {hard}")
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _identity(bfd: BfdInstance) -> tuple[str, str, bool]:
    """What makes it the same session across a reload."""
    return bfd.name, bfd.neighbor_ip, bfd.multihop
