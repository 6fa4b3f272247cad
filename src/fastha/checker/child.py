"""The checker process: probes, roster, dataplane and channel put together (shell)."""

from __future__ import annotations

import functools
import logging
import resource
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastha.channel.messages import Message
from fastha.checker import adoption, facts, lvs, marks, native, plan
from fastha.checker.drain import Stance
from fastha.checker.engine import Answer, Engine, Engines
from fastha.checker.lvs_keeper import LvsKeeper
from fastha.checker.marks_keeper import MarksKeeper
from fastha.checker.overrides import Overrides
from fastha.checker.plan import Effect, QuorumChanged, RunScript, ServerChanged
from fastha.checker.prepare import fitted, refusal
from fastha.checker.presence import Presence
from fastha.checker.probe import Probes
from fastha.checker.roster import Roster, Server, Ward, Watch
from fastha.checker.table import TableKeeper
from fastha.checker.talk import engine as talk
from fastha.child import Child
from fastha.child.process import release_memory
from fastha.dataplane.backend import Backend, KernelBalancer, Patient
from fastha.dataplane.choose import open_backend
from fastha.dataplane.nft_library import Library
from fastha.dataplane.rows import Table
from fastha.errors import SystemFault
from fastha.loop.reactor import Timer
from fastha.model import Config, VirtualServer
from fastha.model.codec import read
from fastha.model.units import NS_PER_S

STATS_NS = NS_PER_S  # counters of steady probes are reported by a fifth of the wards each second
STATS_SLICES = 5
SPARE_FDS = 128 + talk.CONVERSATIONS  # descriptors that are not for probes of the native engine
MOST_PROBES = 4096  # in flight at once


@dataclass(slots=True)
class Proposal:
    generation: int
    config: Config
    previous: Mapping[str, Any]
    marks: Mapping[str, int] = field(default_factory=dict)  # nftables_ipvs: {virtual server key: mark}
    tables: Mapping[str, str] = field(default_factory=dict)  # and the tables that set them


class Checker:
    """Give it a Child; `propose`, `commit`, `abandon` and `stop` come from there or, by hand, from __main__."""

    def __init__(
        self,
        child: Child,
        *,
        open_backend: Callable[[str], Backend] = open_backend,
        make_probes: Callable[[Callable[[bytes], object]], native.Slots] | None = None,
    ) -> None:
        self.child = child
        self.table: TableKeeper | None = None
        self._open_backend = open_backend
        self._backend_name = ""
        self._proposal: Proposal | None = None
        probes = make_probes(self._results) if make_probes else Probes(child.reactor, self._results, probe_limit())
        self.probes = probes
        self.engines = Engines(dict.fromkeys(native.KINDS, native.Native(probes)) | self._talks())
        self.roster = Roster(
            self.engines, child.reactor.now_ns, self._changed, self._seen, self._short, child.progress, self._failed
        )
        self.overrides = Overrides(self.roster, child.reactor, self._ruled, self._seen, self._flush)
        self._quorums: dict[str, bool] = {}
        self._noted: set[str] = set()
        self._told: dict[str, VirtualServer] = {}  # those whose real servers are in the parent's picture
        self._slice = 0
        self._release: Timer | None = None
        self._running = False
        self._lvs: LvsKeeper | None = None
        self._marks: MarksKeeper | None = None
        self._marked: dict[str, int] = {}
        self._flush_on_stop = ""
        self._presence = Presence(child.reactor, self._addresses_changed)
        child.on("masters", self._masters)
        child.on("propose", self._propose)
        child.on("commit", self._commit)
        child.on("abandon", self._abandon)
        child.on("stop", self._stop)
        child.on("overrides", lambda message: self.overrides.take(message["overrides"]))
        child.on("resync", self._resync)

    def _talks(self) -> dict[str, Engine]:
        """The engine of checks that hold a conversation, by its ways."""

        def deliver(found: Iterable[Answer]) -> None:
            self._answers(a._replace(slot=self.engines.slot(talk.WAYS[0], a.slot)) for a in found)

        def notice(subject: str, text: str) -> None:
            self.child.event("certificate", subject, text, logging.WARNING)

        warn = functools.partial(self.child.log.warning, "%s")
        return dict.fromkeys(talk.WAYS, talk.Talks(self.child.reactor, deliver, notice, warn))

    def begin(self, config: Config, dataplane: str) -> None:
        """By hand: prepare and commit at once. SystemFault with the reason if it cannot be run."""
        if reason := self.prepare(0, config, dataplane, {}):
            raise SystemFault(reason)
        self.commit()

    # -- configuration, in two phases --

    def _propose(self, message: Message) -> None:
        config = read(Config, message["config"])
        if reason := self.prepare(message["generation"], config, message["dataplane"], message["previous"]):
            self.child.send("refused", generation=message["generation"], reason=reason)
        else:
            self.child.send("ready", generation=message["generation"])

    def prepare(self, generation: int, config: Config, dataplane: str, previous: Mapping[str, Any]) -> str:
        """Phase one; "" or why it is refused."""
        self._proposal = None
        try:
            table = self._open_table(dataplane)
            reason = lvs.refusal(config.globals.lvs, config.virtual_servers, table.backend)
            reason = reason or refusal(config.virtual_servers, table.backend)
            proposal = Proposal(generation, fitted(config, table.backend), previous)
            reason = reason or self._prepare_marks(proposal)
            if not reason and any(s.ha_suspend for s in config.virtual_servers):
                self._presence.listen(True)
            if not reason and not self._running:
                table.backend.dump()  # a kernel that does not answer is found out before anybody commits
        except SystemFault as fault:
            return str(fault)
        except OSError as error:
            return f"dataplane {dataplane}: {error.strerror or error}"
        if not reason:
            self._proposal = proposal
        return reason

    def _open_table(self, dataplane: str) -> TableKeeper:
        if self.table is not None:
            if dataplane != self._backend_name:
                raise SystemFault(f"the dataplane cannot change from {self._backend_name} to {dataplane} while running")
            return self.table
        backend = self._open_backend(dataplane)
        self._backend_name = dataplane
        child = self.child
        if isinstance(backend, Patient):
            backend.progress = child.progress
        self.table = TableKeeper(backend, child.reactor, child.limited, self._drifted)
        if isinstance(backend, KernelBalancer):
            self._lvs = LvsKeeper(backend, child.reactor, child.limited, self._balancer_event)
        # A dry run and other dataplanes have no service that a mark could mean.
        self._marks = MarksKeeper(
            Library if backend.name == "ipvs" else None, child.reactor, child.limited, self._balancer_event
        )
        return self.table

    def _commit(self, message: Message) -> None:
        if self._proposal is None or self._proposal.generation != message["generation"]:
            raise ValueError(f"commit of generation {message['generation']}, which is not prepared")
        self.commit()

    def commit(self) -> None:
        """Phase two: run what was prepared."""
        proposal, table = self._proposal, self.table
        assert proposal is not None
        assert table is not None
        self._proposal = None
        servers, defs, marked = proposal.config.virtual_servers, proposal.config.globals.lvs, proposal.marks
        kernel = {} if self._running else self._adopt_kernel(table, proposal)
        self.overrides.prepare(servers, kernel, marked)
        known = {}
        if not self._running:
            rulings = self.roster.rulings
            known = {
                s.key: adoption.adopted(s, proposal.previous, kernel, rulings(s), marked.get(s.key, 0)) for s in servers
            }
        self._presence.listen(any(s.ha_suspend for s in servers))
        self.roster.addresses(self._presence.has)
        before = {ward: ward.keys for ward in self.roster.wards.values()}
        self.roster.replace(servers, known, marked)
        wards = self.roster.wards.values()
        wanted = {key for ward in wards for key in ward.keys}
        for key in {key for keys in before.values() for key in keys} - wanted:
            table.forget(key)
        for ward in wards:
            if before.get(ward) != ward.keys:
                self.child.progress()
                self._want(table, ward)
        self._commit_balancer(proposal)
        table.flush()
        table.start()
        self.overrides.committed(table.backend)
        self._tell_all()
        self._flush_on_stop = defs.flush_on_stop
        self._note(table, proposal.config)
        self.child.send("committed", generation=proposal.generation)
        if not self._running:
            self._running = True
            self.child.reactor.call_later(STATS_NS, self._refresh)

    def _adopt_kernel(self, table: TableKeeper, proposal: Proposal) -> Table:
        try:
            kernel = table.backend.dump()
        except OSError:
            table.resync()  # says what is wrong and keeps trying
            return {}
        config, ours = proposal.config, adoption.once_ours(proposal.previous, kernel)
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
        defs, servers = proposal.config.globals.lvs, proposal.config.virtual_servers
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
        defs = proposal.config.globals.lvs
        self._marked = dict(proposal.marks)
        if self._marks is not None:
            self._marks.commit(defs.marks_table, proposal.tables)
        if self._lvs is not None:
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
            assert self.table is not None
            self.child.facts(
                {"virtual_servers": {name: facts.ward_facts(self.roster, ward, self.table.wanted(ward.key))}}
            )

    @staticmethod
    def _want(table: TableKeeper, ward: Ward) -> None:
        for key, row in plan.rows(ward.plan, ward.keys):
            table.want(key, row)

    def _abandon(self, message: Message) -> None:
        if self._proposal is not None and self._proposal.generation == message["generation"]:
            self._proposal = None

    def _note(self, table: TableKeeper, config: Config) -> None:
        """What a backend wants operators to know, each line once."""
        notes = getattr(table.backend, "notes", None)
        warnings = getattr(table.backend, "warnings", None)
        lines = [line for s in config.virtual_servers if notes and (line := notes(s))]
        lines += warnings(config.virtual_servers) if warnings else []
        for line in lines:
            if line not in self._noted:
                self._noted.add(line)
                self.child.log.warning("%s", line)

    # -- what happens --

    def _results(self, data: bytes) -> None:
        self._answers(native.answers(data, lambda slot: self.engines.slot("TCP_CHECK", slot)))

    def _answers(self, answers: Iterable[Answer]) -> None:
        self.roster.answers(answers)
        if self.table is not None:
            self.table.flush()

    def _flush(self) -> None:
        if self.table is not None:
            self.table.flush()

    def _ruled(self, ward: Ward, effects: Sequence[Effect], changed: Sequence[Server]) -> None:
        """An operator's decision has taken effect, or a drain is over."""
        self._changed(ward, effects, changed)
        for server in changed:
            ruling = ward.plan.ruling(server.index)
            if ruling is not None and ruling.ended and ruling.stance is Stance.OUT:
                name = f"{ward.plan.server.key} {server.config.key}"
                self.child.event("drained", name, f"drained, out of the table: {ruling.ended}")

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
        name = ward.plan.server.key
        servers = {s.config.key: s for s in ward.servers}
        for effect in effects:
            if isinstance(effect, ServerChanged):
                server = servers[effect.server.key]
                word = "up" if effect.up else "down"
                self.child.event(
                    f"real_server_{word}",
                    f"{name} {effect.server.key}",
                    f"{word}: {server.why}",
                    logging.INFO if effect.up else logging.WARNING,
                )
            elif isinstance(effect, QuorumChanged):
                self._quorum_changed(ward, effect)
            elif isinstance(effect, RunScript):
                self.child.script(effect.script, effect.subject)
        row = self.table.wanted(ward.key)
        shown = ward.servers if any(isinstance(e, QuorumChanged) for e in effects) else _named(effects, servers)
        shown = [*shown, *also]
        patch = facts.virtual_server(ward)
        patch["real_servers"] = {s.config.key: facts.real_server(self.roster, s, row) for s in shown}
        self.child.facts({"virtual_servers": {name: patch}, "dataplane": facts.dataplane(self.table)})

    def _quorum_changed(self, ward: Ward, effect: QuorumChanged) -> None:
        key = ward.plan.server.key
        self._quorums[key] = effect.up
        self.child.send("quorum", states={key: effect.up})
        needed = ward.plan.server.quorum
        sorry = ward.plan.server.sorry_server
        text = f"quorum {'gained' if effect.up else 'lost'}: live weight {effect.live_weight}, quorum {needed}"
        if sorry:
            text += f"; sorry server {sorry.key} {'leaves' if effect.up else 'takes over'}"
        self.child.event(
            "quorum_gained" if effect.up else "quorum_lost", key, text, logging.INFO if effect.up else logging.WARNING
        )

    def _seen(self, server: Server) -> None:
        """An answer that changes no row: the health may have become known, a failure may be on its way."""
        if self.table is None or not self._running:
            return
        ward = server.ward
        one = facts.real_server(self.roster, server, self.table.wanted(ward.key))
        self.child.facts({"virtual_servers": {ward.plan.server.key: {"real_servers": {server.config.key: one}}}})

    def _short(self, text: str) -> None:
        self.child.limited(
            f"shortage {text}", 0.1, f"a check could not be made here: {text}; no server is blamed for it"
        )

    def _failed(self, watch: Watch) -> None:
        """log_all_failures: one line for each failed check, whoever asks it."""
        names = sorted({f"{s.ward.plan.server.key} {s.config.key}" for s in watch.servers})
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        self.child.log.info("%s%s: %s failed: %s", names[0], more, watch.check.kind, watch.why)

    def _drifted(self, text: str) -> None:
        self.child.event("drift", "dataplane", f"the kernel's table had changed and is repaired: {text}", logging.DEBUG)

    def _refresh(self) -> None:
        """Counters of steady probes, a slice at a time: they change without anybody being told."""
        self.child.reactor.call_later(STATS_NS, self._refresh)
        if self.child.by_hand or self.table is None:
            return
        self._slice = (self._slice + 1) % STATS_SLICES
        patch: dict[str, Any] = {}
        for ward in list(self.roster.wards.values())[self._slice :: STATS_SLICES]:
            moving = {}
            for server in ward.servers:
                checks, failures, took = self.roster.stats(server)
                moving[server.config.key] = {"checks": checks, "failures": failures, "response_ns": took}
            patch[ward.plan.server.key] = {"real_servers": moving}
        self.child.facts(
            {
                "virtual_servers": patch,
                "dataplane": facts.dataplane(self.table),
                "probes": facts.probes(self.engines),
            }
        )

    def _tell_all(self) -> None:
        """The whole picture, after a commit."""
        assert self.table is not None
        wards, told = self.roster.wards, self._told
        self._told = {key: ward.plan.server for key, ward in wards.items()}
        picture: dict[str, Any] = {key: None for key in told if key not in wards}
        for key, ward in wards.items():
            self.child.progress()
            picture[key] = facts.ward_facts(self.roster, ward, self.table.wanted(ward.key))
            if (before := told.get(key)) is not None and before is not ward.plan.server:
                gone = {rs.key for rs in before.real_servers} - {s.config.key for s in ward.servers}
                picture[key]["real_servers"] |= dict.fromkeys(gone)
        self.child.facts({"virtual_servers": picture, "dataplane": facts.dataplane(self.table)})
        self.child.flush_facts()
        self._quorums = {key: ward.plan.quorum for key, ward in wards.items()}
        self.child.send("quorum", states=self._quorums)
        # What a commit needs for a moment (its text, the whole picture) is many times what stays.
        if self._release is not None:
            self._release.cancel()
        self._release = self.child.reactor.call_later(NS_PER_S, release_memory)

    # -- the end --

    def _stop(self, _message: Message) -> None:
        """Orderly: farewell scripts, every row of ours out of the table, exit 0."""
        for ward in self.roster.wards.values():
            for effect in plan.farewell(ward.plan):
                self.child.script(effect.script, effect.subject)
        self.overrides.close()
        self.roster.replace((), {})
        if self.table is not None:
            self._stop_table(self.table)
            self.table.close()
            self.table = None
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
        self._presence.close()
        for keeper in (self._lvs, self._marks):
            if keeper is not None:
                keeper.close()
        if self.table is not None:
            self.table.close()
            self.table = None
        self.engines.close()


def _named(effects: Sequence[Effect], servers: Mapping[str, Server]) -> list[Server]:
    return [servers[e.server.key] for e in effects if isinstance(e, ServerChanged)]


def probe_limit() -> int:
    """How many probes may be in flight, after asking for as many descriptors as we are allowed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_PROBES + SPARE_FDS
    soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _soft), hard))
    return max(1, min(MOST_PROBES, max(soft, _soft) - SPARE_FDS))
