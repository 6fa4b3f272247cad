"""The checker process: probes, roster, dataplane and channel put together (shell)."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fastha import outside
from fastha.channel.messages import Message
from fastha.checker import adoption, bfd_check, facts, lvs, marks, native, plan
from fastha.checker.adoption import Adopted
from fastha.checker.bfd_check import BfdStates
from fastha.checker.drain import Stance
from fastha.checker.engine import Answer, Deliver, Engine, Engines
from fastha.checker.file_check import FileValues
from fastha.checker.lvs_keeper import LvsKeeper
from fastha.checker.misc import Commands
from fastha.checker.overrides import Overrides
from fastha.checker.plan import Effect
from fastha.checker.prepare import fitted, refusing
from fastha.checker.presence import Presence
from fastha.checker.probe import Probes
from fastha.checker.renewal import Renewal
from fastha.checker.roster import Roster
from fastha.checker.table import TableKeeper
from fastha.checker.talk import engine as talk
from fastha.checker.telling import REFRESH_NS, Teller
from fastha.checker.wards import Server, Ward
from fastha.child import Child
from fastha.child.files import Files
from fastha.child.nft_tables import NftTables
from fastha.child.parts import Draft, Parts
from fastha.child.process import release_memory
from fastha.child.runner import Runner
from fastha.child.work import PIECE, Steps, Work, pieces, run
from fastha.dataplane.backend import Backend, KernelBalancer, Patient
from fastha.dataplane.choose import open_backend
from fastha.dataplane.nft_library import Library
from fastha.dataplane.rows import ServiceKey, ServiceRow, Table
from fastha.errors import SystemFault
from fastha.link.monitor import Pair
from fastha.loop.reactor import Timer
from fastha.model import Config, VirtualServer
from fastha.model.parts import GLOBALS
from fastha.model.units import NS_PER_S
from fastha.scripts import lines
from fastha.scripts.configured import defaults
from fastha.setns import NAMESPACES, Place, entered, here

TOLD_TOGETHER = 16  # virtual servers of a commit whose rows and facts go out together
TRIM_NS = 30 * NS_PER_S
SPARE_FDS = 128 + talk.CONVERSATIONS  # descriptors that are not for probes of the native engine
MOST_PROBES = 4096  # in flight at once


@dataclass(slots=True)
class Proposal:
    draft: Draft
    previous: Mapping[str, Any]
    marks: Mapping[str, int] = field(default_factory=dict)  # nftables_ipvs: {virtual server key: mark}
    tables: Mapping[str, str] = field(default_factory=dict)  # and the tables that set them


class Checker:
    """Give it a Child; `propose`, `commit`, `abandon` and `stop` come from there or, by hand, from __main__."""

    def __init__(
        self,
        child: Child,
        *,
        open_backend: Callable[[str, Place], Backend] = open_backend,
        make_probes: Callable[[Callable[[bytes], object]], native.Slots] | None = None,
    ) -> None:
        self.child = child
        self.table: TableKeeper | None = None
        self._open_backend = open_backend
        self._backend_name = ""
        self._namespace: str | None = None  # of the backend: Processes.ipvs_namespace
        self._proposal: Proposal | None = None
        self._refused = ""  # why the last proposal was
        self._abandoned = -1
        probes = make_probes(self._results) if make_probes else Probes(child.reactor, self._results, probe_limit())
        self.probes = probes
        self._runner = Runner(child.reactor)
        self.bfds = BfdStates(child.reactor, self._deliver(bfd_check.KIND))
        self.engines = Engines(
            dict.fromkeys(native.KINDS, native.Native(probes))
            | {"MISC_CHECK": Commands(child.reactor, self._runner, self._deliver("MISC_CHECK"))}
            | {"FILE_CHECK": FileValues(child.reactor, Files(child.reactor), self._deliver("FILE_CHECK"))}
            | {bfd_check.KIND: self.bfds}
            | self._talks()
        )
        self.tell = tell = Teller(child, self.engines)
        self.roster = Roster(self.engines, child.reactor.now_ns, self._changed, tell.seen, tell.short, tell.failed)
        self.overrides = Overrides(self.roster, child.reactor, self._ruled, tell.seen, self._flush)
        tell.roster = self.roster
        self.roster.guarded = tell.guarded
        self.roster.turned = tell.turned
        self.roster.wake = self._wake
        self._noted: set[str] = set()
        self.parts = Parts()
        self.work = Work(child.reactor, child.stalled)
        self._release: Timer | None = None
        self._running = False
        self._lvs: LvsKeeper | None = None
        self._marks: NftTables | None = None
        self._marked: dict[str, int] = {}
        self._flush_on_stop = ""
        self._keep = False  # rows stay at the end
        self._presence = Presence(child.reactor, self._addresses_changed)
        child.on("masters", self._masters)
        child.on("parts", self._parts)
        child.on("previous", self.parts.take_previous)
        child.on("propose", lambda message: self.work.add(self._propose(message)))
        child.on("commit", lambda message: self.work.add(self._commit(message)))
        child.on("abandon", self._abandon)
        child.on("keep", lambda _message: setattr(self, "_keep", True))
        child.on("stop", self._stop)
        child.on("overrides", lambda message: self.overrides.take(message["overrides"]))
        child.on("resync", self._resync)
        child.on("accept", self._accept)
        child.on("bfds", lambda message: self.bfds.update(message["states"]))

    def _talks(self) -> dict[str, Engine]:
        """The engine of checks that hold a conversation, by its ways."""

        def notice(subject: str, text: str) -> None:
            self.child.event("certificate", subject, text, logging.WARNING)

        warn = partial(self.child.log.warning, "%s")
        return dict.fromkeys(talk.WAYS, talk.Talks(self.child.reactor, self._deliver(talk.WAYS[0]), notice, warn))

    def begin(self, config: Config, dataplane: str) -> None:
        """By hand: prepare and commit at once. SystemFault with the reason if it cannot be run."""
        run(self._prepare(self.parts.at_once(config), dataplane, {}))
        if self._refused:
            raise SystemFault(self._refused)
        run(self._apply())

    # -- configuration, in two phases: both go on while checks are made and answered --

    def _parts(self, message: Message) -> None:
        self.work.quiet()
        self.parts.take_parts(message)
        run(self.parts.digest())  # a few milliseconds: a message is small

    def _propose(self, message: Message) -> Steps:
        """Phase one: nothing that runs is changed. A proposal before this one is forgotten."""
        generation, self._proposal = message["generation"], None
        steps, previous = self.parts.steps(message)
        for draft in steps:
            yield
            if draft is not None:
                yield from self._prepare(draft, message["dataplane"], previous)
        if generation == self._abandoned:
            self._proposal = None  # it was too late to stop
        if self._refused:
            self.child.send("refused", generation=generation, reason=self._refused)
        else:
            self.child.send("ready", generation=generation)

    def _prepare(self, draft: Draft, dataplane: str, previous: Mapping[str, Any]) -> Steps:
        """`_proposal`, or why it is `_refused`."""
        self._refused = ""
        try:
            table = self._open_table(dataplane, draft.config.globals.processes.ipvs_namespace)
            reason = lvs.refusal(draft.config.globals.lvs, draft.config.virtual_servers, table.backend)
            for key, held in draft.changed.items():
                if isinstance(held.value, VirtualServer):
                    server = fitted(held.value, table.backend)
                    if server is not held.value:
                        draft.changed[key] = replace(held, value=server)
                    runs = self.parts.held(key)
                    tried = runs.value.real_servers if runs and isinstance(runs.value, VirtualServer) else ()
                    for said in () if reason else refusing(server, table.backend, tried):
                        reason = said
                        yield
            proposal = Proposal(draft, previous)
            reason = reason or self._prepare_marks(proposal)
            if not reason and any(s.ha_suspend for s in draft.virtual_servers):
                self._presence.listen(True, _netlink(draft))
            if not reason and not self._running:
                table.backend.dump()  # a kernel that does not answer is found out before anybody commits
        except SystemFault as fault:
            reason = str(fault)
        except OSError as error:
            reason = f"dataplane {dataplane}: {error.strerror or error}"
        self._refused = reason
        self._proposal = None if reason else proposal

    def _open_table(self, dataplane: str, namespace: str | None) -> TableKeeper:
        if self.table is not None:
            if dataplane != self._backend_name:
                raise SystemFault(f"the dataplane cannot change from {self._backend_name} to {dataplane} while running")
            if namespace != self._namespace:
                raise SystemFault("net_namespace_ipvs cannot change while the daemon runs")
            return self.table
        where = "" if namespace is None else f"{NAMESPACES}/{namespace}" if namespace else outside.origin()
        place: Place = partial(entered, where) if where else here
        backend = self._open_backend(dataplane, place)
        self._backend_name, self._namespace = dataplane, namespace
        child = self.child
        if isinstance(backend, Patient):
            backend.progress = child.progress
        self.table = self.tell.table = TableKeeper(backend, child.reactor, child.limited, self.tell.drifted)
        self.table.where = where
        if isinstance(backend, KernelBalancer):
            self._lvs = LvsKeeper(backend, child.reactor, child.limited, self._balancer_event)
        # A dry run and other dataplanes have no service that a mark could mean.
        self._marks = NftTables(
            "nftables_ipvs",
            child.reactor,
            child.limited,
            self._balancer_event,
            make_nft=Library if backend.name == "ipvs" else None,
            place=place,
        )
        return self.table

    def _commit(self, message: Message) -> Steps:
        if self._proposal is None or self._proposal.draft.generation != message["generation"]:
            raise ValueError(f"commit of generation {message['generation']}, which is not prepared")
        yield from self._apply()

    def _apply(self) -> Steps:
        """Phase two: go through what differs, one virtual server after another, each as a whole. Operators' decisions,
        health and the kernel's table may change between any two of them."""
        proposal, table = self._proposal, self.table
        assert proposal is not None
        assert table is not None
        self._proposal = None
        draft, marked, first = proposal.draft, proposal.marks, not self._running
        kernel = self._adopt_kernel(table, proposal) if first else {}
        defs = draft.config.globals
        self.child.environment.follow(defs.processes)
        self._runner.configure(defaults(defs), defs.scripts.secure)
        self.child.mail = defs.mail
        self.tell.first_states = defs.rs_init_notifies
        suspends = any(s.ha_suspend for s in draft.config.virtual_servers)
        self._presence.listen(suspends, _netlink(draft))
        if suspends:
            self._addresses_changed()
        dropped: set[ServiceKey] = set()
        to_apply = self._to_apply(draft, marked)
        for number, server in enumerate(to_apply):
            dropped.update((yield from self._put(table, server, proposal, kernel, first)))
            yield from self._breath(number)
        for number, key in enumerate(draft.gone_of("virtual_server")):  # last: what it knows is known to the new ones
            ward = self.roster.drop(key)
            dropped.update(ward.keys)
            self.overrides.drop(key)
            self.tell.forget(key)
            yield from self.roster.leave_all(ward)
            yield from self._breath(number)
        self.roster.settled()
        if dropped:
            yield from self._forget(table, dropped)
        yield from self.parts.commit(draft)
        self._commit_balancer(proposal)
        table.flush()
        table.start()
        self.overrides.committed(table.backend)
        self.tell.quorums()
        self._trim_in(NS_PER_S)
        self._flush_on_stop = draft.config.globals.lvs.flush_on_stop
        if draft.changed:
            self._note(table, draft)
        self.child.facts({"dataplane": facts.dataplane(table)})
        self.child.flush_facts()
        self.child.beat()
        self.child.send("committed", generation=draft.generation)
        if first:
            self._running = True
            self.child.reactor.call_later(REFRESH_NS, self.tell.refresh)

    def _to_apply(self, draft: Draft, marked: Mapping[str, int]) -> list[VirtualServer]:
        """Those that changed, and groups that have another mark now."""
        out = {server.key: server for server in draft.virtual_servers}
        if marked != self._marked:
            for key, ward in self.roster.wards.items():
                if ward.mark != marked.get(key, 0):
                    out.setdefault(key, ward.plan.server)
        return list(out.values())

    def _breath(self, number: int) -> Steps:
        """A place to pause. What has changed goes to the kernel and into the parent's picture bit by bit, not all at
        the end (at the start the kernel gets it in one go: nothing waits for it)."""
        if number % TOLD_TOGETHER == TOLD_TOGETHER - 1:
            self._flush()
            self.child.flush_facts()
        yield

    def _put(
        self, table: TableKeeper, server: VirtualServer, proposal: Proposal, kernel: Table, first: bool
    ) -> Generator[None, None, set[ServiceKey]]:
        """Make one virtual server what it shall be, all of it at one moment; the services that it has no more."""
        key, mark = server.key, proposal.marks.get(server.key, 0)
        old = self.roster.wards.get(key)
        looked = _look(old) if old is not None else None
        adopt = Adopted()
        if first:
            self.overrides.prepare(server, kernel, mark)
            adopt = adoption.adopted(server, proposal.previous, kernel, self.roster.rulings(server, None), mark)
        renewal = self.roster.renew(server, adopt, mark)
        yield from renewal.prepare()
        self.overrides.prepare(server, kernel, mark, renewal.places)
        renewal.turn()
        ward = renewal.ward
        self._want(table, ward, renewal.row)
        if old is None and adopt.quorum is None:
            self.tell.mail_beginning(ward)
        told = proposal.previous.get("virtual_servers", {}).get(key, {}) if first else {}
        known = told.get("real_servers", {})
        yield from self._tell(ward, renewal, [s for s in renewal.new if s.config.key not in known], looked)
        if old is None and not told:
            self.tell.began_with_quorum(ward)
        yield from renewal.settle()
        return set(renewal.before) - set(ward.keys)

    def _tell(self, ward: Ward, renewal: Renewal, new: Sequence[Server], looked: tuple[bool, ...] | None) -> Steps:
        """What is other than it was, piece by piece. `looked`: what it was."""
        for some in pieces(new):
            self.tell.began(ward, some)
            if len(some) == PIECE:
                yield
        # If the whole is as it was, so are those that stayed.
        shown = renewal.fresh if looked == _look(ward) else list(ward.servers)
        key = ward.plan.server.key
        real: dict[str, Any] = dict.fromkeys(renewal.gone)
        self.child.facts({"virtual_servers": {key: facts.virtual_server(ward) | {"real_servers": real}}})
        for number, some in enumerate(pieces(shown), 1):
            assert self.table is not None
            row = self.table.wanted(ward.key)
            real = {s.config.key: facts.real_server(self.roster, s, row) for s in some}
            self.child.facts({"virtual_servers": {key: {"real_servers": real}}})
            if len(some) == PIECE:
                if not number % TOLD_TOGETHER:
                    self.child.flush_facts()
                yield

    def _forget(self, table: TableKeeper, dropped: set[ServiceKey]) -> Steps:
        """Services that nobody has any more. One that went from one virtual server to another is the other's."""
        for ward in self.roster.wards.values():
            if not dropped.isdisjoint(ward.keys):
                dropped.difference_update(ward.keys)
                self._want(table, ward)
        yield
        for key in dropped:
            table.forget(key)

    def _adopt_kernel(self, table: TableKeeper, proposal: Proposal) -> Table:
        try:
            kernel = table.backend.dump()
        except OSError:
            table.resync()  # says what is wrong and keeps trying
            return {}
        config, ours = proposal.draft.config, adoption.once_ours(proposal.previous, kernel)
        defs, backend, first = config.globals.lvs, table.backend, "died_ago_ns" not in proposal.previous
        if isinstance(backend, KernelBalancer) and lvs.flush_whole(
            defs, first, (k for s in config.virtual_servers for k in plan.keys(s, proposal.marks.get(s.key, 0))), kernel
        ):
            try:
                backend.flush()
                kernel, ours = {}, set()
            except OSError as error:
                self.child.log.error("lvs_flush: %s; removing the services one by one", error.strerror or error)
        if first and defs.flush:
            ours = set(kernel)
        table.adopt(kernel, ours)
        return kernel

    # -- the balancer besides its table --

    def _prepare_marks(self, proposal: Proposal) -> str:
        defs, servers = proposal.draft.config.globals.lvs, proposal.draft.config.virtual_servers
        if not defs.marks_table or self._marks is None:
            return ""
        try:
            proposal.marks = marks.allocate(
                servers, defs.marks_start, self._marked or adoption.marks(proposal.previous)
            )
        except ValueError as error:
            return str(error)
        proposal.tables = marks.tables(defs.marks_table, defs.marks_priority, servers, proposal.marks)
        return self._marks.prepare(defs.marks_table, proposal.tables)

    def _commit_balancer(self, proposal: Proposal) -> None:
        defs = proposal.draft.config.globals.lvs
        self._marked = dict(proposal.marks)
        if self._marks is not None:
            self._marks.commit(defs.marks_table, proposal.tables)
        if self._lvs is not None and (not self._running or GLOBALS in proposal.draft.changed):
            self._lvs.commit(defs, {} if self._running else proposal.previous)
            self.child.facts({"lvs": self._lvs.facts()})

    def _masters(self, message: Message) -> None:
        """Instances changed their state: the synchronisation daemon follows."""
        if self._lvs is not None and self._lvs.states(message["states"]):
            self.child.facts({"lvs": self._lvs.facts()})

    def _balancer_event(self, subject: str, text: str) -> None:
        self.child.event("balancer", subject, text)

    def _addresses_changed(self) -> None:
        for ward in self.roster.addresses(self._presence.has):
            name, ip = ward.plan.server.key, ward.plan.server.ip
            text = f"this host has {ip} no more: no checks" if ward.suspended else f"this host has {ip}: checks go on"
            self.child.event("suspended" if ward.suspended else "resumed", name, text)
            self.tell.ward(ward)

    @staticmethod
    def _want(table: TableKeeper, ward: Ward, one: ServiceRow | None = None) -> None:
        if one is None:
            one = plan.next_row(ward.row[1], ward.row[0], ward.plan) if ward.row else plan.row(ward.plan)
        ward.row = ward.plan, one
        for key, row in plan.rows(ward.plan, ward.keys, one):
            table.want(key, row)

    def _abandon(self, message: Message) -> None:
        """Work on it that is under way goes to its end; then it is forgotten."""
        self._abandoned = message["generation"]
        self.parts.abandon(self._abandoned)
        self.work.no_work()
        if self._proposal is not None and self._proposal.draft.generation == message["generation"]:
            self._proposal = None

    def _note(self, table: TableKeeper, draft: Draft) -> None:
        """What a backend wants operators to know, each line once."""
        notes = getattr(table.backend, "notes", None)
        warnings = getattr(table.backend, "warnings", None)
        lines = [line for s in draft.virtual_servers if notes and (line := notes(s))]
        lines += warnings(draft.config.virtual_servers) if warnings else []
        for line in lines:
            if line not in self._noted:
                self._noted.add(line)
                self.child.log.warning("%s", line)

    # -- what happens --

    def _deliver(self, kind: str) -> Deliver:
        """Where the engine of `kind` brings its answers."""
        return lambda answers: self._answers(a._replace(slot=self.engines.slot(kind, a.slot)) for a in answers)

    def _results(self, data: bytes) -> None:
        self._answers(native.answers(data, lambda slot: self.engines.slot("TCP_CHECK", slot)))

    def _answers(self, answers: Iterable[Answer]) -> None:
        self.roster.answers(answers)
        self._flush()

    def _flush(self) -> None:
        """Not before the first commit is complete: until then rows of ours in the kernel may look unwanted."""
        if self.table is not None and self._running:
            self.table.flush()

    def _ruled(self, ward: Ward, effects: Sequence[Effect], changed: Sequence[Server]) -> None:
        """An operator's decision has taken effect, or a drain is over."""
        self._changed(ward, effects, changed)
        for server in changed:
            ruling = ward.plan.ruling(server.index)
            if ruling is not None and ruling.ended and ruling.stance is Stance.OUT:
                name = f"{ward.plan.server.key} {server.config.key}"
                self.child.event("drained", name, f"drained, out of the table: {ruling.ended}")
        self.roster.judge(ward)

    def _wake(self, when_ns: int, callback: Callable[[], object]) -> None:
        def woken() -> None:
            callback()
            self._flush()

        self.child.reactor.call_at(when_ns, woken)

    def _accept(self, message: Message) -> None:
        """An operator says that what the guard keeps in the set is down indeed."""
        for key in message["virtual_servers"]:
            ward = self.roster.wards.get(key)
            if ward is not None and ward.guard.kept:
                panic = ward.guard.panic
                count = self.roster.accept(ward)
                text = f"{count} real servers that were kept in the set fall: accepted by an operator"
                self.child.event("panic_over" if panic else "accepted", key, text, logging.WARNING)
                self.tell.ward(ward)
        self._flush()

    def _resync(self, message: Message) -> None:
        if self.table is None:
            self.child.send("resynced", ticket=message["ticket"], ok=False, operations=0, text="no dataplane is open")
            return
        done = self.table.resync_now()
        for keeper in (self._marks, self._lvs):
            if keeper is not None:
                keeper.check()
        self.child.facts({"dataplane": facts.dataplane(self.table)})
        self.child.flush_facts()
        self.child.send("resynced", ticket=message["ticket"], ok=done.ok, operations=done.operations, text=done.text)

    def _changed(self, ward: Ward, effects: Sequence[Effect], also: Sequence[Server] = ()) -> None:
        """Rows first: traffic must not wait for a log."""
        assert self.table is not None
        self.child.progress()
        self._want(self.table, ward)
        self.tell.changed(ward, effects, also)

    def _trim_in(self, delay_ns: int) -> None:
        """What a commit needs for a moment (its text, the whole picture) is many times what stays."""
        if self._release is not None:
            self._release.cancel()
        self._release = self.child.reactor.call_later(delay_ns, self._trim)

    def _trim(self) -> None:
        self._release = None
        self._trim_in(TRIM_NS)
        release_memory()

    # -- the end --

    def _stop(self, _message: Message) -> None:
        """Orderly: farewell scripts, every row of ours out of the table, exit 0."""
        for ward in self.roster.wards.values():
            for effect in plan.farewell(ward.plan):
                self.child.script(effect.script, effect.subject)
            if ward.plan.server.omega:
                for line in _farewell_lines(ward):
                    self.child.send("notify", line=line)
        self.work.clear()  # whatever is half done: all of it goes now
        self.overrides.close()
        for key in list(self.roster.wards):
            run(self.roster.leave_all(self.roster.drop(key)))
        self.roster.settled()
        if self.table is not None:
            if not self._keep:
                self._stop_table(self.table)
            self.table.close()
            self.table = self.tell.table = None
        self.child.finish(0)

    def _stop_table(self, table: TableKeeper) -> None:
        if not table.clear():
            self.child.log.error("could not remove every row of ours from the table")
        if self._flush_on_stop == "all" and isinstance(table.backend, KernelBalancer):
            try:
                table.backend.flush()
            except OSError as error:
                self.child.log.error("lvs_flush_on_stop: %s", error.strerror or error)
        if self._marks is not None:
            self._marks.stop()
        if self._lvs is not None:
            self._lvs.stop()

    def close(self) -> None:
        """Let go of everything; rows stay. Idempotent."""
        self.work.clear()
        self._presence.close()
        for keeper in (self._lvs, self._marks):
            if keeper is not None:
                keeper.close()
        if self.table is not None:
            self.table.close()
            self.table = self.tell.table = None
        self.engines.close()


def _look(ward: Ward) -> tuple[bool, ...]:
    """What of a virtual server concerns the facts of all its real servers."""
    return ward.plan.quorum, ward.plan.sorry, ward.suspended, bool(ward.plan.rulings)


def _farewell_lines(ward: Ward) -> list[str]:
    """What `omega` says into the FIFOs: all that was up goes down."""
    server = ward.plan.server
    said = [
        lines.real_server(server, rs, False) for rs, up in zip(server.real_servers, ward.plan.up, strict=True) if up
    ]
    return [*said, lines.virtual_server(server, False)] if ward.plan.quorum else said


def probe_limit() -> int:
    """How many probes may be in flight, after asking for as many descriptors as we are allowed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_PROBES + SPARE_FDS
    soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _soft), hard))
    return max(1, min(MOST_PROBES, max(soft, _soft) - SPARE_FDS))


def _netlink(draft: Draft) -> Pair:
    """Receive buffers of netlink sockets."""
    buffers = draft.config.globals.buffers
    return buffers.lvs_netlink_cmd, buffers.lvs_netlink_monitor
