"""A virtual wire and a virtual clock for many virtual routers: machine cores only, no socket, no sleep.

A discrete-event simulation. Every router is `machine.step`; the wire may lose, repeat and reorder packets, be
cut into sides, single links may work one way only, and routers may be frozen (their packets queue, their timers wait)
or killed and replaced.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field, replace

from fastha.vrrp.machine import (
    AddAddresses,
    Advert,
    AdvertZero,
    Effect,
    Event,
    RemoveAddresses,
    Role,
    SendAdvert,
    Startup,
    State,
    TimerFired,
    step,
)
from fastha.vrrp.rules import Rules

MS = 1_000_000


@dataclass
class Router:
    rules: Rules
    state: State
    side: int = 0  # which part of a cut wire
    frozen: bool = False
    dead: bool = False
    addresses: bool = False  # what its kernel holds; survives a kill
    queue: list[Event] = field(default_factory=list)  # packets that arrived while frozen
    changes: list[tuple[int, Role]] = field(default_factory=list)


class Wire:
    """`loss` and `double` are probabilities; delays are drawn from 0..`jitter_ns`, so packets overtake each other."""

    def __init__(
        self, seed: int, rules: list[Rules], loss: float = 0.0, double: float = 0.0, jitter_ns: int = MS
    ) -> None:
        self.random = random.Random(seed)
        self.loss, self.double, self.jitter_ns = loss, double, jitter_ns
        self.now = 0
        self.cut: set[tuple[int, int]] = set()  # (from, to): nothing passes this way
        self.routers = [Router(r, State(priority=r.priority)) for r in rules]
        self._due: list[tuple[int, int, int, Event]] = []
        self._serial = 0

    def start(self, index: int, resume: bool = False) -> None:
        router = self.routers[index]
        router.dead = router.frozen = False
        router.queue.clear()
        router.state = State(priority=router.rules.priority, holding=router.addresses)
        self.happen(index, Startup(resume))

    def kill(self, index: int) -> None:
        """SIGKILL: nothing is said, the kernel keeps the addresses."""
        self.routers[index].dead = True

    def freeze(self, index: int) -> None:
        self.routers[index].frozen = True

    def thaw(self, index: int) -> None:
        """The socket is drained before the timer acts."""
        router = self.routers[index]
        router.frozen = False
        queue, router.queue = router.queue, []
        for event in queue:
            self.happen(index, event)
        self.happen(index, TimerFired())

    def happen(self, index: int, event: Event) -> None:
        router = self.routers[index]
        if router.dead:
            return
        if router.frozen:
            if isinstance(event, Advert | AdvertZero):
                router.queue.append(event)
            return
        old = router.state
        router.state, effects = step(router.rules, old, event, self.now)
        if router.state.role is not old.role:
            router.changes.append((self.now, router.state.role))
        for effect in effects:
            self._effect(index, effect)
        deadline = router.state.deadline_ns
        if deadline is not None and deadline != old.deadline_ns:
            self._push(max(deadline, self.now), index, TimerFired())

    def run(self, until_ns: int) -> None:
        while self._due and self._due[0][0] <= until_ns:
            self.now, _, index, event = heapq.heappop(self._due)
            self.happen(index, event)
        self.now = until_ns

    def masters(self, side: int | None = None) -> list[int]:
        return [
            i
            for i, r in enumerate(self.routers)
            if r.state.role is Role.MASTER and not r.dead and not r.frozen and side in (None, r.side)
        ]

    def _effect(self, index: int, effect: Effect) -> None:
        router = self.routers[index]
        if isinstance(effect, AddAddresses):
            router.addresses = True
        elif isinstance(effect, RemoveAddresses):
            router.addresses = False
        elif isinstance(effect, SendAdvert):
            src = router.rules.own_ip
            event = Advert(effect.priority, src, router.rules.advert_int_ns) if effect.priority else AdvertZero(src)
            for other, peer in enumerate(self.routers):
                if other == index or peer.side != router.side or (index, other) in self.cut:
                    continue
                for _ in range(2 if self.random.random() < self.double else 1):
                    if self.random.random() >= self.loss:
                        self._push(self.now + self.random.randint(0, self.jitter_ns), other, event)

    def _push(self, when_ns: int, index: int, event: Event) -> None:
        self._serial += 1
        heapq.heappush(self._due, (when_ns, self._serial, index, event))


def some_rules(random_: random.Random, count: int, *, preempt: bool | None = None, six: bool = False) -> list[Rules]:
    """Routers of one virtual router: same version and interval, own priorities and policies. `six`: over IPv6, with
    addresses of which some differ in their upper half."""
    version = 3 if six else random_.choice((2, 3))
    advert_int_ns = 1000 * MS if version == 2 else random_.choice((10, 100, 1000)) * MS
    return [
        replace(
            Rules(),
            version=version,
            advert_int_ns=advert_int_ns,
            priority=random_.choice((1, 50, 100, 100, 101, 200, 254)),
            own_ip=(0xFE80 << 112 | (i & 1) << 64 | i + 1) if six else 0x0A000001 + i,
            preempt=random_.random() < 0.7 if preempt is None else preempt,
            preempt_delay_ns=0 if preempt else random_.choice((0, 0, 2 * advert_int_ns)),
        )
        for i in range(count)
    ]
