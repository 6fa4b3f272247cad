"""`vrrp_script`: commands that are run again and again, and what their results mean to instances.

`judged` is pure; `Scripts` is the shell: the spawner of child.runner runs its commands.
keepalived.md 1.5: at the start a single result decides, later `rise` or `fall` of them in a row. A script that is still
running when it is due is not started a second time. One that cannot be executed has failed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastha.child.runner import Done, Runner
from fastha.loop.reactor import Reactor, Timer
from fastha.model import VrrpScript

MOST = 1 << 16  # results in a row that are counted

Told = Callable[[str, bool, str], object]  # name, is it up, why


@dataclass(frozen=True, slots=True)
class Result:
    """`up`: None before the first one. `run`: results in a row that say the other thing."""

    up: bool | None = None
    run: int = 0


def judged(before: Result, good: bool, rise: int, fall: int) -> Result:
    """The state after one more result."""
    if before.up is None or before.up is good:
        return Result(good)
    run = min(before.run + 1, MOST)
    return Result(good) if run >= (rise if good else fall) else Result(before.up, run)


def how(done: Done) -> str:
    """How a command ended, in a few words."""
    if done.refused:
        return done.refused
    if done.late:
        return "did not end in time"
    if done.status < 0:
        known = -done.status in set(signal.Signals)
        return f"ended by {signal.Signals(-done.status).name if known else f'signal {-done.status}'}"
    return f"ended with status {done.status}"


@dataclass(eq=False, slots=True)
class Running:
    script: VrrpScript
    result: Result
    timer: Timer | None = None
    due_ns: int = 0
    ticket: int = 0
    runs: int = 0
    failures: int = 0
    skipped: int = 0


class Scripts:
    """`follow` says which scripts there are; `told` hears of a script whose state is another one, from the loop."""

    def __init__(self, reactor: Reactor, runner: Runner, told: Told) -> None:
        self._reactor, self._runner, self._told = reactor, runner, told
        self._running: dict[str, Running] = {}

    def follow(self, scripts: Iterable[VrrpScript]) -> None:
        """Run these from now on. What is known of a command that stays is kept, and its rhythm too."""
        wanted = {script.name: script for script in scripts}
        for name, one in list(self._running.items()):
            new = wanted.get(name)
            if new is None or new.script != one.script.script:
                self._stop(name)
            elif new != one.script:
                one.script = new
        for name, script in wanted.items():
            if name not in self._running:
                one = self._running[name] = Running(script, Result(False) if script.init_fail else Result())
                one.due_ns = self._reactor.now_ns()
                self._arm(one)
                if script.init_fail:
                    self._told(name, False, "it starts as failed (init_fail)")

    def facts(self) -> dict[str, dict[str, object]]:
        """For status: {name: {up, runs, failures, skipped}}; up is absent before the first result."""
        out: dict[str, dict[str, object]] = {}
        for name, one in self._running.items():
            up = {} if one.result.up is None else {"up": one.result.up}
            out[name] = {**up, "runs": one.runs, "failures": one.failures, "skipped": one.skipped}
        return out

    def close(self) -> None:
        """End all of them. Idempotent."""
        for name in list(self._running):
            self._stop(name)
        self._runner.close()

    def _stop(self, name: str) -> None:
        one = self._running.pop(name)
        if one.timer is not None:
            one.timer.cancel()
        if one.ticket:
            self._runner.cancel(one.ticket)

    def _arm(self, one: Running) -> None:
        one.timer = self._reactor.call_at(one.due_ns, lambda: self._due(one))

    def _due(self, one: Running) -> None:
        script = one.script
        # From the last due time, so that it has a rhythm, but never into the past.
        one.due_ns = max(one.due_ns + script.interval_ns, self._reactor.now_ns())
        self._arm(one)
        if one.ticket:
            one.skipped += 1
        else:
            one.ticket = self._runner.run(script.script, script.timeout_ns, lambda done: self._ended(one, done))

    def _ended(self, one: Running, done: Done) -> None:
        one.ticket = 0
        if done.lost or self._running.get(one.script.name) is not one:
            return  # nothing is known of it; it is run again when it is due
        good = not (done.refused or done.late or done.status)
        one.runs += 1
        one.failures += not good
        before, script = one.result, one.script
        one.result = judged(before, good, script.rise, script.fall)
        if one.result.up is not before.up:
            self._told(script.name, good, how(done))
