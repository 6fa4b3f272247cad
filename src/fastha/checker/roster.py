"""Who is under watch: virtual servers, their real servers, and one probe slot for each question (shell).

Checks that are equal (same peer, kind, parameters, source) behind several virtual servers are asked once, and the
answer is everybody's. Those of a suspended virtual server stand alone: nobody asks them, and what they knew stays.

`renew` and `drop` make it equal to a new configuration: checks that compare equal keep their slot, timers and health;
`answers` turns what the engines hand over into verdicts, verdicts into plans, plans into wanted rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from fastha.checker import gate, guard, plan, verdict
from fastha.checker.adoption import Adopted
from fastha.checker.drain import Rulings
from fastha.checker.ending import Ending, describe, outcome
from fastha.checker.engine import Answer, Engines
from fastha.checker.guard import Guard, Passed
from fastha.checker.plan import Effect
from fastha.checker.renewal import Renewal
from fastha.checker.verdict import Outcome, Verdict, Wait
from fastha.checker.wards import ANSWERED, EARLY, HELD, NEW, NOWHERE, Server, Slots, Ward, Watch
from fastha.child.work import PIECE
from fastha.model import (
    Check,
    FileCheck,
    HttpCheck,
    MiscCheck,
    PingCheck,
    RealServer,
    SslCheck,
    VirtualServer,
)
from fastha.model.units import NS_PER_S

SUSPENDED = "suspended: this host does not have the address of the virtual server"
MOST_WEIGHT = 2**31 - 1
SOON_NS = 2 * NS_PER_S  # checks of adopted or reconfigured servers begin within this time


_Asked = dict[Check, Watch | tuple[Watch, ...]]


class Roster:
    """All wards. `changed(ward, effects)` is called once per turn and ward whose real servers or quorum changed;
    `seen(server)` for a real server whose health became known or was found again without a change of its rows;
    `short(text)` when this machine lacked what a probe needs; `failed(watch)` for each failure of a check with
    `log_all_failures`."""

    def __init__(
        self,
        engine: Engines,
        now_ns: Callable[[], int],
        changed: Callable[[Ward, Sequence[Effect]], object],
        seen: Callable[[Server], object] = lambda _server: None,
        short: Callable[[str], object] = lambda _text: None,
        failed: Callable[[Watch], object] = lambda _watch: None,
    ) -> None:
        self.wards: dict[str, Ward] = {}
        self._engine = engine
        self._now_ns = now_ns
        self._changed = changed
        self._seen = seen
        self._short = short
        self._failed = failed
        self._slots = Slots()
        self._ended: dict[Watch, tuple[int, int]] = {}  # probes and failures before a suspension
        self._asked: _Asked | None = None  # while renewals or `addresses` need it
        self._local: Callable[[str], bool] = lambda _ip: True
        self._said: dict[Watch, tuple[int | None, int]] = {}  # weight, what is added: of the last good answer
        self.renewal: Renewal | None = None  # under way
        # operators' decisions; the mapping, if somebody has it: key of a real server -> its index
        self.rulings: Callable[[VirtualServer, Mapping[str, int] | None], Rulings] = lambda _server, _places: ()
        self.guarded: Callable[[Ward, Guard, Passed], object] = lambda _ward, _before, _passed: None
        self.turned: Callable[[Watch], object] = lambda _watch: None  # a check has changed its mind
        self.wake: Callable[[int, Callable[[], object]], object] = lambda _when_ns, _callback: None

    # -- configuration --

    def renew(self, server: VirtualServer, adopt: Adopted | None = None, mark: int = 0) -> Renewal:
        """Watch this virtual server as it is configured here, once it turns. `adopt` is for one that is new; `mark`: of
        a group that nftables marks. OSError or ValueError only for what `prepare` refuses. After the last one call
        `settled`."""
        return Renewal(self, server, adopt or Adopted(), mark, time.time())

    def turn(self, ward: Ward, renewal: Renewal, moved: Mapping[int, int]) -> None:
        """Its real servers are those of another configuration; `moved`: index of old ones that it was -> that it is."""
        before = gate.adopted(ward, renewal.adopt) if renewal.first else guard.carry(ward.guard, moved)
        before_guard = Guard() if renewal.first else ward.guard
        ups, passed = gate.begin(ward, before, renewal.healthy, self._now_ns())
        ward.plan, effects = renewal.planned(ups)
        if effects:
            ward.since = renewal.now
            self._changed(ward, effects)
        if not renewal.first:
            self.guarded(ward, before_guard, passed)
        self._wake(ward, passed.again_ns)

    def drop(self, key: str) -> Ward:
        """Watch it no more: nobody answers for it from now on. `leave_all` closes its checks."""
        ward = self.wards.pop(key)
        for server in ward.servers:
            server.index = NOWHERE
        return ward

    def leave_all(self, ward: Ward) -> Iterator[None]:
        """Close the checks of one that was dropped."""
        for number, server in enumerate(ward.servers):
            self.leave(server, server.watches)
            server.watches = ()  # no cycle is left: what the collector has frozen only goes this way
            if not number % PIECE:
                yield
        ward.servers = []

    @property
    def recalled(self) -> bool:
        return self._asked is not None

    def suspends(self, config: VirtualServer) -> bool:
        """Whether it is not to be checked now."""
        return config.ha_suspend and not self._local(config.ip)

    def recall(self) -> Iterator[None]:
        """Find out step by step what is being asked, for many renewals: the first of them would do it at once."""
        asked: _Asked = {}
        for number, watch in enumerate(list(self._slots)):
            if watch.stage != HELD:
                self._find(asked, watch)
            if not number % 64:
                yield
        self._asked = asked

    def settled(self) -> None:
        """No more renewals for now."""
        self._asked = None

    def adopt_weight(self, watches: Iterable[Watch], weight: int) -> None:
        """What checks had made of it before this process was there holds until they say something else."""
        weigher = next((w for w in watches if isinstance(w.check, MiscCheck | FileCheck)), None)
        if weigher is not None:
            self._said[weigher] = weight, 0

    def weight(self, server: Server) -> int | None:
        """What its checks make of its configured weight, None: nothing."""
        return self.weighed(server.config, server.watches)

    def weighed(self, rs: RealServer, watches: Iterable[Watch]) -> int | None:
        """What these checks make of it. keepalived.md 2.9: the configured weight and all adjustments, within 0 and
        2^31 - 1."""
        if not self._said:
            return None
        configured, adjusted = rs.weight, 0
        for watch in watches:
            weight, added = self._said.get(watch, (None, 0))
            adjusted += (weight - configured if weight is not None else 0) + added
        return min(max(configured + adjusted, 0), MOST_WEIGHT) if adjusted else None

    def _wake(self, ward: Ward, when_ns: int) -> None:
        """Judge it again at `when_ns` (0: no need)."""
        if not when_ns or (ward.wake_ns and ward.wake_ns <= when_ns):
            return
        ward.wake_ns = when_ns

        def woken() -> None:
            if ward.wake_ns == when_ns and self.wards.get(ward.plan.server.key) is ward:
                ward.wake_ns = 0
                self.judge(ward)

        self.wake(when_ns, woken)

    def ask(
        self, server: Server, check: Check, known: bool, former: Watch | None, adopt: bool | None, suspended: bool
    ) -> Watch:
        """Somebody's answer to the same question, or a question of its own. `known`: the real server was there before,
        with `former` where this check is now; `adopt`: what a predecessor knew."""
        watch = self._ask(server, check, known, former, adopt, suspended)
        if former in self._said and former.check.kind == check.kind:
            self._said.setdefault(watch, self._said[former])
        return watch

    def _ask(
        self, server: Server, check: Check, known: bool, former: Watch | None, adopt: bool | None, suspended: bool
    ) -> Watch:
        soon = min(check.warmup_ns, SOON_NS)
        if known:  # a changed check: forwarding stays as it is until it has an answer
            state, span, why = verdict.assume(former.verdict.up if former else True), soon, "reconfigured"
        elif adopt is not None:
            state, span, why = verdict.adopt(adopt), soon, "found so at the start"
        else:
            state, span, why = verdict.start(check), check.warmup_ns, "not checked yet"
        if suspended:
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
            self._find(self._asked, watch)

    def _same(self, check: Check, state: Verdict) -> Watch | None:
        """A question that is being asked and equal; its answer is known, or what is assumed meanwhile is the same."""
        if self._asked is None:
            for _ in self.recall():
                pass
            assert self._asked is not None
        same = self._asked.get(check, ())
        # One that was closed while `recall` went through them may still be there.
        found = (w for w in ((same,) if isinstance(same, Watch) else same) if self._slots.get(w.slot) is w)
        return next((w for w in found if w.stage == ANSWERED or w.verdict == state), None)

    @staticmethod
    def _find(asked: _Asked, watch: Watch) -> None:
        """Put it where `_same` looks. (No container for one: it would lie among what stays, and leave holes.)"""
        found = asked.setdefault(watch.check, watch)
        if found is not watch:
            asked[watch.check] = (found, watch) if isinstance(found, Watch) else (*found, watch)

    def leave(self, server: Server, watches: Iterable[Watch]) -> None:
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
        self._said.pop(watch, None)
        if self._asked is not None:
            same = self._asked.get(watch.check, ())
            left = tuple(w for w in (same if isinstance(same, tuple) else (same,)) if w is not watch)
            self._asked[watch.check] = left

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
                turn = self.hold if suspended else self.resume
                for server in ward.servers:
                    server.watches = [turn(server, watch) for watch in server.watches]
        self._asked = None
        if joined := [s for ward in turned if not ward.suspended for s in ward.servers]:
            self._judge(joined)  # some have found an answer there
        return turned

    def hold(self, server: Server, watch: Watch) -> Watch:
        """It is not to be asked for this server; a slot of its own is held until `_resume`."""
        checks, failures, _took = self._engine.stats(watch.slot)
        before, said = self._ended.pop(watch, (0, 0)), self._said.get(watch)
        self.leave(server, (watch,))
        held = self._open(server, watch.check, watch.verdict, SUSPENDED)
        self._ended[held] = before[0] + checks, before[1] + failures
        if said is not None:
            self._said[held] = said
        return held

    def resume(self, server: Server, watch: Watch) -> Watch:
        if (same := self._same(watch.check, watch.verdict)) is not None:
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
        turned: list[Watch] = []
        now = self._now_ns()
        for answer in answers:
            watch = self._slots.get(answer.slot)
            if watch is None or self._engine.generation(answer.slot) != answer.generation:
                continue  # closed since
            found = outcome(answer.ending)
            rules = verdict.rules(watch.check)
            was_up = watch.verdict.up
            watch.verdict, wait = verdict.step(rules, watch.verdict, found)
            watch.why = self._why(watch, answer)
            if watch.verdict.up is not was_up:
                turned.append(watch)
            if found is Outcome.OK:
                self._say(watch, answer)
            elif found is Outcome.OURS:
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
        for watch in turned:
            self.turned(watch)

    def _judge(self, touched: Iterable[Server]) -> None:
        by_ward: dict[Ward, list[Server]] = {}
        if self.renewal is not None:
            self.renewal.touched.update(touched)
        for server in touched:
            if server.index != NOWHERE:
                by_ward.setdefault(server.ward, []).append(server)
        for ward, servers in by_ward.items():
            self._judge_ward(ward, servers)

    def _say(self, watch: Watch, answer: Answer) -> None:
        """What a good answer says of the weight."""
        if answer.weight is not None or answer.added:
            self._said[watch] = answer.weight, answer.added
        else:
            self._said.pop(watch, None)

    def _judge_ward(self, ward: Ward, servers: Sequence[Server]) -> None:
        """Answers about these real servers are in."""
        was_up = ward.plan.up
        # Who is kept is in the set and was down.
        kept = frozenset(ward.guard.kept)
        flipped = [s for s in servers if s.up is not (was_up[s.index] and s.index not in kept)]
        for server in flipped:
            server.since = time.time()
        had = ward.plan.weights
        weighed = bool(self._said or had) and any(self.weight(s) != (had[s.index] if had else None) for s in servers)
        changes: Mapping[int, bool] = {}
        if ward.limits is None:
            changes = {s.index: s.up for s in flipped}
        elif flipped:
            changes = self._admit(ward)
        if changes or weighed:
            self._apply(ward, changes, weighed)
        for server in servers:
            if server.index not in changes:
                self._seen(server)

    def judge(self, ward: Ward) -> None:
        """Something else than an answer may have let somebody fall, or made an end of panic: time, an operator."""
        if ward.limits is not None and (changes := self._admit(ward)):
            self._apply(ward, changes, False)

    def accept(self, ward: Ward) -> int:
        """An operator accepts that those that are kept in the set are down; how many they are."""
        if changes := gate.accept(ward):
            self._apply(ward, changes, False)
        return len(changes)

    def _admit(self, ward: Ward) -> Mapping[int, bool]:
        before, passed = gate.admit(ward, self._now_ns())
        self._wake(ward, passed.again_ns)
        self.guarded(ward, before, passed)
        return passed.changes

    def _apply(self, ward: Ward, changes: Mapping[int, bool], weighed: bool) -> None:
        quorum = ward.plan.quorum
        weights = [self.weight(s) for s in ward.servers] if weighed else None
        ward.plan, effects = plan.step(ward.plan, changes, weights)
        if ward.plan.quorum != quorum:
            ward.since = time.time()
        self._changed(ward, effects)

    @staticmethod
    def _why(watch: Watch, answer: Answer) -> str:
        text = describe(answer.ending, answer.detail)
        if answer.ending is Ending.DENIED and isinstance(watch.check, PingCheck):
            text += "; a ping needs CAP_NET_RAW, or our group in net.ipv4.ping_group_range"
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
            ended, failed, lasted = self._engine.stats(watch.slot)
            checks += ended
            failures += failed
            took = max(took, lasted)
            if watch in self._ended:
                before = self._ended[watch]
                checks += before[0]
                failures += before[1]
        return checks, failures, took if took >= 0 else None
