"""Operators' decisions carried out: told by the parent, made rulings, looked after while servers drain (shell)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastha.checker import drain, plan
from fastha.checker.drain import LOOK_NS, Ruling, Rulings, Stance
from fastha.checker.plan import Effect
from fastha.checker.roster import Roster
from fastha.checker.wards import Server, Ward
from fastha.dataplane.backend import Backend
from fastha.dataplane.rows import DestKey, ServiceKey, Table
from fastha.loop.reactor import Reactor, Timer
from fastha.model import RealServer, VirtualServer
from fastha.model.codec import read
from fastha.model.override import Override

# ward, effects, real servers whose ruling is another one: their rows and facts are to be told
Ruled = Callable[[Ward, Sequence[Effect], Sequence[Server]], object]


class Overrides:
    """`take` what the parent says, `prepare` before a commit. `ruled` is called for each ward in which something
    changed; `flush` when a turn's changes are complete; `looked(server)` when only the number of connections did."""

    def __init__(
        self,
        roster: Roster,
        reactor: Reactor,
        ruled: Ruled,
        looked: Callable[[Server], object],
        flush: Callable[[], object],
    ) -> None:
        self._roster, self._reactor = roster, reactor
        self._ruled, self._looked, self._flush = ruled, looked, flush
        self._decided: dict[str, dict[str, Override]] = {}
        self._rulings: dict[str, dict[str, Ruling]] = {}
        self._backend: Backend | None = None
        self._timer: Timer | None = None
        roster.rulings = self.of

    def take(self, decided: Mapping[str, Mapping[str, Any]]) -> None:
        """All decisions that are in force; those about servers that are not ours wait here."""
        before = self._decided
        self._decided = {vs: {rs: read(Override, one) for rs, one in those.items()} for vs, those in decided.items()}
        for name in before.keys() | self._decided.keys():
            ward = self._roster.wards.get(name)
            if ward is not None and before.get(name) != self._decided.get(name):
                self._decide(ward)
        self._flush()
        self._watch()

    def prepare(
        self, server: VirtualServer, kernel: Table, mark: int = 0, places: Mapping[str, int] | None = None
    ) -> None:
        """Before the roster gets this virtual server, new or other than it was. `kernel`: what a starting checker has
        found; `mark`: of a group; `places`: key of a real server -> its index, if somebody has that."""
        old = self._rulings.pop(server.key, {})
        if server.key in self._decided:
            ward = self._roster.wards.get(server.key)

            def present() -> Collection[DestKey]:
                return plan.row(ward.plan).dests.keys() if ward else _dests(kernel, server, mark)

            self._rulings[server.key] = self._new(server, old, present, places)

    def drop(self, key: str) -> None:
        """The roster has this virtual server no more."""
        self._rulings.pop(key, None)

    def of(self, server: VirtualServer, places: Mapping[str, int] | None = None) -> Rulings:
        """The rulings for its real servers, () if there is none."""
        ruled = self._rulings.get(server.key)
        if not ruled:
            return ()
        rulings: list[Ruling | None] = [None] * len(server.real_servers)
        for key, index in _indices(server, ruled, places):
            rulings[index] = ruled[key]
        return tuple(rulings)

    def committed(self, backend: Backend) -> None:
        """The roster has it."""
        self._backend = backend
        self._watch()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _new(
        self,
        server: VirtualServer,
        old: Mapping[str, Ruling],
        present: Callable[[], Collection[DestKey]],
        places: Mapping[str, int] | None = None,
    ) -> dict[str, Ruling]:
        decided = self._decided.get(server.key, {})
        now, wall = self._reactor.now_ns(), time.time()
        there: Collection[DestKey] | None = None
        new = {}
        for key, index in _indices(server, decided, places):
            was = old.get(key)
            if was is None or was.override != decided[key]:
                there = present() if there is None else there  # of tens of thousands: only if somebody wants to know
            new[key] = drain.carry(
                was, decided[key], there is not None and _key(server.real_servers[index]) in there, now, wall
            )
        return new

    def _decide(self, ward: Ward) -> None:
        server = ward.plan.server
        new = self._new(server, self._rulings.get(server.key, {}), lambda: plan.row(ward.plan).dests)
        self._rulings[server.key] = new
        self._rule(ward)

    def _rule(self, ward: Ward) -> None:
        before, rulings = ward.plan.rulings, self.of(ward.plan.server)
        had_quorum = ward.plan.quorum
        ward.plan, effects = plan.rule(ward.plan, rulings)
        if ward.plan.quorum != had_quorum:
            ward.since = time.time()
        changed = [
            s for s in ward.servers if (before[s.index] if before else None) != (rulings[s.index] if rulings else None)
        ]
        if changed or effects:
            self._ruled(ward, effects, changed)

    # -- while something drains --

    def _watch(self) -> None:
        draining = any(r.stance is Stance.DRAINING for ruled in self._rulings.values() for r in ruled.values())
        if draining and self._timer is None and self._backend is not None:
            self._timer = self._reactor.call_later(LOOK_NS, self._look)

    def _look(self) -> None:
        self._timer = None
        assert self._backend is not None
        wards = [
            ward
            for name, ruled in self._rulings.items()
            if (ward := self._roster.wards.get(name)) and any(r.stance is Stance.DRAINING for r in ruled.values())
        ]
        try:
            counters = self._backend.counters({key for ward in wards for key in _keys(ward)})
        except OSError:
            counters = None  # the table's keeper says what is wrong with the kernel
        now = self._reactor.now_ns()
        for ward in wards:
            self._look_at(ward, counters, now)
        self._flush()
        self._watch()

    def _look_at(
        self, ward: Ward, counters: Mapping[tuple[ServiceKey, str], Mapping[str, int]] | None, now_ns: int
    ) -> None:
        ruled, over = self._rulings[ward.plan.server.key], False
        for server in ward.servers:
            ruling = ruled.get(server.config.key)
            if ruling is None or ruling.stance is not Stance.DRAINING:
                continue
            active = None if counters is None else _active(counters, ward, server.config)
            new = ruled[server.config.key] = drain.look(ruling, active, now_ns)
            if new.stance is not ruling.stance:
                over = True
            elif new != ruling:
                rulings = list(ward.plan.rulings)
                rulings[server.index] = new
                ward.plan = replace(ward.plan, rulings=tuple(rulings))
                if new.active != ruling.active:
                    self._looked(server)
        if over:
            self._rule(ward)


def _active(counters: Mapping[tuple[ServiceKey, str], Mapping[str, int]], ward: Ward, server: RealServer) -> int | None:
    """Active connections in all the ward's services; None if one cannot say. A row that is not there has none."""
    found = [counters.get((key, str(_key(server))), {"active": 0}).get("active") for key in _keys(ward)]
    return None if None in found else sum(n for n in found if n is not None)


def _indices(
    server: VirtualServer, keys: Collection[str], places: Mapping[str, int] | None
) -> Iterator[tuple[str, int]]:
    """Where the real servers of these keys are, in their order; of one that is not there, nothing."""
    if places is None:
        return ((rs.key, index) for index, rs in enumerate(server.real_servers) if rs.key in keys)
    found = [(places[key], key) for key in keys if key in places]
    return ((key, index) for index, key in sorted(found))


def _key(server: RealServer) -> DestKey:
    return DestKey(server.ip, server.port)


def _keys(ward: Ward) -> tuple[ServiceKey, ...]:
    """The services that are this ward's."""
    return ward.keys


def _dests(kernel: Table, server: VirtualServer, mark: int) -> set[DestKey]:
    row = next((kernel[key] for key in plan.keys(server, mark) if key in kernel), None)
    return set(row.dests) if row else set()
