"""What Python sees of the probe engine (probe.pxd is the specification)."""

from collections.abc import Callable, Sequence
from struct import Struct

from fastha.loop.reactor import Reactor

RESULT: Struct
"""One result: slot, generation, ending (fastha.checker.ending), url, detail (errno or HTTP status), started_ns,
ended_ns."""

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
        bind_ip: str = "",
        bind_port: int = 0,
        urls: Sequence[tuple[bytes, tuple[tuple[int, int], ...], bytes]] = (),
    ) -> int:
        """A slot (its number) for a TCP check, or for an HTTP check with `urls`: (request, closed ranges of accepted
        statuses within 100..599, MD5 of the body or b""). It is held until `schedule`. ValueError, OSError."""
    def close_slot(self, slot: int) -> None:
        """Cancel what the slot does and give it back. Results it has left are not delivered."""
    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        """Start a held or waiting slot at `when_ns` with this URL; `steady`: keep going by itself while good."""
    def stats(self, slot: int) -> tuple[int, int, int]:
        """(probes ended, of them failures, nanoseconds the last good one took or -1)."""
    def generation(self, slot: int) -> int: ...
    def take(self) -> bytes:
        """The oldest results, at most 1024, as an array of RESULT; they are gone from here."""
    def counters(self) -> dict[str, int]:
        """started == ended + cancelled + in_flight; waited: had to queue; and one count for each ending."""
    def check(self) -> int:
        """0 if every invariant of the engine holds, else the number of the broken one."""
    def close(self) -> None:
        """Cancel everything. Idempotent."""
