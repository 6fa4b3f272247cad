"""The engine of conversations on a real reactor, for tests: `run(checks)` asks each once and gives the answers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from fastha.checker.engine import Answer
from fastha.checker.talk.engine import Talks
from fastha.loop.reactor import Reactor
from fastha.model import Check
from need import wait_until

S = 1_000_000_000


class TalkBench:
    """Use as a context manager: at the end nothing may be left, no descriptor either."""

    def __init__(self, limit: int = 512, handshakes: int = 16) -> None:
        self.before = open_fds()
        self.reactor = Reactor()
        self.notices: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.talks = Talks(
            self.reactor,
            self._answers,
            lambda s, t: self.notices.append((s, t)),
            self.warnings.append,
            limit,
            handshakes,
        )
        self._got: dict[int, Answer] = {}
        self._asked: set[int] = set()

    def __enter__(self) -> TalkBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.talks.close()
        assert self.talks.check() == ""
        counters = self.talks.counters()
        assert counters["started"] == counters["ended"] + counters["cancelled"]
        assert counters["in_flight"] == counters["handshakes"] == 0
        assert len(self.talks._contexts) == 0
        self.reactor.close()
        # A server in another thread of this process closes its ends when it comes to it.
        wait_until(lambda: open_fds() <= self.before, 5, "every descriptor of a conversation is closed")

    def _answers(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if answer.slot in self._asked:
                assert answer.slot not in self._got, "one answer each"
                self._got[answer.slot] = answer
        if len(self._got) >= len(self._asked):
            self.reactor.stop()

    def run(self, checks: Sequence[Check], deadline_s: float = 30) -> list[Answer]:
        slots = [self.talks.open(check) for check in checks]
        answers = self.again(slots, deadline_s)
        for slot in slots:
            self.talks.close_slot(slot)
        return answers

    def again(self, slots: Sequence[int], deadline_s: float = 30, url: int = 0) -> list[Answer]:
        """Ask in slots that are open."""
        self._got.clear()
        self._asked = set(slots)
        for slot in slots:
            self.talks.schedule(slot, self.reactor.now_ns(), url)
        guard = self.reactor.call_later(int(deadline_s * S), self.reactor.stop)
        self.reactor.run()
        guard.cancel()
        assert len(self._got) == len(slots), f"{len(slots) - len(self._got)} hang: {self.talks.counters()}"
        assert self.talks.check() == ""
        return [self._got[slot] for slot in slots]

    def one(self, check: Check) -> Answer:
        return self.run([check])[0]


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))
