"""One check's verdict: what an answer means, and when to ask again. A dense table; pure.

    health     what is known of the checked server by this check: unknown, up, down
    outcome    what one probe found: ok, fail, or ours (our own machine could not ask: no port, no descriptor)

The rules are keepalived's. While up, a failure is followed by up to `retry` more tries, `retry_delay_ns` apart; the one
after those means down. While down, `rise` successes in a row mean up (keepalived: one). Before the first verdict there
is no retry: the first failure means down. HTTP_GET fetches its URLs in order, one each period; a failing URL has its
own retries, is the only one polled while down, and once it works the whole list is walked from its start: up after
`rise` clean passes in a row. Before the first verdict one pass is enough.

Where keepalived waits one more period after the last URL of a clean pass, the verdict falls at once.

In the steady state (up, no failure pending) an `ok` changes nothing but the URL's turn: that case alone is also known
to the native engine (probe.pyx, "steady"), and a test holds it to this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from fastha.model import Check, HttpCheck, SslCheck
from fastha.model.units import NS_PER_S

SHORTAGE_NS = NS_PER_S


class Health(StrEnum):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Outcome(StrEnum):
    OK = "ok"
    FAIL = "fail"
    OURS = "ours"  # says nothing about the server


class Wait(StrEnum):
    """How long until the next probe starts; `next_start_ns` makes it a time."""

    PERIOD = "period"  # the next start on the check's grid
    RETRY = "retry"  # retry_delay_ns from now
    POLL = "poll"  # while down: like PERIOD, but HTTP_GET never polls faster than its retry delay
    NOW = "now"
    SHORTAGE = "shortage"  # we could not ask: like RETRY, but never at once, or a shortage would feed itself


@dataclass(frozen=True, slots=True)
class Rules:
    """A check's numbers, in the shape the table wants. Times in ns."""

    retry: int
    retry_delay_ns: int
    delay_ns: int
    poll_ns: int
    urls: int = 1
    fast_recovery: bool = False
    rise: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """State of one check. `url` is the URL to fetch next."""

    health: Health
    assumed_up: bool = True  # what counts while unknown
    failures: int = 0  # further failures seen of this URL while up
    url: int = 0
    walking: bool = True  # not up: URLs before `url` were clean in this pass; False: polling a failed URL
    passes: int = 0  # down: clean passes since the last failure

    @property
    def up(self) -> bool:
        """What the rest of the house acts on."""
        return self.health is Health.UP or (self.health is Health.UNKNOWN and self.assumed_up)

    @property
    def steady(self) -> bool:
        """Whether the native engine may take successes by itself."""
        return self.health is Health.UP and self.failures == 0


def rules(check: Check) -> Rules:
    """The table's numbers for a configured check."""
    if isinstance(check, HttpCheck | SslCheck):
        return Rules(
            retry=check.retry,
            retry_delay_ns=check.retry_delay_ns,
            delay_ns=check.delay_ns,
            poll_ns=max(check.retry_delay_ns, check.delay_ns),
            urls=max(1, len(check.urls)),
            fast_recovery=check.fast_recovery,
            rise=check.rise,
        )
    return Rules(
        retry=check.retry,
        retry_delay_ns=check.retry_delay_ns,
        delay_ns=check.delay_ns,
        poll_ns=check.delay_ns,
        rise=check.rise,
    )


def start(check: Check) -> Verdict:
    """A check that was never run: unknown, which counts as up unless `alpha`."""
    return _one(Verdict(Health.UNKNOWN, assumed_up=not check.alpha))


def assume(up: bool) -> Verdict:
    """A check whose configuration changed: unknown, and what was so far counts until it has an answer."""
    return _one(Verdict(Health.UNKNOWN, assumed_up=up))


def adopt(up: bool) -> Verdict:
    """A check whose health a predecessor knew: it has all its retries, and a server that is down must prove itself."""
    return _one(Verdict(Health.UP if up else Health.DOWN))


def step(r: Rules, v: Verdict, outcome: Outcome) -> tuple[Verdict, Wait]:
    """The verdict after one probe of URL `v.url`, and when to probe again."""
    new, wait = TABLE[v.health, outcome](r, v)
    return _one(new), wait


@lru_cache(4096)
def _one(v: Verdict) -> Verdict:
    """One object for all checks in this state: there are few states, and many checks."""
    return v


def _walk(r: Rules, v: Verdict) -> tuple[Verdict, Wait]:
    """A clean URL while not up: the next one of the pass, or up after the last."""
    if not v.walking and v.url > 0:  # the failed URL works again: the whole list from its start
        return replace(v, url=0, walking=True), _gap(r)
    if v.url + 1 < r.urls:
        return replace(v, url=v.url + 1, walking=True), _gap(r)
    if v.health is Health.DOWN and v.passes + 1 < r.rise:
        return Verdict(Health.DOWN, passes=v.passes + 1), Wait.PERIOD
    return Verdict(Health.UP), Wait.PERIOD


def _gap(r: Rules) -> Wait:
    return Wait.NOW if r.fast_recovery else Wait.PERIOD


def _fall(r: Rules, v: Verdict) -> tuple[Verdict, Wait]:
    """Down; only the URL that failed is polled."""
    return Verdict(Health.DOWN, url=v.url, walking=False), Wait.POLL


def _turn(r: Rules, v: Verdict) -> tuple[Verdict, Wait]:
    """Up and well: the next URL's turn, with a full count of retries."""
    return Verdict(Health.UP, url=(v.url + 1) % r.urls), Wait.PERIOD


def _miss(r: Rules, v: Verdict) -> tuple[Verdict, Wait]:
    """Up and failing: again soon, until the retries are spent."""
    if v.failures >= r.retry:
        return _fall(r, v)
    return replace(v, failures=v.failures + 1), Wait.RETRY


def _again(r: Rules, v: Verdict) -> tuple[Verdict, Wait]:
    """Nothing was learned."""
    return v, Wait.SHORTAGE


TABLE: Mapping[tuple[Health, Outcome], Callable[[Rules, Verdict], tuple[Verdict, Wait]]] = {
    (Health.UNKNOWN, Outcome.OK): _walk,
    (Health.UNKNOWN, Outcome.FAIL): _fall,
    (Health.UNKNOWN, Outcome.OURS): _again,
    (Health.UP, Outcome.OK): _turn,
    (Health.UP, Outcome.FAIL): _miss,
    (Health.UP, Outcome.OURS): _again,
    (Health.DOWN, Outcome.OK): _walk,
    (Health.DOWN, Outcome.FAIL): _fall,
    (Health.DOWN, Outcome.OURS): _again,
}


def next_start_ns(r: Rules, wait: Wait, started_ns: int, now_ns: int) -> int:
    """When the next probe starts, given when the last one did.

    `started_ns` is when it was to start. Periods count from start to start, so neither a slow answer nor our own
    lateness shifts the grid; periods that were missed are skipped.
    """
    if wait is Wait.NOW:
        return now_ns
    if wait is Wait.RETRY:
        return now_ns + r.retry_delay_ns
    if wait is Wait.SHORTAGE:
        return now_ns + max(r.retry_delay_ns, SHORTAGE_NS)
    period = max(1, r.poll_ns if wait is Wait.POLL else r.delay_ns)
    missed = max(0, now_ns - started_ns) // period
    return started_ns + (missed + 1) * period


def phase_ns(identity: str, span_ns: int) -> int:
    """Where in [0, span) a check's first probe falls: the same for the same check on every run, spread over all."""
    digest = blake2b(identity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % span_ns if span_ns > 0 else 0
