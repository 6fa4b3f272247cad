"""A probe engine without sockets: the test says how each probe ends. Same methods as fastha.checker.probe.Probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastha.checker.ending import GOOD, Ending
from fastha.checker.probe import RESULT
from oracles.virtual_reactor import VirtualReactor


@dataclass
class Slot:
    target: tuple[str, int]
    generation: int
    when_ns: int = -1
    url: int = 0
    steady: bool = False
    checks: int = 0
    failures: int = 0
    schedules: int = 0


class FakeProbes:
    def __init__(self, reactor: VirtualReactor, on_results: Callable[[bytes], object]) -> None:
        self.slots: dict[int, Slot] = {}
        self.closed = 0
        self._reactor = reactor
        self._on_results = on_results
        self._opened = 0

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
        slot = next(i for i in range(len(self.slots) + 1) if i not in self.slots)
        self._opened += 1
        self.slots[slot] = Slot((ip, port), self._opened)
        return slot

    def close(self) -> None:
        self.slots.clear()

    def close_slot(self, slot: int) -> None:
        del self.slots[slot]
        self.closed += 1

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        s = self.slots[slot]
        s.when_ns, s.url, s.steady, s.schedules = when_ns, url, steady, s.schedules + 1

    def stats(self, slot: int) -> tuple[int, int, int]:
        s = self.slots[slot]
        return s.checks, s.failures, 1_000_000 if s.checks > s.failures else -1

    def generation(self, slot: int) -> int:
        return self.slots[slot].generation

    def counters(self) -> dict[str, int]:
        ended = sum(s.checks for s in self.slots.values())
        return {"started": ended, "ended": ended}

    def at(self, ip: str, port: int = 80) -> int:
        """The slot that probes this address."""
        (slot,) = [n for n, s in self.slots.items() if s.target == (ip, port)]
        return slot

    def end(self, *answers: tuple[int, Ending], detail: int = 0) -> None:
        """These slots' probes end so, in one turn."""
        data = b""
        now = self._reactor.now_ns()
        for slot, ending in answers:
            s = self.slots[slot]
            s.checks += 1
            s.failures += ending not in GOOD
            data += RESULT.pack(slot, s.generation, ending, s.url, detail, now - 1_000_000, now)
        self._on_results(data)
