"""Who is under watch: virtual servers, their real servers, and one probe slot for each question (shell).

Checks that are equal (same peer, kind, parameters, source) behind several virtual servers are asked once, and the
answer is everybody's. Those of a suspended virtual server stand alone: nobody asks them, and what they knew stays.

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
from fastha.checker.engine import SHIFT, Answer, Engines
from fastha.checker.plan import Effect, Plan
from fastha.checker.verdict import Health, Outcome, Verdict, Wait
from fastha.dataplane.rows import ServiceKey
from fastha.model import Check, HttpCheck, RealServer, SslCheck, VirtualServer
from fastha.model.units import NS_PER_S

NEW, EARLY, ANSWERED = 0, 1, 2  # stages of a Watch; EARLY: the next probe finds it a phase of its own
SUSPENDED = "suspended: this host does not have the address of the virtual server"
SOON_NS = 2 * NS_PER_S  # checks of adopted or reconfigured servers begin within this time


@dataclass(slots=True, eq=False)
class Watch:
    """One question under way, for every server that asks it: checks that are equal have one answer."""

    check: Check
    verdict: Verdict
    slot: int
    asks: Server | dict[Server, None]  # nearly always one; no container for that
    why: str = "not checked yet"
    stage: int = NEW

    @property
    def servers(self) -> Iterable[Server]:
        return self.asks if isinstance(self.asks, dict) else (self.asks,)

    @property
    def shared(self) -> bool:
        return isinstance(self.asks, dict) and len(self.asks) > 1

    def join(self, server: Server) -> None:
        """One more asks it."""
        if not isinstance(self.asks, dict):
            self.asks = {self.asks: None}
        self.asks[server] = None

    def leave(self, server: Server, successor: Server | None = None) -> None:
        """One of several asks it no more, or its `successor` (the same after a reload) does instead."""
        if isinstance(self.asks, dict):
            del self.asks[server]
            if successor is not None:
                self.asks[successor] = None
        elif successor is not None:
            self.asks = successor


@dataclass(slots=True, eq=False)
class Server:
    """One real server of one virtual server."""

    config: RealServer
    ward: Ward
    index: int
    since: float
    _watches: Watch | tuple[Watch, ...] = ()  # nearly always one; no container for that

    @property
    def watches(self) -> tuple[Watch, ...]:
        """One for each different check."""
        return self._watches if isinstance(self._watches, tuple) else (self._watches,)

    @watches.setter
    def watches(self, watches: Sequence[Watch]) -> None:
        self._watches = watches[0] if len(watches) == 1 else tuple(watches)

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


class _Slots:
    """Watches by the number of their slot: a list for each engine, as dense as its slots are."""

    def __init__(self) -> None:
        self._of: list[list[Watch | None]] = [[] for _ in range(1 << SHIFT)]

    def get(self, slot: int) -> Watch | None:
        row = self._of[slot & (1 << SHIFT) - 1]
        return row[slot >> SHIFT] if slot >> SHIFT < len(row) else None

    def put(self, slot: int, watch: Watch) -> None:
        row = self._of[slot & (1 << SHIFT) - 1]
        row.extend([None] * ((slot >> SHIFT) + 1 - len(row)))
        row[slot >> SHIFT] = watch

    def drop(self, slot: int) -> None:
        self._of[slot & (1 << SHIFT) - 1][slot >> SHIFT] = None

    def __iter__(self) -> Iterator[Watch]:
        return (watch for row in self._of for watch in row if watch is not None)


class Roster:
    """All wards. `changed(ward, effects)` is called once per turn and ward whose real servers or quorum changed;
    `seen(server)` for a real server whose health became known or was found again without a change of its rows;
    `short(text)` when this machine lacked what a probe needs; `progress()` now and then during a long `replace`;
    `failed(watch)` for each failure of a check with `log_all_failures`."""

    def __init__(
        self,
        engine: Engines,
        now_ns: Callable[[], int],
        changed: Callable[[Ward, Sequence[Effect]], object],
        seen: Callable[[Server], object] = lambda _server: None,
        short: Callable[[str], object] = lambda _text: None,
        progress: Callable[[], object] = lambda: None,
        failed: Callable[[Watch], object] = lambda _watch: None,
    ) -> None:
        self.wards: dict[str, Ward] = {}
        self._engine = engine
        self._now_ns = now_ns
        self._changed = changed
        self._seen = seen
        self._short = short
        self._progress = progress
        self._failed = failed
        self._slots = _Slots()
        self._ended: dict[Watch, tuple[int, int]] = {}  # probes and failures before a suspension
        self._asked: dict[Check, list[Watch]] | None = None  # while `replace` or `addresses` need it
        self._local: Callable[[str], bool] = lambda _ip: True
        self.rulings: Callable[[VirtualServer], Rulings] = lambda _server: ()  # operators' decisions

    # -- configuration --

    def replace(
        self, servers: Iterable[VirtualServer], adopt: Mapping[str, Adopted], marks: Mapping[str, int] | None = None
    ) -> list[Ward]:
        """Watch these virtual servers and no others; returns the wards that are gone. `adopt` is for virtual servers
        that are new here, by key; `marks`: {key: mark} of groups that nftables marks. OSError or ValueError only for
        what `prepare` refuses."""
        old, self.wards = self.wards, {}
        marks = marks or {}
        now = time.time()
        for server in servers:
            self._progress()
            before, mark = old.get(server.key), marks.get(server.key, 0)
            ward = self._ward(server, before, adopt.get(server.key, Adopted()), now)
            if ward is not before or ward.mark != mark or not ward.keys:
                ward.mark, ward.keys = mark, plan.keys(server, mark)
            self.wards[server.key] = ward
        gone = [ward for key, ward in old.items() if key not in self.wards]
        for ward in gone:
            for server_ in ward.servers:
                self._leave(server_, server_.watches)
        self._asked = None
        return gone

    def _ward(self, config: VirtualServer, old: Ward | None, adopt: Adopted, now: float) -> Ward:
        if old is not None and old.plan.server == config:
            return old
        ward = Ward(old.plan if old else Plan(config, (), False, (), ()), (), old.since if old else now)
        ward.suspended = config.ha_suspend and not self._local(config.ip)
        before = {s.config.key: s for s in old.servers} if old else {}
        for index, rs in enumerate(config.real_servers):
            key = rs.key
            ward.servers.append(self._server(ward, index, rs, before.pop(key, None), adopt.up.get(key), now))
        for server in before.values():
            self._leave(server, server.watches)
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

    def _server(
        self, ward: Ward, index: int, rs: RealServer, old: Server | None, adopt: bool | None, now: float
    ) -> Server:
        server = Server(rs, ward, index, old.since if old else now)
        left = list(old.watches) if old else []
        kept: list[Watch | None] = []
        checks = rs.checks if len(rs.checks) < 2 else tuple(dict.fromkeys(rs.checks))  # asking twice tells nothing more
        for check in checks:
            match = next((w for w in left if w.check == check), None)
            if match is not None and old is not None:
                left.remove(match)
                match.leave(old, server)
                if old.ward.suspended is not ward.suspended:
                    match = self._hold(server, match) if ward.suspended else self._resume(server, match)
            kept.append(match)
        watches = []
        for check, watch in zip(checks, kept, strict=True):
            if watch is None:
                former = left.pop(0) if left else None
                watch = self._ask(server, check, old, former, adopt)
                if former is not None and old is not None:
                    self._leave(old, (former,))
            watches.append(watch)
        server.watches = watches
        if old is not None:
            self._leave(old, left)
        return server

    def _ask(self, server: Server, check: Check, old: Server | None, former: Watch | None, adopt: bool | None) -> Watch:
        """Somebody's answer to the same question, or a question of its own."""
        soon = min(check.warmup_ns, SOON_NS)
        if old is not None:  # a changed check: forwarding stays as it is until it has an answer
            state, span, why = verdict.assume(former.verdict.up if former else True), soon, "reconfigured"
        elif adopt is not None:
            state, span, why = verdict.adopt(adopt), soon, "found so at the start"
        else:
            state, span, why = verdict.start(check), check.warmup_ns, "not checked yet"
        if server.ward.suspended:
            return self._open(server, check, state, SUSPENDED)
        if (same := self._same(check, state)) is not None:
            same.join(server)
            return same
        watch = self._open(server, check, state, why)
        self._begin(watch, span)
        return watch

    def _open(self, server: Server, check: Check, state: Verdict, why: str) -> Watch:
        """A slot, held until it is scheduled."""
        slot = self._engine.open(check)
        watch = Watch(check, state, slot, server, why)
        self._slots.put(slot, watch)
        return watch

    def _begin(self, watch: Watch, span_ns: int) -> None:
        """The first probe, within `span_ns`; the same check has the same place in it on every run."""
        identity = str(watch.check)
        watch.stage = EARLY if span_ns < watch.check.delay_ns else NEW
        start_ns = self._now_ns() + verdict.phase_ns(identity, span_ns)
        self._engine.schedule(watch.slot, start_ns, watch.verdict.url, watch.verdict.steady and watch.stage != EARLY)
        if self._asked is not None:
            self._asked.setdefault(watch.check, []).append(watch)

    def _same(self, check: Check, state: Verdict | None) -> Watch | None:
        """A question that is being asked and equal; its answer is known, or what is assumed meanwhile is the same."""
        if self._asked is None:
            self._asked = {}
            for watch in self._slots:
                if not any(s.ward.suspended for s in watch.servers):
                    self._asked.setdefault(watch.check, []).append(watch)
        found = self._asked.get(check, ())
        return next((w for w in found if w.stage == ANSWERED or w.verdict == state), None)

    def _leave(self, server: Server, watches: Iterable[Watch]) -> None:
        """`server` asks these no more; what nobody asks any more is closed."""
        for watch in watches:
            if watch.shared:
                watch.leave(server)
            else:
                self._close(watch)

    def _close(self, watch: Watch) -> None:
        self._engine.close_slot(watch.slot)
        self._slots.drop(watch.slot)
        self._ended.pop(watch, None)
        if self._asked is not None and watch in (same := self._asked.get(watch.check, [])):
            same.remove(watch)

    # -- ha_suspend: check only while this host has the address --

    def addresses(self, local: Callable[[str], bool]) -> list[Ward]:
        """Which addresses this host has may have changed: `local(ip)` tells. Returns the wards that were suspended or
        resumed; what they have in the table stays as it is until the next answer."""
        self._local = local
        turned = []
        for ward in self.wards.values():
            suspended = ward.plan.server.ha_suspend and not local(ward.plan.server.ip)
            if suspended is not ward.suspended:
                ward.suspended = suspended
                turned.append(ward)
                turn = self._hold if suspended else self._resume
                for server in ward.servers:
                    server.watches = [turn(server, watch) for watch in server.watches]
        self._asked = None
        if joined := [s for ward in turned if not ward.suspended for s in ward.servers]:
            self._judge(joined)  # some have found an answer there
        return turned

    def _hold(self, server: Server, watch: Watch) -> Watch:
        """It is not to be asked for this server; a slot of its own is held until `_resume`."""
        checks, failures, _took = self._engine.stats(watch.slot)
        before = self._ended.pop(watch, (0, 0))
        self._leave(server, (watch,))
        held = self._open(server, watch.check, watch.verdict, SUSPENDED)
        self._ended[held] = before[0] + checks, before[1] + failures
        return held

    def _resume(self, server: Server, watch: Watch) -> Watch:
        if (same := self._same(watch.check, None)) is not None:
            same.join(server)
            self._close(watch)
            return same
        watch.why = "not checked since this host has the address"
        self._begin(watch, min(watch.check.warmup_ns, SOON_NS))
        return watch

    # -- answers --

    def answers(self, answers: Iterable[Answer]) -> None:
        """One turn's answers of an engine."""
        touched: dict[Server, None] = {}
        now = self._now_ns()
        for answer in answers:
            watch = self._slots.get(answer.slot)
            if watch is None or self._engine.generation(answer.slot) != answer.generation:
                continue  # closed since
            found = outcome(answer.ending)
            rules = verdict.rules(watch.check)
            watch.verdict, wait = verdict.step(rules, watch.verdict, found)
            watch.why = self._why(watch, answer)
            if found is Outcome.OURS:
                self._short(watch.why)
            elif found is Outcome.FAIL and watch.check.log_all_failures:
                self._failed(watch)
            when = verdict.next_start_ns(rules, wait, answer.started_ns, now)
            if found is not Outcome.OURS:
                if watch.stage == EARLY and wait in (Wait.PERIOD, Wait.POLL):
                    when -= verdict.phase_ns(str(watch.check), when - max(now, answer.started_ns))
                if watch.stage == NEW or wait in (Wait.PERIOD, Wait.POLL):
                    watch.stage = ANSWERED
            steady = watch.verdict.steady and watch.stage == ANSWERED
            self._engine.schedule(answer.slot, when, watch.verdict.url, steady)
            for server in watch.servers:
                touched[server] = None
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
        return iter(self._slots)

    def stats(self, server: Server) -> tuple[int, int, int | None]:
        """(probes ended, failures, ns the last good answer took or None) over all checks of a real server."""
        checks, failures, took = 0, 0, -1
        for watch in server.watches:
            one = self._engine.stats(watch.slot)
            before = self._ended.get(watch, (0, 0))
            checks += one[0] + before[0]
            failures += one[1] + before[1]
            took = max(took, one[2])
        return checks, failures, took if took >= 0 else None
