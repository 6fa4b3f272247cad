"""The kernel announces that rows changed: repaired soon, at most once a second, and the queue is always emptied."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from fastha.checker.watch import APART_NS, SETTLE_NS, Watch
from oracles.virtual_reactor import VirtualReactor


class Kernel:
    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair()
        self.announcing = False
        self.asked = 0

    def announce(self) -> None:
        self._theirs.send(b"x")

    def fileno(self) -> int:
        return self.ours.fileno()

    def disturbed(self) -> bool:
        self.asked += 1
        self.ours.recv(100)
        return self.announcing

    def close(self) -> None:
        self.ours.close()
        self._theirs.close()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


def test_watch(kernel: Kernel) -> None:
    reactor, repairs = VirtualReactor(), list[int]()
    watch = Watch(kernel, reactor, lambda: repairs.append(reactor.now_ns()))  # type: ignore[arg-type]

    def announced(ours: bool) -> None:
        kernel.announcing = ours
        kernel.announce()
        watch._heard(1)

    announced(False)  # somebody else's table
    reactor.advance(10 * APART_NS)
    assert repairs == []
    begin = reactor.now_ns()
    for _ in range(5):
        announced(True)
    reactor.advance(SETTLE_NS)
    assert repairs == [begin + SETTLE_NS]
    announced(True)
    reactor.advance(3 * APART_NS)
    assert repairs == [begin + SETTLE_NS, begin + SETTLE_NS + APART_NS]
    assert kernel.asked == 7
    announced(True)
    watch.close()
    reactor.advance(3 * APART_NS)
    assert len(repairs) == 2
