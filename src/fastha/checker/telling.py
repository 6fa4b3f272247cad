"""What the checker says of its virtual servers: events, lines for FIFOs, facts, counters (shell)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from fastha.checker import facts, gate
from fastha.checker.engine import Engines
from fastha.checker.guard import Guard, Passed
from fastha.checker.plan import Effect, QuorumChanged, RunScript, ServerChanged, WeightChanged
from fastha.checker.roster import Roster
from fastha.checker.table import TableKeeper
from fastha.checker.verdict import Health
from fastha.checker.wards import NOWHERE, Server, Ward, Watch
from fastha.child import Child
from fastha.model.units import NS_PER_MS
from fastha.scripts import letters, lines

REFRESH_NS = 100 * NS_PER_MS  # counters of steady probes are reported by a few real servers each time,
ROUND = 50  # and by all of them in so many,
MOST_REFRESHED = 30  # or in more: at most so many each time, for 10 000 checks a second must not pay for it;
SUMMED = 10  # what is counted for all together in so many


class Teller:
    """`roster` is given once it is made, `table` once it is opened."""

    roster: Roster

    def __init__(self, child: Child, engines: Engines) -> None:
        self.child = child
        self.table: TableKeeper | None = None
        self._engines = engines
        self.first_states = False  # `rs_init_notifies`
        self._quorums: dict[str, bool] = {}
        self._unproved: set[tuple[str, str]] = set()  # (virtual server, real server) that were down from the start
        self._share = 0  # real servers of one turn of `refresh`
        self._turns = 0
        self._round: Iterator[tuple[str, Server]] = iter(())

    def changed(self, ward: Ward, effects: Sequence[Effect], also: Sequence[Server] = ()) -> None:
        """Real servers or the quorum of a virtual server changed; so did these real servers also, in some other way."""
        assert self.table is not None
        name = ward.plan.server.key
        said: list[str] = []
        for effect in effects:
            if isinstance(effect, ServerChanged):
                self._unproved.discard((name, effect.server.key))
                server = ward.servers[effect.index]
                word = "up" if effect.up else "down"
                why = f"kept in the set, though its checks fail: {server.why}" if server.kept else server.why
                self.child.event(
                    f"real_server_{word}",
                    f"{name} {effect.server.key}",
                    f"{word}: {why}",
                    logging.INFO if effect.up else logging.WARNING,
                    why,
                )
                said.append(lines.real_server(ward.plan.server, effect.server, effect.up))
            elif isinstance(effect, QuorumChanged):
                self._quorum_changed(ward, effect)
                said.append(lines.virtual_server(ward.plan.server, effect.up))
            elif isinstance(effect, RunScript):
                self.child.script(effect.script, effect.subject)
        for line in said:
            self.child.send("notify", line=line)
        row = self.table.wanted(ward.key)
        shown = ward.servers if any(isinstance(e, QuorumChanged) for e in effects) else _named(effects, ward)
        shown = [*shown, *also]
        patch = facts.virtual_server(ward)
        patch["real_servers"] = {s.config.key: facts.real_server(self.roster, s, row) for s in shown}
        self.child.facts({"virtual_servers": {name: patch}, "dataplane": facts.dataplane(self.table)})

    def turned(self, watch: Watch) -> None:
        """A check has changed its mind: mail for each real server that it concerns."""
        good = watch.verdict.up
        for server in watch.servers:
            if server.config.smtp_alert and server.index != NOWHERE:
                alone = not all(other.verdict.up for other in server.watches if other is not watch)
                config, name = server.ward.plan.server, watch.check.kind
                self.child.post(letters.checked(config, server.config, name, server.up, good, watch.why, alone))

    def began(self, ward: Ward, fresh: Iterable[Server]) -> None:
        """These real servers of it nobody knew before. As keepalived (observed): one that begins as up is told only
        with `rs_init_notifies`; one that begins as down is told when its first check has failed."""
        config = ward.plan.server
        for server in fresh:
            self._unproved.discard((config.key, server.config.key))
            if not ward.plan.up[server.index]:
                self._unproved.add((config.key, server.config.key))
            elif self.first_states:
                self._tell_server(ward, server, True)

    def began_with_quorum(self, ward: Ward) -> None:
        """A virtual server that nobody knew before is told as if it had gained its quorum (as keepalived, observed)."""
        config = ward.plan.server
        if ward.plan.quorum:
            self.child.send("notify", line=lines.virtual_server(config, True))
            self.child.script(config.quorum_up, config.key)

    def _tell_server(self, ward: Ward, server: Server, up: bool) -> None:
        config = server.config
        self.child.send("notify", line=lines.real_server(ward.plan.server, config, up))
        self.child.script(config.notify_up if up else config.notify_down, f"{ward.plan.server.key} {config.key}")

    def mail_beginning(self, ward: Ward) -> None:
        """A virtual server that nobody knew before, and that was not in the kernel."""
        if ward.plan.server.smtp_alert:
            self.child.post(letters.quorum(ward.plan.server, ward.plan.quorum, ward.plan.live_weight, began=True))

    def _quorum_changed(self, ward: Ward, effect: QuorumChanged) -> None:
        key = ward.plan.server.key
        self._quorums[key] = effect.up
        self.child.send("quorum", states={key: effect.up})
        needed = ward.plan.server.quorum
        if ward.plan.server.smtp_alert:
            self.child.post(letters.quorum(ward.plan.server, effect.up, effect.live_weight))
        sorry = ward.plan.server.sorry_server
        text = f"quorum {'gained' if effect.up else 'lost'}: live weight {effect.live_weight}, quorum {needed}"
        if sorry:
            text += f"; sorry server {sorry.key} {'leaves' if effect.up else 'takes over'}"
        cause = f"live weight {effect.live_weight}, quorum {needed}"
        level = logging.INFO if effect.up else logging.WARNING
        self.child.event("quorum_gained" if effect.up else "quorum_lost", key, text, level, cause)

    def seen(self, server: Server) -> None:
        """An answer that changes no row: the health may have become known, a failure may be on its way."""
        if self.table is None:
            return
        ward = server.ward
        names = ward.plan.server.key, server.config.key
        if names in self._unproved and server.health is Health.DOWN:
            self._unproved.discard(names)
            self._tell_server(ward, server, False)
        one = facts.real_server(self.roster, server, self.table.wanted(ward.key))
        patch: dict[str, Any] = {"real_servers": {server.config.key: one}}
        if ward.limits is not None:
            patch["panic"] = facts.panic(ward)
        self.child.facts({"virtual_servers": {ward.plan.server.key: patch}})

    def short(self, text: str) -> None:
        self.child.limited(
            f"shortage {text}", 0.1, f"a check could not be made here: {text}; no server is blamed for it"
        )

    def failed(self, watch: Watch) -> None:
        """log_all_failures: one line for each failed check, whoever asks it."""
        names = sorted({f"{s.ward.plan.server.key} {s.config.key}" for s in watch.servers})
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        self.child.log.info("%s%s: %s failed: %s", names[0], more, watch.check.kind, watch.why)

    def drifted(self, text: str) -> None:
        self.child.event("drift", "dataplane", f"the kernel's table had changed and is repaired: {text}", logging.DEBUG)

    def refresh(self) -> None:
        """Counters of steady probes, a few at a time: they change without anybody being told."""
        self.child.reactor.call_later(REFRESH_NS, self.refresh)
        if self.child.by_hand or self.table is None:
            return
        wards = self.roster.wards
        patch: dict[str, Any] = {}
        some = list(islice(self._round, self._share))
        if len(some) < max(1, self._share):  # the round is over
            self._round = _servers(wards)
            self._share = min(MOST_REFRESHED, max(1, sum(len(ward.servers) for ward in wards.values()) // ROUND))
        if not self._turns % SUMMED:
            self.child.facts({"dataplane": facts.dataplane(self.table), "probes": facts.probes(self._engines)})
        self._turns += 1
        moving: dict[str, Any] = {}
        here = ""  # whose real servers `moving` are
        for key, server in some:
            if server.index == NOWHERE or server.ward is not wards.get(key):
                continue  # it is watched no more
            if key != here:
                here, moving = key, {}
                patch[key] = {"real_servers": moving}
            checks, failures, took = self.roster.stats(server)
            one: dict[str, Any] = {"checks": checks, "failures": failures, "response_ns": took}
            if server.several:  # one of them may change and the server's health not
                one["each"] = facts.each(server)
            moving[server.config.key] = one
        if patch:
            self.child.facts({"virtual_servers": patch})

    def guarded(self, ward: Ward, before: Guard, passed: Passed) -> None:
        kind, text = gate.told(ward, before, passed)
        if kind:
            level = logging.INFO if kind == "panic_over" else logging.ERROR if kind == "panic" else logging.WARNING
            self.child.event(kind, ward.plan.server.key, text, level)
            self.child.reactor.call_at(self.child.reactor.now_ns(), lambda: self.ward(ward))

    def ward(self, ward: Ward) -> None:
        """All of its facts, unless it is gone meanwhile."""
        key = ward.plan.server.key
        if self.table is not None and self.roster.wards.get(key) is ward:
            one = facts.ward_facts(self.roster, ward, self.table.wanted(ward.key))
            self.child.facts({"virtual_servers": {key: one}})

    def quorums(self) -> None:
        """Those that the parent has not heard of."""
        now = {key: ward.plan.quorum for key, ward in self.roster.wards.items()}
        news = {key: up for key, up in now.items() if self._quorums.get(key) is not up}
        self._quorums = now
        if news:
            self.child.send("quorum", states=news)

    def forget(self, key: str) -> None:
        """A virtual server is gone."""
        self._quorums.pop(key, None)
        self._unproved = {names for names in self._unproved if names[0] != key}
        self.child.facts({"virtual_servers": {key: None}})


def _servers(wards: Mapping[str, Ward]) -> Iterator[tuple[str, Server]]:
    """Every real server once, however the wards change meanwhile."""
    for key in list(wards):
        ward = wards.get(key)
        for server in list(ward.servers) if ward is not None else ():
            yield key, server


def _named(effects: Sequence[Effect], ward: Ward) -> list[Server]:
    return [ward.servers[e.index] for e in effects if isinstance(e, ServerChanged | WeightChanged)]
