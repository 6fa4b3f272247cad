"""What Python sees of the probe engine (probe.pxd is the specification)."""

from collections.abc import Callable, Sequence
from struct import Struct

from fastha.loop.reactor import Reactor

RESULT: Struct
"""One result: slot, generation, ending (fastha.checker.ending), url, detail (errno, HTTP status, length, rcode),
started_ns, ended_ns."""

KINDS: tuple[str, ...]
"""Kinds of checks, in the order of `kind_t`."""

ENDING_NAMES: dict[str, int]
"""`ending_t` as compiled, for the test that compares it with fastha.checker.ending.Ending."""

def period_ns(started_ns: int, delay_ns: int, now_ns: int) -> int:
    """The native twin of verdict.next_start_ns for PERIOD."""

class Probes:
    """All probes of the checker. One per reactor (timer kinds are few and never given back)."""

    limit: int
    in_flight: int
    queued: int
    def __init__(self, reactor: Reactor, on_results: Callable[[bytes], object], limit: int = 4096) -> None:
        """`on_results(data)` is called at most once per turn, before the loop sleeps; `data` is an array of at most
        1024 RESULT, and what is left has its turn after the channel and the timers have had theirs."""
    def open(
        self,
        ip: str,
        port: int,
        *,
        timeout_ns: int,
        delay_ns: int,
        kind: str = "",
        bind_ip: str = "",
        bind_port: int = 0,
        bind_if: str = "",
        mark: int = 0,
        reset: bool = True,
        urls: Sequence[tuple[bytes, tuple[tuple[int, int], ...], bytes]] = (),
        question: bytes = b"",
        pattern: bytes = b"",
        mask: bytes = b"",
        require_reply: bool = False,
        least: int = 0,
        most: int = 65535,
    ) -> int:
        """A slot (its number) for a check of `kind` (one of KINDS; "": HTTP_GET with `urls`, else TCP_CHECK). It is
        held until `schedule`. ValueError, OSError.

        `urls`: (request, closed ranges of accepted statuses within 100..599, MD5 of the body or b"").
        `question`: the payload of UDP_CHECK; the query of DNS_CHECK (its id is filled in).
        `pattern`, `mask`: one length; with `require_reply` a reply of UDP_CHECK begins so where bits of `mask` are 1,
        and has `least` to `most` bytes. `mark`: SO_MARK. `reset`: end streams with RST.
        """
    def close_slot(self, slot: int) -> None:
        """Cancel what the slot does and give it back. Results it has left are not delivered."""
    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        """Start a held or waiting slot at `when_ns` with this URL; `steady`: keep going by itself while good."""
    def stats(self, slot: int) -> tuple[int, int, int]:
        """(probes ended, of them failures, nanoseconds the last good one took, in whole microseconds, or -1)."""
    def generation(self, slot: int) -> int: ...
    def take(self) -> bytes:
        """The oldest results, at most 1024, as an array of RESULT; they are gone from here."""
    def counters(self) -> dict[str, int]:
        """started == ended + cancelled + in_flight (at most `limit`, so far at most `most_in_flight`); waited: had to
        queue; resets, farewells: connections ended by us with RST or FIN; late_1ms .. later: how late probes started;
        and one count for each ending."""
    def check(self) -> int:
        """0 if every invariant of the engine holds, else the number of the broken one."""
    def close(self) -> None:
        """Cancel everything. Idempotent."""
