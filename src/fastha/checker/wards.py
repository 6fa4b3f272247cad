"""What is under watch, as the roster holds it: virtual servers, their real servers, and what each of those is asked.

Tens of thousands of them: no container where there is nearly always one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fastha.checker.engine import SHIFT
from fastha.checker.guard import Guard, Limits
from fastha.checker.plan import Plan
from fastha.checker.verdict import Health, Verdict
from fastha.dataplane.rows import ServiceKey, ServiceRow
from fastha.model import Check, RealServer

NOWHERE = -1  # index of a real server that is not in its ward: not yet, or no more
HELD, NEW, EARLY, ANSWERED = range(4)  # stages of a Watch; EARLY: the next probe finds it a phase of its own


@dataclass(slots=True, eq=False)
class Watch:
    """One question under way, for every server that asks it: checks that are equal have one answer."""

    check: Check
    verdict: Verdict
    slot: int
    asks: Server | dict[Server, None]  # nearly always one; no container for that
    why: str = "not checked yet"
    stage: int = HELD

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
    def several(self) -> bool:
        """It has more than one check."""
        return isinstance(self._watches, tuple) and len(self._watches) > 1

    @property
    def kept(self) -> str:
        """Why it is in the set though its checks say that it is down: "panic", "limit"; "" if it is not so."""
        if self.index not in self.ward.guard.kept:
            return ""
        return "panic" if self.ward.guard.panic else "limit"

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
    limits: Limits | None = None  # panic_threshold, removal_limit
    guard: Guard = field(default_factory=Guard)
    panic_since: float = 0.0
    wake_ns: int = 0  # when somebody who is kept may fall
    row: tuple[Plan, ServiceRow] | None = None  # what was wanted last, and of which plan

    @property
    def key(self) -> ServiceKey:
        """One of its services; all have the same destinations."""
        return self.keys[0]


class Slots:
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
