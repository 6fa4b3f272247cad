"""One virtual server on its way from one configuration to the next, in pieces (shell).

    prepare  compares, opens checks that are new, works out the row; nothing that counts is other than before
    turn     it is as configured now: all of it at one moment, with what answers have changed meanwhile
    settle   closes checks that nobody asks any more

`prepare` and `settle` take long if there are many real servers, so they are generators, and the loop has its turns
meanwhile. What `turn` does for each real server is next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastha.checker import guard, plan, verdict
from fastha.checker.adoption import Adopted
from fastha.checker.guard import Guard
from fastha.checker.plan import Places, Plan
from fastha.checker.wards import ANSWERED, NOWHERE, Server, Ward, Watch
from fastha.child.work import PIECE, Steps, run
from fastha.dataplane.rows import Dest, DestKey, ServiceKey, ServiceRow
from fastha.model import RealServer, VirtualServer

if TYPE_CHECKING:
    from fastha.checker.roster import Roster

FREED = 1024


class Renewal:
    """`fresh`: real servers that are new or other than they were, `new`: those that are new; `gone`: keys of those that
    are there no more; `row`: the row of its services once it has turned, None if nothing but its mark is another."""

    def __init__(self, roster: Roster, config: VirtualServer, adopt: Adopted, mark: int, now: float) -> None:
        self._roster, self._config, self.adopt, self._mark, self.now = roster, config, adopt, mark, now
        old = roster.wards.get(config.key)
        self._same = old is not None and (old.plan.server is config or old.plan.server == config)
        self.first = old is None  # nobody watched this virtual server before
        self.ward = old or Ward(Plan(config, (), False, (), ()), (), now)
        self._suspended = roster.suspends(config)
        # A suspension may come or go at any moment, so what can be suspended turns at once.
        self._whole = config.ha_suspend or self.ward.plan.server.ha_suspend
        self.before: tuple[ServiceKey, ...] = self.ward.keys
        self.places: dict[str, int] | None = None  # key of a real server -> its index
        self.new: list[Server] = []
        self.gone: list[str] = []
        self.row: ServiceRow | None = None
        self.touched: set[Server] = set()  # about whom there were answers meanwhile
        self._servers: list[Server] = []
        self._other: dict[Server, RealServer] = {}  # what they will be
        self._asks: dict[Server, tuple[Watch, ...]] = {}  # and will ask, where that changes
        self._moved: list[tuple[Server, int]] = []
        self._left: list[tuple[Server, tuple[Watch, ...]]] = []  # who asks what no more
        self._former: dict[Server, list[tuple[Watch, Watch]]] = {}  # a watch of a changed check, the one before it
        self.healthy: list[bool] = []  # by real server: what its checks say
        self._weights: list[int | None] = []
        self._parts = Places()
        self._tried: Plan | None = None  # what `_dests` are worked out for
        self._dests: dict[DestKey, Dest] = {}
        self._caught_up: list[int] = []  # indices of those who were touched
        self._differ: list[int] = []  # who is up in `_tried` and not now, or the other way round

    @property
    def fresh(self) -> list[Server]:
        return [*self.new, *self._other]

    # -- before --

    def prepare(self) -> Steps:
        if self._same:
            return
        if self._whole:
            if not self._roster.recalled:
                yield from self._roster.recall()
            run(self._compare())
            return
        self._roster.renewal = self
        yield from self._compare()
        self._tried = tried = self._planned()
        for first in range(0, len(self._servers), PIECE):
            plan.fill(tried, self._dests, range(first, min(first + PIECE, len(self._servers))))
            yield from _pause(first + PIECE, len(self._servers))

    def _compare(self) -> Steps:
        """Which real servers stay, and what each will ask."""
        before: dict[str, Server] = {}
        for number, server in enumerate(self.ward.servers, 1):
            before[server.config.key] = server
            yield from _pause(number, len(self.ward.servers))
        keys = self.ward.plan.keys
        self.places = {}
        for index, rs in enumerate(self._config.real_servers):
            key = rs.key
            self.places[key] = index
            old = before.pop(key, None)
            if not self._roster.recalled and _asks_anew(rs, old):
                yield from self._roster.recall()
            server, watches = self._server(rs, key, old)
            if key in self.adopt.weights:
                self._roster.adopt_weight(watches, self.adopt.weights[key])
            if server.index != index:
                self._moved.append((server, index))
            self._servers.append(server)
            self.healthy.append(all(w.verdict.up for w in watches))
            self._weights.append(self._roster.weighed(rs, watches))
            self._parts.add(rs, keys[old.index] if old is not None else None)
            yield from _pause(index + 1, len(self._config.real_servers))
        for number, (key, server) in enumerate(before.items(), 1):
            self.gone.append(key)
            self._left.append((server, server.watches))
            yield from _pause(number, len(before))

    def _server(self, rs: RealServer, key: str, old: Server | None) -> tuple[Server, tuple[Watch, ...]]:
        turns = self._suspended is not self.ward.suspended
        if old is not None and not turns and (old.config is rs or old.config == rs):
            return old, old.watches
        server = old or Server(rs, self.ward, NOWHERE, self.now)
        if old is not None and not turns and old.config.checks == rs.checks:
            watches = old.watches
        else:
            watches = self._watches(server, rs, old, turns, self.adopt.up.get(key))
            if old is not None:
                self._asks[server] = watches
        if old is None:
            server.watches = watches
            self.new.append(server)
        else:
            self._other[server] = rs
        return server, watches

    def _watches(
        self, server: Server, rs: RealServer, old: Server | None, turns: bool, adopt: bool | None
    ) -> tuple[Watch, ...]:
        """What it will ask: what it asks already, and the answers to what it has not asked yet."""
        roster = self._roster
        left = list(old.watches) if old is not None else []
        checks = rs.checks if len(rs.checks) < 2 else tuple(dict.fromkeys(rs.checks))  # asking twice tells nothing more
        kept: list[Watch | None] = []
        for check in checks:
            match = next((w for w in left if w.check == check), None)
            if match is not None:
                left.remove(match)
                if turns:
                    match = roster.hold(server, match) if self._suspended else roster.resume(server, match)
            kept.append(match)
        watches: list[Watch] = []
        spare = list(left)
        for check, watch in zip(checks, kept, strict=True):
            if watch is None:
                former = spare.pop(0) if spare else None
                watch = roster.ask(server, check, old is not None, former, adopt, self._suspended)
                if former is not None:
                    self._former.setdefault(server, []).append((watch, former))
            watches.append(watch)
        if left:
            self._left.append((server, tuple(left)))
        return tuple(watches)

    # -- the moment --

    def turn(self) -> None:
        """It is as it is configured."""
        ward, roster = self.ward, self._roster
        roster.renewal = None
        if not self._same:
            self._catch_up()
            self._change()
        if self._same and ward.mark != self._mark:
            ward.mark, ward.keys = self._mark, plan.keys(self._config, self._mark)
        roster.wards[self._config.key] = ward

    def _catch_up(self) -> None:
        """What answers have changed since `prepare` looked."""
        assert self.places is not None
        for server in self.touched:
            index = self.places.get(server.config.key)
            if index is None or self._servers[index] is not server:
                continue
            rs, watches = self._other.get(server, server.config), self._asks.get(server, server.watches)
            for watch, former in self._former.get(server, ()):
                if watch.stage != ANSWERED and not watch.shared:
                    watch.verdict = verdict.assume(former.verdict.up)
            self.healthy[index] = all(w.verdict.up for w in watches)
            self._weights[index] = self._roster.weighed(rs, watches)
            self._caught_up.append(index)

    def _change(self) -> None:
        ward, config = self.ward, self._config
        moved = self._places_of_old() if ward.guard != Guard() else {}
        for server, rs in self._other.items():
            server.config = rs
        for server, watches in self._asks.items():
            server.watches = watches
        for server, index in self._moved:
            server.index = index
        for server, _ in self._left[len(self._left) - len(self.gone) :] if self.gone else ():
            server.index = NOWHERE
        ward.servers, ward.suspended, ward.limits = self._servers, self._suspended, guard.limits(config)
        ward.mark, ward.keys = self._mark, plan.keys(config, self._mark)
        self._roster.turn(ward, self, moved)
        self._row()

    def _places_of_old(self) -> dict[int, int]:
        """Old index -> new one."""
        assert self.places is not None
        old = ((s.index, self.places.get(s.config.key)) for s in self.ward.servers)
        return {index: place for index, place in old if place is not None}

    def planned(self, ups: list[bool]) -> tuple[Plan, tuple[plan.Effect, ...]]:
        """The plan with these real servers up, and what follows from the change."""
        rulings = self._roster.rulings(self._config, self.places)
        weights, tried = self._weights, self._tried
        live = None
        if tried is not None:
            # Without a guard only those differ about whom there were answers.
            candidates = self._caught_up if ups is self.healthy else range(len(ups))
            self._differ = [index for index in candidates if ups[index] is not tried.up[index]]
            if not rulings and not tried.rulings and not tried.weights and not plan.some(weights):
                live = plan.moved(tried, ((index, ups[index]) for index in self._differ))
        if self.first:
            return plan.start(self._config, ups, self.adopt.quorum, rulings, weights, self._parts, live), ()
        return plan.carry(self.ward.plan, self._config, ups, rulings, weights, self._parts, live)

    def _planned(self) -> Plan:
        return self.planned(self.healthy)[0]

    def _row(self) -> None:
        """What was worked out before, but for those that have changed since."""
        new, tried = self.ward.plan, self._tried
        if tried is None or (tried.sorry, tried.rulings, tried.weights) != (new.sorry, new.rulings, new.weights):
            self.row = plan.row(new)
            return
        plan.fill(new, self._dests, self._differ)
        self.row = plan.whole(new, self._dests)

    # -- after --

    def settle(self) -> Steps:
        """Close what nobody asks any more."""
        gone = len(self._left) - len(self.gone)
        for number, (server, watches) in enumerate(self._left):
            self._roster.leave(server, watches)
            if number >= gone:
                server.watches = ()  # no cycle is left: what the collector has frozen only goes this way
            yield from _pause(number + 1, len(self._left))
        for notes in (self.places, self._other, self._asks):  # to free tens of thousands takes long as well
            while notes:
                for _ in range(min(len(notes), FREED)):
                    notes.popitem()
                yield


def _asks_anew(rs: RealServer, old: Server | None) -> bool:
    """Whether there is a check that it does not have yet: somebody else may be asking the same."""
    return bool(rs.checks) and (old is None or (old.config is not rs and old.config.checks != rs.checks))


def _pause(done: int, of: int) -> Iterable[None]:
    """A place to pause behind each piece; none behind the last."""
    return (None,) if not done % PIECE and done < of else ()
