"""The probe engine on a real reactor, for tests that try it on servers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from fastha.checker.ending import Ending
from fastha.checker.native import open_slot
from fastha.checker.probe import RESULT, Probes
from fastha.loop.reactor import Reactor
from fastha.model import Check

MS = 1_000_000
S = 1_000_000_000


class Bench:
    """An engine on a real reactor; `run(checks)` probes each once and says how it ended."""

    def __init__(self, limit: int = 4096) -> None:
        self.reactor = Reactor()
        self.early: Callable[[], object] = lambda: None  # runs before results are delivered
        self.reactor.before_sleep(lambda: self.early())
        self.probes = Probes(self.reactor, self._results, limit)
        self.got: dict[int, tuple[Ending, int]] = {}
        self.wanted = 0
        self.took_ns: dict[int, int] = {}

    def _results(self, data: bytes) -> None:
        assert 0 < len(data) <= 256 * RESULT.size, "a storm comes in parts"
        for slot, generation, ending, _url, detail, started, ended in RESULT.iter_unpack(data):
            assert generation == self.probes.generation(slot)
            assert slot not in self.got, "one answer each"
            self.got[slot] = Ending(ending), detail
            self.took_ns[slot] = ended - started
        if len(self.got) >= self.wanted:
            self.reactor.stop()

    def run(self, checks: list[Check], deadline_s: float = 30) -> list[Ending]:
        slots = [open_slot(self.probes, check) for check in checks]
        self.got.clear()
        self.wanted = len(slots)
        now = self.reactor.now_ns()
        for slot in slots:
            self.probes.schedule(slot, now)
        guard = self.reactor.call_later(int(deadline_s * S), self.reactor.stop)
        self.reactor.run()
        guard.cancel()
        assert len(self.got) == len(slots), f"{len(slots) - len(self.got)} probes hang: {self.probes.counters()}"
        assert self.probes.check() == 0
        assert self.probes.in_flight == 0
        for slot in slots:
            self.probes.close_slot(slot)
        assert self.probes.check() == 0
        return [self.got[slot][0] for slot in slots]

    def close(self) -> None:
        self.probes.close()
        assert self.probes.check() == 0
        counters = self.probes.counters()
        assert counters["started"] == counters["ended"] + counters["cancelled"]
        self.reactor.close()


def closed_port() -> int:
    """Where nobody listens, by TCP or UDP, nor will: not one that the kernel would give to a socket that asks for any
    (ip_local_port_range), such as those of the probes themselves."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(first - 1, 1023, -1):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                for family, ip in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                    stack.enter_context(socket.socket(family, kind)).bind((ip, port))
            return port
    raise AssertionError("every port is taken")
