"""The checker process: probes, roster, dataplane and channel put together (shell)."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastha.channel.messages import Message
from fastha.checker import adoption, facts, plan
from fastha.checker.plan import Effect, QuorumChanged, RunScript, ServerChanged
from fastha.checker.prepare import refusal
from fastha.checker.probe import Probes
from fastha.checker.roster import Engine, Roster, Server, Ward
from fastha.checker.table import TableKeeper
from fastha.child import Child
from fastha.dataplane.backend import Backend, Patient
from fastha.dataplane.choose import open_backend
from fastha.dataplane.rows import Table
from fastha.errors import SystemFault
from fastha.model import Config
from fastha.model.codec import read
from fastha.model.units import NS_PER_S

STATS_NS = NS_PER_S  # counters of steady probes are reported by a fifth of the wards each second
STATS_SLICES = 5
SPARE_FDS = 128  # descriptors that are not for probes
MOST_PROBES = 4096  # in flight at once


@dataclass(slots=True)
class Proposal:
    generation: int
    config: Config
    previous: Mapping[str, Any]


class Checker:
    """Give it a Child; `propose`, `commit`, `abandon` and `stop` come from there or, by hand, from __main__."""

    def __init__(
        self,
        child: Child,
        *,
        open_backend: Callable[[str], Backend] = open_backend,
        make_engine: Callable[[Callable[[bytes], object]], Engine] | None = None,
    ) -> None:
        self.child = child
        self.table: TableKeeper | None = None
        self._open_backend = open_backend
        self._backend_name = ""
        self._proposal: Proposal | None = None
        engine = make_engine(self._results) if make_engine else Probes(child.reactor, self._results, probe_limit())
        self.engine = engine
        self.roster = Roster(engine, child.reactor.now_ns, self._changed, self._seen, self._short, child.progress)
        self._quorums: dict[str, bool] = {}
        self._noted: set[str] = set()
        self._told: dict[str, set[str]] = {}  # keys in the parent's picture: {virtual server: its real servers}
        self._slice = 0
        self._running = False
        child.on("propose", self._propose)
        child.on("commit", self._commit)
        child.on("abandon", self._abandon)
        child.on("stop", self._stop)

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
            reason = refusal(config.virtual_servers, table.backend)
            if not reason and not self._running:
                table.backend.dump()  # a kernel that does not answer is found out before anybody commits
        except SystemFault as fault:
            return str(fault)
        except OSError as error:
            return f"dataplane {dataplane}: {error.strerror or error}"
        if not reason:
            self._proposal = Proposal(generation, config, previous)
        return reason

    def _open_table(self, dataplane: str) -> TableKeeper:
        if self.table is not None:
            if dataplane != self._backend_name:
                raise SystemFault(f"the dataplane cannot change from {self._backend_name} to {dataplane} while running")
            return self.table
        backend = self._open_backend(dataplane)
        self._backend_name = dataplane
        if isinstance(backend, Patient):
            backend.progress = self.child.progress
        self.table = TableKeeper(backend, self.child.reactor, self.child.limited, self._drifted)
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
        servers = proposal.config.virtual_servers
        kernel = {} if self._running else self._adopt_kernel(table, proposal)
        known = {s.key: adoption.adopted(s, proposal.previous, kernel) for s in servers} if not self._running else {}
        before = set(self.roster.wards.values())
        gone = self.roster.replace(servers, known)
        for ward in gone:
            if ward.key not in {w.key for w in self.roster.wards.values()}:
                table.forget(ward.key)
        for ward in self.roster.wards.values():
            if ward not in before:
                self.child.progress()
                table.want(ward.key, plan.row(ward.plan))
        table.flush()
        table.start()
        self._tell_all()
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
        table.adopt(kernel, adoption.once_ours(proposal.previous, kernel))
        return kernel

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
        self.roster.results(data)
        if self.table is not None:
            self.table.flush()

    def _changed(self, ward: Ward, effects: Sequence[Effect]) -> None:
        """Rows first: traffic must not wait for a log."""
        assert self.table is not None
        self.child.progress()
        self.table.want(ward.key, plan.row(ward.plan))
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
                "probes": facts.probes(self.engine),
            }
        )

    def _tell_all(self) -> None:
        """The whole picture, after a commit."""
        assert self.table is not None
        wards, told = self.roster.wards, self._told
        self._told = {key: {s.config.key for s in ward.servers} for key, ward in wards.items()}
        picture: dict[str, Any] = {key: None for key in told if key not in wards}
        for key, ward in wards.items():
            self.child.progress()
            picture[key] = facts.ward_facts(self.roster, ward, self.table.wanted(ward.key))
            picture[key]["real_servers"] |= dict.fromkeys(told.get(key, set()) - self._told[key])
        self.child.facts({"virtual_servers": picture, "dataplane": facts.dataplane(self.table)})
        self.child.flush_facts()
        self._quorums = {key: ward.plan.quorum for key, ward in wards.items()}
        self.child.send("quorum", states=self._quorums)

    # -- the end --

    def _stop(self, _message: Message) -> None:
        """Orderly: farewell scripts, every row of ours out of the table, exit 0."""
        for ward in self.roster.wards.values():
            for effect in plan.farewell(ward.plan):
                self.child.script(effect.script, effect.subject)
        self.roster.replace((), {})
        if self.table is not None:
            if not self.table.clear():
                self.child.log.error("could not remove every row of ours from the table")
            self.table.close()
            self.table = None
        self.child.finish(0)

    def close(self) -> None:
        """Let go of everything; rows stay. Idempotent."""
        if self.table is not None:
            self.table.close()
            self.table = None
        if isinstance(self.engine, Probes):
            self.engine.close()


def _named(effects: Sequence[Effect], servers: Mapping[str, Server]) -> list[Server]:
    return [servers[e.server.key] for e in effects if isinstance(e, ServerChanged)]


def probe_limit() -> int:
    """How many probes may be in flight, after asking for as many descriptors as we are allowed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_PROBES + SPARE_FDS
    soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _soft), hard))
    return max(1, min(MOST_PROBES, max(soft, _soft) - SPARE_FDS))
