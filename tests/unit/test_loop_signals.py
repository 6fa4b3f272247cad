"""Signals through the reactor's own loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fastha.loop.reactor import Reactor
from fastha.loop.signals import Signals

S = 1_000_000_000


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    r = Reactor()

    def too_long() -> None:
        raise TimeoutError("no signal came")

    r.call_later(20 * S, too_long)
    yield r
    r.close()


def test_signals_arrive_as_callbacks_in_the_loop(reactor: Reactor) -> None:
    got: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        got.append(number)
        if len(got) < 3:
            reactor.call_later(1_000_000, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        else:
            reactor.stop()

    signals = Signals(reactor, on_signal, (signal.SIGHUP, signal.SIGUSR1))
    os.kill(os.getpid(), signal.SIGHUP)  # before the loop runs: kept
    reactor.run()
    signals.close()
    assert got == [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR1]


def test_a_child_that_ends_is_a_signal_too(reactor: Reactor) -> None:
    got: list[int] = []

    def on_signal(number: int) -> None:
        got.append(number)
        reactor.stop()

    signals = Signals(reactor, on_signal, (signal.SIGCHLD,))
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    reactor.run()
    child.wait()
    signals.close()
    assert got == [signal.SIGCHLD]


def test_programs_started_meanwhile_inherit_nothing(reactor: Reactor) -> None:
    def descriptors() -> str:
        return subprocess.run(
            ["ls", "/proc/self/fd"], capture_output=True, text=True, check=True, close_fds=False
        ).stdout

    before = descriptors()
    signals = Signals(reactor, print)
    assert descriptors() == before
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    signals.close()
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig") and "\t" in line)
    assert int(masks["SigBlk"], 16) == 0
    assert int(masks["SigCgt"], 16) & 1 << (signal.SIGTERM - 1) == 0
    assert int(masks["SigIgn"], 16) & 1 << (signal.SIGTERM - 1) == 0


def test_close_restores_what_was_there(reactor: Reactor) -> None:
    before = signal.getsignal(signal.SIGUSR1), signal.set_wakeup_fd(-1)
    signals = Signals(reactor, print, (signal.SIGUSR1,))
    assert signal.getsignal(signal.SIGUSR1) != before[0]
    signals.close()
    signals.close()
    assert (signal.getsignal(signal.SIGUSR1), signal.set_wakeup_fd(-1)) == before
