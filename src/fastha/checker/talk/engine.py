"""The engine of checks that hold a conversation (shell): slots, limits, sessions; an `Engine` of fastha.checker.engine.

HELD -> WAITING -> (QUEUED) -> a Flight -> HELD
        timer       limit
"""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fastha.checker.ending import GOOD, OURS
from fastha.checker.engine import HTTP_REGEX, Answer
from fastha.checker.talk import certificate
from fastha.checker.talk.context import Contexts
from fastha.checker.talk.flight import Flight
from fastha.checker.talk.recipe import Recipe, recipe
from fastha.checker.talk.talk import Talk, Verdict
from fastha.checker.talk.tls import TlsTalk
from fastha.checker.talk.turns import Queue
from fastha.loop.reactor import Reactor, Timer
from fastha.model import Check, Networked
from fastha.model.lvs import host_port

WAYS = ("SSL_GET", "SMTP_CHECK", "GRPC_CHECK", HTTP_REGEX)
CONVERSATIONS = 512  # in flight at once
HANDSHAKES = 16  # at once: some 1 ms each, so that none takes the others' time
DAY_S = 86400


@dataclass(slots=True, eq=False)
class Slot:
    """One open check."""

    index: int
    generation: int
    subject: str  # for people: kind and peer
    check: Networked
    recipe: Recipe
    url: int = 0
    timer: Timer | None = None
    flight: Flight | None = None
    checks: int = 0
    failures: int = 0
    took_ns: int = -1
    # By URL, for the names sent may differ; a session is of no use with another context.
    sessions: dict[int, tuple[ssl.SSLContext, ssl.SSLSession]] = field(default_factory=dict)
    warned_s: float = 0.0  # when the certificate's end was last spoken of


class Talks:
    """Answers of a turn are handed to `deliver` at its end. `notice(subject, text)`: what is not a failure and should
    be known (a certificate that ends soon); `warn(text)`: what is wrong here."""

    def __init__(
        self,
        reactor: Reactor,
        deliver: Callable[[Iterable[Answer]], object],
        notice: Callable[[str, str], object] = lambda _subject, _text: None,
        warn: Callable[[str], object] = lambda _text: None,
        limit: int = CONVERSATIONS,
        handshakes: int = HANDSHAKES,
    ) -> None:
        self._reactor = reactor
        self._deliver = deliver
        self._notice = notice
        self._slots: dict[int, Slot] = {}
        self._free: list[int] = []
        self._opened = 0
        self._generations = 0
        self._contexts = Contexts(warn)
        self._flights: Queue[Slot] = Queue(limit, self._launch)
        self._handshakes: Queue[Flight] = Queue(handshakes, Flight.resume)
        self._of: dict[Flight, Slot] = {}
        self._answers: list[Answer] = []
        self._counts: Counter[str] = Counter(started=0, ended=0, cancelled=0, resumed=0)
        reactor.before_sleep(self._hand_over)

    # -- slots --

    def open(self, check: Check) -> int:
        assert isinstance(check, Networked), check
        made = recipe(check)
        if made.tls is not None:
            self._contexts.acquire(made.tls, made.alpn, self._reactor.now_ns())
        if self._free:
            index = self._free.pop()
        else:
            index, self._opened = self._opened, self._opened + 1
        self._generations += 1
        self._slots[index] = Slot(
            index, self._generations, f"{check.kind} {host_port(check.ip, check.port)}", check, made
        )
        return index

    def close_slot(self, slot: int) -> None:
        s = self._slots.pop(slot)
        self._hold(s)
        if s.recipe.tls is not None:
            self._contexts.release(s.recipe.tls, s.recipe.alpn)
        self._free.append(slot)

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        """Every ending is answered: `steady` changes nothing here."""
        s = self._slots[slot]
        self._hold(s)
        s.url = url
        s.timer = self._reactor.call_at(when_ns, lambda: self._due(s))

    def stats(self, slot: int) -> tuple[int, int, int]:
        s = self._slots[slot]
        return s.checks, s.failures, s.took_ns

    def generation(self, slot: int) -> int:
        return self._slots[slot].generation

    def counters(self) -> dict[str, int]:
        return dict(self._counts) | {
            "in_flight": len(self._of),
            "queued": self._flights.waiting,
            "waited": self._flights.waited,
            "handshakes": self._handshakes.inside,
            "handshakes_queued": self._handshakes.waiting,
            "handshakes_waited": self._handshakes.waited,
        }

    def close(self) -> None:
        for slot in list(self._slots):
            self.close_slot(slot)
        self._answers.clear()

    def check(self) -> str:
        """ "" if every invariant holds, else what does not."""
        if self._counts["started"] != self._counts["ended"] + self._counts["cancelled"] + len(self._of):
            return "started, ended, cancelled"
        if self._flights.inside != len(self._of):
            return "conversations in flight"
        if self._handshakes.inside > len(self._of) or self._handshakes.waiting > len(self._of):
            return "handshakes"
        if len(self._of) != sum(s.flight is not None for s in self._slots.values()):
            return "slots in flight"
        return ""

    # -- probes --

    def _hold(self, s: Slot) -> None:
        """Cancel whatever it does."""
        if s.timer is not None:
            s.timer.cancel()
            s.timer = None
        if s.flight is not None:
            flight, s.flight = s.flight, None
            del self._of[flight]
            flight.cancel()
            self._counts["cancelled"] += 1
        self._flights.leave(s)

    def _due(self, s: Slot) -> None:
        s.timer = None
        if self._flights.enter(s):
            self._launch(s)

    def _launch(self, s: Slot) -> None:
        self._counts["started"] += 1
        s.flight = Flight(self._reactor, s.check, self._talk(s), self._handshakes, self._over)
        self._of[s.flight] = s

    def _talk(self, s: Slot) -> Talk:
        made, context = s.recipe, None
        if made.tls is not None:
            context = self._contexts.get(made.tls, made.alpn, self._reactor.now_ns())
        known, session = s.sessions.get(s.url, (None, None))
        return made.talk(s.url, context, session if known is context else None)

    def _over(self, flight: Flight, verdict: Verdict) -> None:
        s = self._of.pop(flight)
        s.flight = None
        now = self._reactor.now_ns()
        self._counts["ended"] += 1
        self._counts[verdict.ending.name.lower()] += 1
        s.checks += 1
        if verdict.ending in GOOD:
            s.took_ns = now - flight.started_ns - flight.waited_ns
        elif verdict.ending not in OURS:
            s.failures += 1
        if isinstance(flight.talk, TlsTalk):
            self._after_tls(s, flight.talk, verdict.ending in GOOD)
        self._answers.append(
            Answer(s.index, s.generation, verdict.ending, s.url, verdict.detail, flight.started_ns, now, verdict.text)
        )
        self._flights.leave(s)

    def _hand_over(self) -> None:
        if self._answers:
            answers, self._answers = self._answers, []
            self._deliver(
                a for a in answers if (s := self._slots.get(a.slot)) is not None and s.generation == a.generation
            )

    # -- TLS: what is kept from one conversation for the next --

    def _after_tls(self, s: Slot, talk: TlsTalk, good: bool) -> None:
        tls = s.recipe.tls
        assert tls is not None
        self._counts["resumed"] += talk.resumed
        # Who wants the certificate looked at has it each time: a resumed session shows none (RFC 8446 section 2.2).
        # Taking a session costs as much as a third of a handshake (ssl copies it), so one is resumed while the server
        # lets us, and taken anew after a full handshake.
        if good and talk.resumed:
            return
        session = talk.session if good and not tls.verify and not tls.expiry_days else None
        if session is not None:
            s.sessions[s.url] = talk.context, session
        else:
            s.sessions.pop(s.url, None)
        if tls.expiry_days and talk.peer is not None:
            self._expiry(s, talk.peer, tls.expiry_days)

    def _expiry(self, s: Slot, der: bytes, days: int) -> None:
        now_s = time.time()
        if now_s - s.warned_s < DAY_S:
            return
        try:
            end_s = certificate.not_after(der)
        except ValueError as error:
            text = f"the certificate cannot be read: {error}"
        else:
            if end_s - now_s >= days * DAY_S:
                return
            date = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(end_s))
            left = int((end_s - now_s) // DAY_S)
            text = f"the certificate {f'ends in {left} days' if end_s > now_s else 'has ended'} ({date})"
        s.warned_s = now_s
        self._notice(s.subject, text)
