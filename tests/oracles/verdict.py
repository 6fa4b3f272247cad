"""Slow twins of checker.verdict and checker.plan, told as stories instead of tables."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SlowCheck:
    """keepalived's checker as its manual tells it: flags and counters, one long function."""

    urls: int
    retry: int
    delay_ns: int
    retry_delay_ns: int
    fast_recovery: bool = False
    rise: int = 1
    passes: int = 0
    is_http: bool = False
    counts_as_up: bool = True
    has_run: bool = False
    is_up: bool = False
    tries_left: int = 0
    clean: list[int] = field(default_factory=list)  # URLs that answered well since the last failure, in order
    next_url: int = 0

    def answer(self, good: bool | None, started_ns: int, now_ns: int) -> int:
        """One probe of `next_url` ended (None: we could not ask). Returns when the next one starts."""
        if good is None:
            return now_ns + max(self.retry_delay_ns, 1_000_000_000)
        was_up = self.has_run and self.is_up
        if good:
            self.tries_left = self.retry
            self.clean.append(self.next_url)
            if was_up:
                self.next_url = (self.next_url + 1) % self.urls
                return self._grid(started_ns, now_ns, self.delay_ns)
            wanted = list(range(self.urls))
            if self.clean[-self.urls :] == wanted and self._in_one_pass():
                self.passes += 1
                if self.has_run and self.passes < self.rise:
                    self.clean, self.next_url = [], 0
                    return self._grid(started_ns, now_ns, self.delay_ns)
                self.has_run = self.is_up = self.counts_as_up = True
                self.next_url = 0
                return self._grid(started_ns, now_ns, self.delay_ns)
            walking = self._in_one_pass()
            self.next_url = self.next_url + 1 if walking else 0
            if not walking:
                self.clean = []
            return now_ns if self.fast_recovery else self._grid(started_ns, now_ns, self.delay_ns)
        self.clean, self.passes = [], 0
        if was_up and self.tries_left > 0:
            self.tries_left -= 1
            return now_ns + self.retry_delay_ns
        self.has_run, self.is_up, self.counts_as_up = True, False, False
        poll = max(self.delay_ns, self.retry_delay_ns) if self.is_http else self.delay_ns
        return self._grid(started_ns, now_ns, poll)

    def _in_one_pass(self) -> bool:
        """The URLs that were clean are 0, 1, 2 ... without a hole."""
        return self.clean == list(range(len(self.clean)))

    @staticmethod
    def _grid(started_ns: int, now_ns: int, period_ns: int) -> int:
        when = started_ns + period_ns
        while when <= now_ns:
            when += period_ns
        return when


def slow_quorum(had: bool, weights: list[int], up: list[bool], quorum: int, hysteresis: int) -> bool:
    """Whether a virtual server has quorum, given that it had (or had not)."""
    live = 0
    for weight, alive in zip(weights, up, strict=True):
        if alive:
            live += weight
    if live == 0:
        return False
    if had:
        return live >= quorum - hysteresis
    if live == sum(weights):
        return True  # all there is: nothing more can come
    return live >= quorum + hysteresis


def slow_dests(
    servers: list[tuple[str, int, bool]], up: list[bool], quorum: bool, sorry: tuple[str, bool] | None
) -> dict[str, int]:
    """{name: weight} in the kernel, from (name, weight, inhibit) of each real server and (name, inhibit) of the sorry
    server."""
    table = {}
    if quorum or sorry is None:
        for (name, weight, _inhibit), alive in zip(servers, up, strict=True):
            if alive:
                table[name] = weight
        if sorry is not None and sorry[1]:
            table[sorry[0]] = 0
    else:
        table[sorry[0]] = 1
    for name, _weight, inhibit in servers:
        if inhibit and name not in table:
            table[name] = 0
    return table
