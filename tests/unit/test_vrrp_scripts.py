"""vrrp_script: results and rhythm, with commands that end when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastha.child.runner import Done
from fastha.model import Script, VrrpScript
from fastha.vrrp.scripts import Result, Scripts, how, judged

MS = 1_000_000


def test_a_single_result_decides_at_the_start_and_rows_later() -> None:
    up, down = judged(Result(), True, 3, 3), judged(Result(), False, 3, 3)
    assert (up, down) == (Result(True), Result(False))
    one = judged(up, False, 1, 3)
    two = judged(one, False, 1, 3)
    assert (one, two) == (Result(True, 1), Result(True, 2))
    assert judged(two, True, 1, 3) == Result(True), "a good one in between starts anew"
    assert judged(two, False, 1, 3) == Result(False)
    assert judged(Result(False), True, 2, 1) == Result(False, 1)
    assert judged(Result(False, 1), True, 2, 1) == Result(True)


def test_how_it_ended() -> None:
    assert how(Done(0, 1, status=3)) == "ended with status 3"
    assert how(Done(0, 1, status=-9)) == "ended by SIGKILL"
    assert how(Done(0, 1, late=True, status=-15)) == "did not end in time"
    assert how(Done(0, 1, refused="no such file")) == "no such file"


class Clock:
    """The reactor's clock and timers."""

    def __init__(self) -> None:
        self.now = 0
        self.timers: list[Timer] = []

    def now_ns(self) -> int:
        return self.now

    def call_at(self, when_ns: int, callback: Callable[[], object]) -> Timer:
        timer = Timer(self, when_ns, callback)
        self.timers.append(timer)
        return timer

    def run(self, until_ns: int) -> None:
        while due := [t for t in self.timers if t.when_ns <= until_ns]:
            timer = min(due, key=lambda t: t.when_ns)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when_ns)
            timer.callback()
        self.now = until_ns


class Timer:
    def __init__(self, clock: Clock, when_ns: int, callback: Callable[[], object]) -> None:
        self.clock, self.when_ns, self.callback = clock, when_ns, callback

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


class Hands:
    """A runner whose commands wait for `end`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.started: list[int] = []
        self.open: dict[int, Callable[[Done], object]] = {}
        self.cancelled: list[int] = []

    def run(self, script: Script, timeout_ns: int, done: Callable[[Done], object]) -> int:
        self.started.append(self.clock.now)
        self.open[len(self.started)] = done
        return len(self.started)

    def cancel(self, ticket: int) -> None:
        self.cancelled.append(ticket)
        self.open.pop(ticket, None)

    def end(self, status: int = 0, lost: str = "") -> None:
        (ticket,) = self.open
        self.open.pop(ticket)(Done(0, self.clock.now, status=status, lost=lost))

    def close(self) -> None:
        self.open.clear()


ONE = VrrpScript(name="one", script=Script(("/bin/x",)), interval_ns=100 * MS, timeout_ns=100 * MS, fall=2, rise=2)


def start(*scripts: VrrpScript) -> tuple[Clock, Hands, Scripts, list[tuple[str, bool]]]:
    clock = Clock()
    hands = Hands(clock)
    told: list[tuple[str, bool]] = []
    running = Scripts(clock, hands, lambda name, up, _why: told.append((name, up)))  # type: ignore[arg-type]
    running.follow(scripts)
    clock.run(0)
    return clock, hands, running, told


def test_it_runs_at_once_and_in_a_rhythm() -> None:
    clock, hands, _, told = start(ONE)
    for at_ms in (100, 200, 300):
        hands.end()
        clock.run(at_ms * MS)
    assert hands.started == [0, 100 * MS, 200 * MS, 300 * MS]
    assert told == [("one", True)]


def test_never_two_at_once() -> None:
    clock, hands, scripts, _ = start(ONE)
    clock.run(350 * MS)
    assert hands.started == [0]
    assert scripts.facts()["one"]["skipped"] == 3
    hands.end()
    clock.run(400 * MS)
    assert hands.started == [0, 400 * MS]


def test_rows_and_what_is_lost() -> None:
    clock, hands, scripts, told = start(ONE)
    for number, status in enumerate((0, 1, 0, 1, 1, 0, 0), 1):
        hands.end(status)
        clock.run(number * 100 * MS)
    assert told == [("one", True), ("one", False), ("one", True)]
    hands.end(lost="the spawner has ended")
    assert scripts.facts()["one"] == {"up": True, "runs": 7, "failures": 3, "skipped": 0}


def test_init_fail_and_a_reload() -> None:
    clock, hands, scripts, told = start(replace(ONE, init_fail=True))
    assert told == [("one", False)]
    hands.end()
    clock.run(100 * MS)
    scripts.follow([replace(ONE, init_fail=True, rise=1)])
    assert not hands.cancelled, "the command is the same: it goes on"
    hands.end()
    assert told[1:] == [("one", True)]
    clock.run(200 * MS)
    scripts.follow([replace(ONE, script=Script(("/bin/y",)))])
    assert hands.cancelled == [3]
    clock.run(200 * MS)
    hands.end(1)
    assert told[2:] == [("one", False)]
    scripts.follow([])
    clock.run(1000 * MS)
    assert len(hands.started) == 4
