"""BFD sessions on a virtual wire with a virtual clock: loss, duplication, reordering, one-way links, freezes, deaths.

Two ends, each the machine with timers as the lane keeps them (jitter and drain included), driven by one seed.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastha.bfd import machine
from fastha.bfd.adopt import adopt
from fastha.bfd.machine import Notify, Packet, Poll, Send, Session, State, step, transmit_us
from fastha.bfd.rules import Rules
from fastha.model.units import NS_PER_MS, NS_PER_S, NS_PER_US

MS = NS_PER_MS


@dataclass
class End:
    rules: Rules
    session: Session
    tx_at_ns: int | None = None
    sent_ns: int = 0
    dead: bool = False
    frozen: bool = False
    inbox: list[Packet] = field(default_factory=list)
    changes: list[tuple[int, State]] = field(default_factory=list)
    timer: int = 0  # serial of the timer that counts

    @property
    def up(self) -> bool:
        return not self.dead and self.session.state is State.UP


class Wire:
    """`run(until)` plays everything that is due; `ends[0]` and `ends[1]` are the two."""

    def __init__(self, seed: int, *rules: Rules) -> None:
        self.random = random.Random(seed)
        self.now = 1000 * NS_PER_S
        self.loss = [0.0, 0.0]  # of what end 0, end 1 sends
        self.double = 0.0
        self.delay_ns = (MS // 40, MS // 40)  # all alike: in order
        self._serial = itertools.count(1)
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self.ends = [End(r, machine.new(r, self.random.randrange(1, 1 << 32))) for r in rules]
        for i in range(2):
            self._arm(i)

    # -- what happens to an end --

    def happen(self, i: int, event: machine.Event) -> None:
        end = self.ends[i]
        end.session, effects = step(end.rules, end.session, event, self.now)
        for effect in effects:
            if isinstance(effect, Send):
                self._send(i, effect.final)
            elif isinstance(effect, Notify):
                end.changes.append((self.now, effect.new))
        self._arm(i)

    def kill(self, i: int) -> None:
        self.ends[i].dead = True
        self.ends[i].inbox.clear()

    def facts(self, i: int) -> dict[str, Any]:
        """What it last told its parent."""
        s, rules = self.ends[i].session, self.ends[i].rules
        return {
            "state": str(s.state), "discriminator": s.mine, "remote_discriminator": s.yours, "desired_us": s.desired_us,
            "required_us": s.required_us, "multiplier": rules.multiplier, "remote_min_tx_us": s.remote_min_tx_us,
            "remote_min_rx_us": s.remote_min_rx_us, "remote_multiplier": s.remote_multiplier,
            "remote_demand": s.remote_demand, "tx_us": transmit_us(rules, s),
        }  # fmt: skip

    def replace(self, i: int, told: dict[str, Any], died_ago_ns: int) -> None:
        """A new process plays this end, and knows what the old one told."""
        end = self.ends[i]
        end.dead = end.frozen = False
        end.session = adopt(end.rules, told, died_ago_ns, told["discriminator"], self.now)
        end.sent_ns = 0
        if end.up:
            self._send(i, False)
        self._arm(i)

    def freeze(self, i: int) -> None:
        self.ends[i].frozen = True

    def thaw(self, i: int) -> None:
        """It runs again: what has come meanwhile is heard before any timer."""
        end = self.ends[i]
        end.frozen = False
        inbox, end.inbox = end.inbox, []
        for packet in inbox:
            self.happen(i, packet)
        self._arm(i)

    def reload(self, i: int, rules: Rules) -> None:
        self.ends[i].rules = rules
        self.happen(i, machine.RulesChanged())

    # -- time --

    def run(self, until_ns: int) -> None:
        while self._heap and self._heap[0][0] <= until_ns:
            self.now, _, callback = heapq.heappop(self._heap)
            callback()
        self.now = until_ns

    def until(self, condition: Callable[[], bool], deadline_ns: int) -> int:
        """Play until it is true; how long that took. AssertionError after `deadline_ns`."""
        start = self.now
        while not condition():
            assert self._heap
            assert self._heap[0][0] <= start + deadline_ns, f"not within {deadline_ns / MS} ms"
            self.run(self._heap[0][0])
        return self.now - start

    def _at(self, when_ns: int, callback: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(when_ns, self.now), next(self._serial), callback))

    def _arm(self, i: int) -> None:
        """Both timers of an end, as engine.session_arm does."""
        end = self.ends[i]
        end.timer = next(self._serial)
        interval_ns = transmit_us(end.rules, end.session) * NS_PER_US
        mark = end.timer
        if interval_ns:
            due = max(end.sent_ns + int(interval_ns * self.random.uniform(0.75, 0.9)), self.now)
            self._at(due, lambda: self._due(i, mark, True))
        if end.session.detect_at_ns is not None:
            self._at(end.session.detect_at_ns, lambda: self._due(i, mark, False))

    def _due(self, i: int, mark: int, transmit: bool) -> None:
        end = self.ends[i]
        if end.dead or end.frozen or end.timer != mark:
            return
        if transmit:
            self._send(i, False)
            self._arm(i)
        else:
            self.happen(i, machine.DetectionTimer())

    # -- the wire --

    def _send(self, i: int, final: bool) -> None:
        end = self.ends[i]
        if end.dead:
            return
        end.sent_ns = self.now
        s = end.session
        poll = s.poll is not Poll.NONE and not final
        packet = Packet(
            s.state, s.mine, end.rules.multiplier, s.desired_us, s.required_us, s.diag, poll, final
        )  # fmt: skip
        yours = s.yours
        for _ in range(2 if self.random.random() < self.double else 1):
            if self.random.random() >= self.loss[i]:
                self._at(self.now + self.random.randint(*self.delay_ns), lambda: self._arrive(1 - i, packet, yours))

    def _arrive(self, i: int, packet: Packet, yours: int) -> None:
        end = self.ends[i]
        known = yours in (0, end.session.mine)  # section 6.8.6: no session, discarded
        if not yours and packet.state not in (State.DOWN, State.ADMIN_DOWN):
            known = False
        if end.dead or not known:
            return
        if end.frozen:
            end.inbox.append(packet)
        else:
            self.happen(i, packet)


def some_rules(r: random.Random, multiplier: tuple[int, ...] = (2, 3, 5)) -> Rules:
    return Rules(
        min_tx_us=r.choice((3_300, 20_000, 50_000, 100_000, 300_000, 1_500_000)),
        min_rx_us=r.choice((3_300, 20_000, 50_000, 100_000, 300_000, 1_500_000)),
        multiplier=r.choice(multiplier),
    )
