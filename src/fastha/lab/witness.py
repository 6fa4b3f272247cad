"""The laboratory's side of the client process: reads its lines, keeps every request, answers questions about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter

from fastha.errors import SystemFault
from fastha.lab.measure import OK, Request, Seen, measure
from fastha.lab.netns import Namespace


class Witness:
    """A running client. `poll` must be called often enough that its pipe (64 KiB) does not fill up."""

    def __init__(self, namespace: Namespace, ip: str, port: int, rate: float = 200.0, timeout_s: float = 1.0) -> None:
        argv = [
            sys.executable,
            "-m",
            "fastha.lab.client",
            ip,
            str(port),
            "--rate",
            str(rate),
            "--timeout",
            str(timeout_s),
        ]
        self.timeout_s = timeout_s
        self.requests: list[Request] = []
        self.in_flight = 0
        self.skipped = 0
        self.reported_ns = 0
        self._late: list[tuple[int, float]] = []
        self._partial = b""
        self._process = namespace.popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def poll(self) -> None:
        """Take in what the client has said meanwhile. Raises SystemFault when it has died."""
        assert self._process.stdout is not None
        while True:
            try:
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                return
            if not chunk:
                raise SystemFault(f"the client process ended (exit {self._process.wait(5)})")
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, line: dict[str, object]) -> None:
        self.requests += [Request(*one) for one in line["done"]]  # type: ignore[attr-defined]
        self.in_flight, self.skipped = line["in_flight"], line["skipped"]  # type: ignore[assignment]
        self.reported_ns = line["now"]  # type: ignore[assignment]
        if line["late_ms"]:
            self._late.append((self.reported_ns, line["late_ms"]))  # type: ignore[arg-type]

    def complete_until(self, end_ns: int) -> bool:
        """Whether every request started before `end_ns` is known to be over."""
        return self.reported_ns >= end_ns + int(self.timeout_s * 1e9) + 50_000_000

    def seen(self, begin_ns: int, end_ns: int) -> Seen:
        """What it saw of requests started in the window; ask when `complete_until(end_ns)`."""
        return measure(self.requests, begin_ns, end_ns)

    def late_ms(self, begin_ns: int, end_ns: int) -> float:
        """How late the client itself was at worst: a gap of this size may be its own (a busy machine)."""
        return max((late for when, late in self._late if begin_ns <= when <= end_ns + 50_000_000), default=0.0)

    def recent(self, seconds: float = 1.0) -> tuple[float, float, Counter[str]]:
        """(answers per second, errors per second, answers by server) of the last `seconds` reported."""
        since = self.reported_ns - int(seconds * 1e9)
        answers: Counter[str] = Counter()
        errors = 0
        for request in reversed(self.requests):  # nearly in order of their end
            if request.end_ns < since:
                break
            if request.outcome == OK:
                answers[request.server] += 1
            else:
                errors += 1
        return answers.total() / seconds, errors / seconds, answers

    def answered_since(self, begin_ns: int, server: str = "") -> bool:
        """Whether a request that started after `begin_ns` was answered (by `server`)."""
        for request in reversed(self.requests):
            if request.end_ns < begin_ns:
                return False
            if request.start_ns >= begin_ns and request.outcome == OK and server in ("", request.server):
                return True
        return False

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def now_ns() -> int:
    """The clock of all this: CLOCK_MONOTONIC."""
    return time.monotonic_ns()
