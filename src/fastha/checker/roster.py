"""Who is under watch: virtual servers, their real servers, and one probe slot for each check (shell over the cores).

`replace` makes it equal to a new configuration: checks that compare equal keep their slot, timers and health;
`results` turns what the probe engine hands over into verdicts, verdicts into plans, plans into wanted rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fastha.checker import plan, verdict
from fastha.checker.adoption import Adopted
from fastha.checker.drain import Rulings
from fastha.checker.ending import describe, outcome
from fastha.checker.engine import Answer, Engines
from fastha.checker.plan import Effect, Plan
from fastha.checker.verdict import Health, Outcome, Rules, Verdict
from fastha.dataplane.rows import ServiceKey
from fastha.model import Check, HttpCheck, RealServer, SslCheck, VirtualServer
from fastha.model.units import NS_PER_S

SUSPENDED = "suspended: this host does not have the address of the virtual server"
SOON_NS = 2 * NS_PER_S  # checks of adopted or reconfigured servers begin within this time


@dataclass(slots=True, eq=False)
class Watch:
    """One check under way."""

    check: Check
    rules: Rules
    verdict: Verdict
    slot: int
    generation: int
    server: Server
    why: str = "not checked yet"
    ended: tuple[int, int] = (0, 0)  # probes and failures of the slots it had before a suspension


@dataclass(slots=True, eq=False)
class Server:
    """One real server of one virtual server."""

    config: RealServer
    ward: Ward
    index: int
    since: float
    watches: list[Watch] = field(default_factory=list)

    @property
    def up(self) -> bool:
        """Up only when all its checks say so; always without one."""
        return all(w.verdict.up for w in self.watches)

    @property
    def health(self) -> Health:
        """The word for people: down as soon as one check says so, unknown while one has no answer."""
        known = {w.verdict.health for w in self.watches}
        for health in (Health.DOWN, Health.UNKNOWN):
            if health in known:
                return health
        return Health.UP

    @property
    def why(self) -> str:
        """What the check that decides the health found last."""
        return next((w.why for w in self.watches if w.verdict.health is self.health), "no check")


@dataclass(slots=True, eq=False)
class Ward:
    """One virtual server."""

    plan: Plan
    keys: tuple[ServiceKey, ...]
    since: float
    servers: list[Server] = field(default_factory=list)
    mark: int = 0  # with which nftables marks the traffic of a group; 0: it does not
    suspended: bool = False  # ha_suspend, and its address is not here

    @property
    def key(self) -> ServiceKey:
        """One of its services; all have the same destinations."""
        return self.keys[0]


class Roster:
    """All wards. `changed(ward, effects)` is called once per turn and ward whose real servers or quorum changed;
    `seen(server)` for a real server whose health became known or was found again without a change of its rows;
    `short(text)` when this machine lacked what a probe needs; `progress()` now and then during a long `replace`."""

    def __init__(
        self,
        engine: Engines,
        now_ns: Callable[[], int],
        changed: Callable[[Ward, Sequence[Effect]], object],
        seen: Callable[[Server], object] = lambda _server: None,
        short: Callable[[str], object] = lambda _text: None,
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        self.wards: dict[str, Ward] = {}
        self._engine = engine
        self._now_ns = now_ns
        self._changed = changed
        self._seen = seen
        self._short = short
        self._progress = progress
        self._slots: dict[int, Watch] = {}
        self._local: Callable[[str], bool] = lambda _ip: True
        self.rulings: Callable[[VirtualServer], Rulings] = lambda _server: ()  # operators' decisions

    # -- configuration --

    def replace(
        self, servers: Iterable[VirtualServer], adopt: Mapping[str, Adopted], marks: Mapping[str, int] | None = None
    ) -> list[Ward]:
        """Watch these virtual servers and no others; returns the wards that are gone. See `put`."""
        marks = marks or {}
        wanted = {server.key: server for server in servers}
        gone = [self.drop(key) for key in [key for key in self.wards if key not in wanted]]
        for key, server in wanted.items():
            self._progress()
            self.put(server, adopt.get(key, Adopted()), marks.get(key, 0))
        return gone

    def put(self, server: VirtualServer, adopt: Adopted | None = None, mark: int = 0) -> Ward:
        """Watch this virtual server as it is configured here. `adopt` is for one that is new; `mark`: of a group that
        nftables marks. OSError or ValueError only for what `prepare` refuses."""
        before = self.wards.get(server.key)
        ward = self._ward(server, before, adopt or Adopted())
        if ward is not before or ward.mark != mark or not ward.keys:
            ward.mark, ward.keys = mark, plan.keys(server, mark)
        self.wards[server.key] = ward
        return ward

    def drop(self, key: str) -> Ward:
        """Watch it no more."""
        ward = self.wards.pop(key)
        self._close(w for s in ward.servers for w in s.watches)
        for server in ward.servers:  # no cycle is left: what the collector has frozen only goes this way
            server.watches.clear()
        ward.servers = []
        return ward

    def _ward(self, config: VirtualServer, old: Ward | None, adopt: Adopted) -> Ward:
        if old is not None and (old.plan.server is config or old.plan.server == config):
            return old
        now = time.time()
        ward = Ward(old.plan if old else Plan(config, (), False, ()), (), old.since if old else now)
        ward.suspended = config.ha_suspend and not self._local(config.ip)
        before = {s.config.key: s for s in old.servers} if old else {}
        for index, rs in enumerate(config.real_servers):
            ward.servers.append(self._server(ward, index, rs, before.pop(rs.key, None), adopt.up.get(rs.key)))
        for server in before.values():
            self._close(server.watches)
            server.watches.clear()
        if old is not None:
            old.servers = []
        ups = [s.up for s in ward.servers]
        if old is None:
            ward.plan = plan.start(config, ups, adopt.quorum, self.rulings(config))
        else:
            ward.plan, effects = plan.carry(old.plan, config, ups, self.rulings(config))
            if effects:
                ward.since = now
                ward.mark, ward.keys = old.mark, old.keys  # told with the rows of before; `replace` has the new ones
                self._changed(ward, effects)
        return ward

    def _server(self, ward: Ward, index: int, rs: RealServer, old: Server | None, adopt: bool | None) -> Server:
        if old is not None and old.config == rs and old.ward.suspended is ward.suspended:
            old.ward, old.index = ward, index
            return old
        server = Server(rs, ward, index, old.since if old else time.time())
        left = list(old.watches) if old else []
        kept: list[Watch | None] = []
        for check in rs.checks:
            match = next((w for w in left if w.check == check), None)
            if match is not None:
                left.remove(match)
                match.server = server
                if old is not None and old.ward.suspended is not server.ward.suspended:
                    self._hold(match) if server.ward.suspended else self._resume(match)
            kept.append(match)
        for number, (check, watch) in enumerate(zip(rs.checks, kept, strict=True)):
            if watch is None:
                former = left.pop(0) if left else None
                watch = self._open(server, number, check, old, former, adopt)
                if former is not None:
                    self._close([former])
            server.watches.append(watch)
        self._close(left)
        if old is not None:
            old.watches = []
        return server

    def _open(
        self, server: Server, number: int, check: Check, old: Server | None, former: Watch | None, adopt: bool | None
    ) -> Watch:
        soon = min(check.warmup_ns, SOON_NS)
        if old is not None:  # a changed check: forwarding stays as it is until it has an answer
            state, span, why = verdict.assume(former.verdict.up if former else True), soon, "reconfigured"
        elif adopt is not None:
            state, span, why = verdict.adopt(adopt), soon, "found so at the start"
        else:
            state, span, why = verdict.start(check), check.warmup_ns, "not checked yet"
        slot = self._engine.open(check)
        watch = Watch(check, verdict.rules(check), state, slot, self._engine.generation(slot), server, why)
        self._slots[slot] = watch
        if server.ward.suspended:
            watch.why = SUSPENDED
            return watch  # a slot is held until it is scheduled
        phase = verdict.phase_ns(f"{server.ward.plan.server.key} {server.config.key} {number} {check}", span)
        self._engine.schedule(slot, self._now_ns() + phase, state.url, state.steady)
        return watch

    # -- ha_suspend: check only while this host has the address --

    def addresses(self, local: Callable[[str], bool]) -> list[Ward]:
        """Which addresses this host has may have changed: `local(ip)` tells. Returns the wards that were suspended or
        resumed; what they have in the table stays as it is."""
        self._local = local
        turned = []
        for ward in self.wards.values():
            suspended = ward.plan.server.ha_suspend and not local(ward.plan.server.ip)
            if suspended is not ward.suspended:
                ward.suspended = suspended
                turned.append(ward)
                for watch in (w for s in ward.servers for w in s.watches):
                    self._hold(watch) if suspended else self._resume(watch)
        return turned

    def _hold(self, watch: Watch) -> None:
        """Give up what its slot does; a new one is held until `_resume`."""
        checks, failures, _took = self._engine.stats(watch.slot)
        watch.ended = watch.ended[0] + checks, watch.ended[1] + failures
        self._close([watch])
        watch.slot = self._engine.open(watch.check)
        watch.generation = self._engine.generation(watch.slot)
        watch.why = SUSPENDED
        self._slots[watch.slot] = watch

    def _resume(self, watch: Watch) -> None:
        span = min(watch.check.warmup_ns, SOON_NS)
        phase = verdict.phase_ns(f"{watch.server.ward.plan.server.key} {watch.server.config.key} {watch.check}", span)
        watch.why = "not checked since this host has the address"
        self._engine.schedule(watch.slot, self._now_ns() + phase, watch.verdict.url)

    def _close(self, watches: Iterable[Watch]) -> None:
        for watch in watches:
            self._engine.close_slot(watch.slot)
            del self._slots[watch.slot]

    # -- answers --

    def answers(self, answers: Iterable[Answer]) -> None:
        """One turn's answers of an engine."""
        touched: dict[Server, None] = {}
        now = self._now_ns()
        for answer in answers:
            watch = self._slots.get(answer.slot)
            if watch is None or watch.generation != answer.generation:
                continue  # closed since
            found = outcome(answer.ending)
            watch.verdict, wait = verdict.step(watch.rules, watch.verdict, found)
            watch.why = self._why(watch, answer)
            if found is Outcome.OURS:
                self._short(watch.why)
            when = verdict.next_start_ns(watch.rules, wait, answer.started_ns, now)
            self._engine.schedule(answer.slot, when, watch.verdict.url, watch.verdict.steady)
            touched[watch.server] = None
        self._judge(touched)

    def _judge(self, touched: Iterable[Server]) -> None:
        changes: dict[Ward, dict[int, bool]] = {}
        for server in touched:
            if server.up != server.ward.plan.up[server.index]:
                changes.setdefault(server.ward, {})[server.index] = server.up
                server.since = time.time()
            else:
                self._seen(server)
        for ward, ups in changes.items():
            quorum = ward.plan.quorum
            ward.plan, effects = plan.step(ward.plan, ups)
            if ward.plan.quorum != quorum:
                ward.since = time.time()
            self._changed(ward, effects)

    @staticmethod
    def _why(watch: Watch, answer: Answer) -> str:
        text = describe(answer.ending, answer.detail)
        if answer.text:
            text = f"{text}: {answer.text}"
        if isinstance(watch.check, HttpCheck | SslCheck) and len(watch.check.urls) > 1:
            return f"{watch.check.urls[answer.url].path}: {text}"
        return text

    def watches(self) -> Iterator[Watch]:
        return iter(self._slots.values())

    def stats(self, server: Server) -> tuple[int, int, int | None]:
        """(probes ended, failures, ns the last good answer took or None) over all checks of a real server."""
        checks, failures, took = 0, 0, -1
        for watch in server.watches:
            one = self._engine.stats(watch.slot)
            checks += one[0] + watch.ended[0]
            failures += one[1] + watch.ended[1]
            took = max(took, one[2])
        return checks, failures, took if took >= 0 else None
