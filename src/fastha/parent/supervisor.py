"""The children together: one proposal at a time, what they report, what they have to know of each other.

Decisions are in reload.py, restart.py and watchdog.py; this says them to the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from fastha.channel.messages import Message
from fastha.log import ERROR, INFO, WARNING, Log
from fastha.model import Script
from fastha.model.codec import read
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent import init_files, reload
from fastha.parent.child import Child, State
from fastha.parent.configuration import Configuration
from fastha.parent.events import Events
from fastha.parent.facts import Picture
from fastha.parent.fifos import Fifos
from fastha.parent.loop import Loop, Timer
from fastha.parent.mail import Post
from fastha.parent.memory import Memory
from fastha.parent.reload import Phase, Proposal
from fastha.parent.restart import Ending
from fastha.parent.scripts import Scripts
from fastha.parent.setting import PidFiles
from fastha.parent.spawn import Process
from fastha.parent.tickets import Tickets
from fastha.parent.watchdog import PREPARE_NS, START_NS, TICK_NS

ADOPT_NS = 5 * NS_PER_S  # that a stop waits for the replacement of a child
ADOPT_TICK_NS = 20 * NS_PER_MS
PHASE_NS = START_NS + PREPARE_NS + NS_PER_S  # the watchdog speaks first, and says who it was


class Supervisor:
    """Owns the children. `running` is what each of them should do: {role: the configuration it has parts of}."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        events: Events,
        scripts: Scripts,
        processes: Iterable[Process],
        dataplane: str,
        memory: Memory,
        fifos: Fifos | None = None,
        post: Post | None = None,
    ) -> None:
        self._fifos = fifos or Fifos(loop, log)
        self._post = post or Post(loop, log)
        self.memory = memory
        self.picture = Picture()
        self.quorums: dict[str, bool] = {}
        self.bfds: dict[str, bool] = {}  # sessions that somebody has spoken of: is it up? They outlive their process
        self.config: Configuration | None = None
        self.running: dict[str, Configuration] = {}
        self.generation = 0
        self.pids = PidFiles(log)
        self.children = {p.role: Child(p, loop, log, self, self.pids) for p in processes}
        self.unexpected: Callable[[str], object] = lambda _text: None  # a child ended that nobody had asked to
        self._keep: Collection[str] = ()
        self._adopt_until_ns: dict[str, int] = {}  # of a stop, by role
        self.processes_changed: Callable[[], object] = lambda: None  # a child lives, or lives no more
        self._loop, self._log, self._events, self._scripts = loop, log, events, scripts
        self._dataplane = dataplane
        self._states: dict[str, str] = {}  # of vrrp's instances
        self._resyncs = Tickets(loop)
        self._worked: set[str] = set()  # roles whose process of now has committed something
        self._proposal: Proposal | None = None
        self._next = Configuration()
        self._next_running: dict[str, Configuration] = {}
        self._deadline: Timer | None = None
        self._done: Callable[[Proposal, Ending | None], object] | None = None
        self._first_ending: Ending | None = None
        self._stopping: list[Child] | None = None
        self._when_stopped: Callable[[], object] | None = None
        self._tick_due_ns = loop.now_ns() + TICK_NS
        self._tick_timer = loop.call_at(self._tick_due_ns, self._tick)

    # -- configuration, in two phases --

    @property
    def busy(self) -> bool:
        """Whether a proposal is under way."""
        return self._proposal is not None

    def propose(self, config: Configuration, done: Callable[[Proposal, Ending | None], object]) -> None:
        """Bring `config` to every child it concerns; `done(proposal, ending)` once it is DONE or ABANDONED.

        `ending`: how a child died that was the reason to abandon it. Not while `busy`."""
        assert self._proposal is None
        self._next, self._done, self._first_ending = config, done, None
        self._next_running = {
            role: config
            for role, child in self.children.items()
            if child.process.works(config) or self._has_leftovers(child)
        }
        concerned = [
            role
            for role in self._next_running
            if not config.same(self.running.get(role), self.children[role].process.sees)
        ]
        self._proposal = reload.propose(self._new_generation(), concerned)
        for role in self.running.keys() & self._next_running.keys() - set(concerned):
            self.children[role].revive()
        for role in concerned:
            child = self.children[role]
            if child.state in (State.PREPARING, State.COMMITTING, State.RUNNING):
                self._propose_to(child)
            elif child.state is not State.STOPPING:  # of one that stops, its end starts the next
                child.start()  # its hello is answered by the proposal
        self._set_deadline()
        if not concerned:
            self._commit()

    def begin_measuring(self) -> None:
        """From now on `stalls` counts."""
        self._loop.take_longest_ns()
        for child in self.children.values():
            child.worst_lag_ns = 0

    def stalls(self) -> dict[str, int]:
        """The longest standstill of the parent's loop and of each child's that runs, ns."""
        running = {c.role: c.worst_lag_ns for c in self.children.values() if c.state is State.RUNNING}
        return {"parent": self._loop.take_longest_ns()} | running

    def _has_leftovers(self, child: Child) -> bool:
        """An earlier daemon left in the kernel what nobody would remove."""
        return child.role not in self.running and bool(self.memory.owned(child.role))

    def _propose_to(self, child: Child) -> None:
        """The proposal under way if it concerns `child`, else what it should be running."""
        proposal = self._proposal
        if proposal is not None and proposal.phase is Phase.PREPARING and child.role in proposal.roles:
            generation, part = proposal.generation, self._next_running[child.role]
        elif child.role in self.running:
            generation, part = self._new_generation(), self.running[child.role]
        else:
            child.stop()
            return
        previous: dict[str, Any] = {}
        if child.state is not State.RUNNING and child.sign_of_life_ns:
            age_ns = self._loop.now_ns() - child.sign_of_life_ns
            previous = {**self.picture.of(child.role), "died_ago_ns": age_ns}
        if child.state is not State.RUNNING and (owned := self.memory.owned(child.role)):
            previous[child.process.owned] = sorted(owned)
        child.propose(generation, part, self._dataplane, previous)

    def _commit_to(self, child: Child, generation: int) -> None:
        if child.process.balances:
            child.send(type="overrides", overrides=self.memory.plain())
        if child.process.elects:
            child.send(type="vrrp_overrides", overrides=self.memory.vrrp_plain())
        child.commit(generation)

    def _step(self, after: Proposal) -> None:
        """Take the proposal on, and do what its new phase asks for."""
        before, self._proposal = self._proposal, after
        if before is None or after.phase is before.phase:
            return
        if after.phase is Phase.COMMITTING:
            self._commit()
        elif after.phase is Phase.ABANDONED:
            self._abandon()
        elif after.phase is Phase.DONE:
            self._finish()

    def _commit(self) -> None:
        proposal = self._proposal
        assert proposal is not None
        left = self.running.keys() - self._next_running.keys()
        init_files.make(self._next.track_files, self.config.track_files if self.config else (), self._log)
        self.config, self.running = self._next, self._next_running
        self._scripts.configure(self.config.globals)
        wait_ns = self.config.globals.processes.child_wait_s * NS_PER_S
        for child in self.children.values():
            child.wait_ns = wait_ns
        self._fifos.commit(self.config.globals)
        self._post.configure(self.config.globals)
        for role, child in self.children.items():
            if child.process.owned:
                self.memory.own(role, self.memory.owned(role) | self._owned(role, self.config))
        known = self.config.servers
        self.quorums = {key: up for key, up in self.quorums.items() if key in known}
        sessions = {part.key[1] for part in self.config.of("bfd")}
        self.bfds = {name: up for name, up in self.bfds.items() if name in sessions}
        self._set_deadline()
        for role, child in self.children.items():
            if role in proposal.roles:
                self._commit_to(child, proposal.generation)
        for role in left:
            self.children[role].stop()
            self.children[role].sign_of_life_ns = 0
            self.picture.forget(role)
        if not proposal.roles:
            self._step(reload.expired(proposal))

    def _owned(self, role: str, config: Configuration) -> frozenset[str]:
        process = self.children[role].process
        return config.owned(process.works_on, self.servers) | config.owned(process.also, self.servers)

    def _abandon(self) -> None:
        proposal = self._proposal
        assert proposal is not None
        self._finish()
        for role in proposal.roles:
            child = self.children[role]
            if child.state is State.RUNNING:
                child.abandon(proposal.generation)
            elif role not in self.running:
                child.stop()
            elif child.state is State.PREPARING:
                self._propose_to(child)

    def _finish(self) -> None:
        proposal, self._proposal = self._proposal, None
        done, self._done = self._done, None
        if self._deadline is not None:
            self._deadline.cancel()
        assert proposal is not None
        assert done is not None
        if proposal.phase is Phase.DONE:
            self._tidy()
        # In a turn of its own: `done` may begin the next proposal.
        self._loop.call_later(0, lambda: done(proposal, self._first_ending))

    def _tidy(self) -> None:
        """A new configuration runs: what it does not have is out of the kernel, and who only removed it is done."""
        for role, child in self.children.items():
            if child.state is State.RUNNING and role in self.running:
                if child.process.owned:
                    self.memory.own(role, self._owned(role, self.running[role]))
                if not child.process.works(self.running[role]):
                    del self.running[role]
                    child.stop()
                    child.sign_of_life_ns = 0

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(PHASE_NS, self._expired)

    def _expired(self) -> None:
        if self._proposal is not None:
            self._step(reload.expired(self._proposal))

    def _new_generation(self) -> int:
        self.generation += 1
        return self.generation

    # -- what children say (Owner) --

    def wanted(self, child: Child) -> bool:
        if self._stopping is not None:
            return False
        proposal = self._proposal
        # One that ended as asked while a new configuration needs it again comes back.
        return child.role in self.running or (proposal is not None and child.role in proposal.waiting)

    def heard(self, child: Child, message: Message) -> None:
        kind, role = message["type"], child.role
        if kind == "hello":
            if (message["role"], message["pid"]) != (role, child.pid):
                raise ValueError(f"hello from {message['role']!r}, pid {message['pid']!r}")
            self.picture.started(role)
            self.processes_changed()
            if child.state is State.STARTING:
                self._propose_to(child)
        elif kind == "ready":
            self._ready(child, message["generation"])
        elif kind == "refused":
            self._refused(child, message["generation"], str(message["reason"]))
        elif kind == "committed":
            self._committed(child, message["generation"])
        elif kind == "facts":
            if role in self.running or child.state is not State.STOPPING:
                self.picture.merge(role, message["facts"])
                self._tell_states(message["facts"].get("instances", {}))
        elif kind == "event":
            event = message["event"]
            self._events.add(
                role, str(event["kind"]), str(event.get("subject", "")), str(event["text"]), str(event.get("cause", ""))
            )
        elif kind == "script":
            self._scripts.run(read(Script, message["script"]), str(message["subject"]))
        elif kind == "notify":
            self._fifos.line(role, str(message["line"]))
        elif kind == "mail":
            self._post.take(str(message["what"]), str(message["subject"]), str(message["text"]))
        elif kind == "quorum":
            changes = {str(key): bool(up) for key, up in message["states"].items()}
            self.quorums.update(changes)
            for other in self.children.values():
                if other.process.wants_quorums and other.state is State.RUNNING:
                    other.send(type="quorums", states=changes)
        elif kind == "bfd":
            changes = {str(name): bool(up) for name, up in message["states"].items()}
            self.bfds.update(changes)
            for other in self.children.values():
                if other.process.wants_bfds and other.state is State.RUNNING:
                    other.send(type="bfds", states=changes)
        elif kind == "failover_over":
            self.memory.failover_over(str(message["instance"]), float(message["since"]))
            self.tell_vrrp_overrides()
        elif kind == "resynced":
            self._resyncs.answer(
                message["ticket"],
                {
                    "ok": bool(message["ok"]),
                    "operations": int(message["operations"]),
                    "text": str(message["text"]),
                },
            )

    def _tell_states(self, instances: Mapping[str, Any]) -> None:
        """vrrp's facts, for who follows its instances: a state that changed; "gone" for an instance that is no more."""
        changes = {}
        for name, told in instances.items():
            state = "gone" if told is None else told.get("state", self._states.get(name))
            if state is not None and state != self._states.get(name):
                changes[name] = state
                self._states[name] = state
                if told is None:
                    del self._states[name]
        for child in self.children.values():
            if changes and child.process.balances and child.state is State.RUNNING:
                child.send(type="masters", states=changes)

    # -- what operators ask for --

    @property
    def servers(self) -> Mapping[str, Any]:
        """What the checker reports of the virtual servers."""
        facts: Mapping[str, Any] = self.picture.of("checker").get("virtual_servers", {})
        return facts

    @property
    def instances(self) -> Mapping[str, Any]:
        """What vrrp reports of its instances."""
        facts: Mapping[str, Any] = self.picture.of("vrrp").get("instances", {})
        return facts

    def tell_overrides(self) -> None:
        """They have changed. A child that is still preparing hears of them before its commit."""
        for child in self.children.values():
            if child.process.balances and child.state is State.RUNNING:
                child.send(type="overrides", overrides=self.memory.plain())

    def tell_vrrp_overrides(self) -> None:
        """The same about instances."""
        for child in self.children.values():
            if child.process.elects and child.state is State.RUNNING:
                child.send(type="vrrp_overrides", overrides=self.memory.vrrp_plain())

    def accept(self, keys: Iterable[str]) -> None:
        """Real servers of these virtual servers that are kept in the set may fall."""
        for child in self.children.values():
            if child.process.balances and child.state is State.RUNNING:
                child.send(type="accept", virtual_servers=list(keys))

    def resync(self, done: Callable[[dict[str, Any]], object]) -> None:
        """`done({ok, operations, text})` once the checker has compared and repaired, or cannot."""
        child = next((c for c in self.children.values() if c.process.balances), None)
        if child is None or child.state is not State.RUNNING:
            state = child.state.value if child is not None else "none"
            done({"ok": False, "operations": 0, "text": f"no checker is running (it is {state})"})
            return
        child.send(type="resync", ticket=self._resyncs.take(done))

    def _ready(self, child: Child, generation: int) -> None:
        if generation != child.generation:
            return
        child.answered()
        if self._proposal is not None and generation == self._proposal.generation:
            self._step(reload.ready(self._proposal, child.role, generation))
        elif child.state is State.PREPARING:
            self._commit_to(child, generation)  # a replacement: what it prepared is already decided

    def _refused(self, child: Child, generation: int, reason: str) -> None:
        if generation != child.generation:
            return
        child.answered()
        if self._proposal is not None and generation == self._proposal.generation:
            self._step(reload.failed(self._proposal, child.role, f"{child.role}: {reason}"))
        else:
            self._events.log("refused", child.role, f"{child.role} refuses to start again: {reason}", ERROR)
            child.stop(Ending.REFUSED)

    def _committed(self, child: Child, generation: int) -> None:
        if generation != child.generation or child.state is State.STOPPING:
            return
        child.confirmed()
        self._worked.add(child.role)
        if self.quorums and child.process.wants_quorums:
            child.send(type="quorums", states=self.quorums)
        if self.bfds and child.process.wants_bfds:
            child.send(type="bfds", states=self.bfds)
        if child.process.balances and self._states:
            child.send(type="masters", states=self._states)
        if self._proposal is not None:
            self._step(reload.committed(self._proposal, child.role, generation))

    def ended(self, child: Child, ending: Ending, text: str) -> None:
        expected = ending is Ending.ASKED
        self._events.log("ended", child.role, text, INFO if expected else WARNING)
        self.processes_changed()
        if not expected:
            self.unexpected(text)
        if child.process.balances:
            self._resyncs.fail(text)
        if child.role in self._worked:
            self._worked.discard(child.role)
            if (
                child.process.owned
                and expected
                and child.ended_well
                and child.role not in self._keep
                and (self._stopping is not None or child.role not in self.running)
            ):
                self.memory.own(child.role, ())  # it has removed everything
        if self._stopping is not None:
            self._stop_next()
            return
        if child.role not in self.running:
            self.picture.forget(child.role)
        proposal = self._proposal
        if proposal is not None and child.role in proposal.roles:
            if expected and child.role in proposal.waiting:
                child.start()
                return
            self._first_ending = self._first_ending or ending
            self._step(reload.failed(proposal, child.role, text))

    def _must_begin(self, child: Child) -> bool:
        """Whether it has to begin before it can end: its predecessor died, and what that one had put into the kernel is
        there until a replacement has adopted it and gives it up. That is tried once."""
        role, now_ns = child.role, self._loop.now_ns()
        if role not in self.running or role in self._keep:
            return False
        if not child.alive and not child.ended_well and self.memory.owned(role) and role not in self._adopt_until_ns:
            self._log.warning(f"{role} died: another one is started to give up what it left")
            child.start()
        if child.state not in (State.STARTING, State.PREPARING, State.COMMITTING):
            return False
        return now_ns < self._adopt_until_ns.setdefault(role, now_ns + ADOPT_NS)

    # -- the watchdog, and the end --

    def _tick(self) -> None:
        late_ns = self._loop.now_ns() - self._tick_due_ns
        for child in self.children.values():
            child.judge(late_ns)
        self._tick_due_ns = self._loop.now_ns() + TICK_NS
        self._tick_timer = self._loop.call_at(self._tick_due_ns, self._tick)

    def stop(self, when_stopped: Callable[[], object], keep: Collection[str] = ()) -> None:
        """Stop every child in an orderly way, one after another in the order of the table. `keep`: roles whose
        addresses or rows stay in the kernel."""
        self._keep = keep
        if self._deadline is not None:
            self._deadline.cancel()
        self._proposal = None
        self._when_stopped = when_stopped
        self._stopping = list(self.children.values())
        self._stop_next()

    def _stop_next(self) -> None:
        while self._stopping:
            child = self._stopping[0]
            if self._must_begin(child):
                self._loop.call_later(ADOPT_TICK_NS, self._stop_next)
                return
            if child.role in self._keep and child.alive and child.state is not State.STOPPING:
                child.send(type="keep")
            child.stop()
            if child.alive:
                return
            self._stopping.pop(0)
        if self._when_stopped is not None:
            self._tick_timer.cancel()
            when_stopped, self._when_stopped = self._when_stopped, None
            self._loop.call_later(0, when_stopped)
