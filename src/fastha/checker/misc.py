"""MISC_CHECK: an engine whose probes are commands, run by the spawner (shell over child.runner)."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

from fastha.checker.ending import GOOD, Ending
from fastha.checker.engine import Answer, Deliver
from fastha.child.runner import Done, Runner
from fastha.loop.reactor import Reactor, Timer
from fastha.model import Check, MiscCheck

SHOWN = 160  # characters of output in status


@dataclass(slots=True)
class Slot:
    check: MiscCheck
    generation: int
    timer: Timer | None = None
    due_ns: int = 0
    ticket: int = 0
    ended: int = 0
    failed: int = 0
    took_ns: int = -1


class Commands:
    """An Engine. `deliver` gets the answers, one at a time."""

    def __init__(self, reactor: Reactor, runner: Runner, deliver: Deliver) -> None:
        self._reactor, self._runner, self._deliver = reactor, runner, deliver
        self._slots: dict[int, Slot] = {}
        self._free: list[int] = []
        self._opened = 0
        self._counts: Counter[str] = Counter()

    def open(self, check: Check) -> int:
        assert isinstance(check, MiscCheck), check
        self._opened += 1
        slot = self._free.pop() if self._free else len(self._slots)
        self._slots[slot] = Slot(check, self._opened)
        return slot

    def close_slot(self, slot: int) -> None:
        one = self._slots.pop(slot)
        self._free.append(slot)
        if one.timer is not None:
            one.timer.cancel()
        if one.ticket:
            self._runner.cancel(one.ticket)
            self._counts["scripts_cancelled"] += 1

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        one = self._slots[slot]
        assert not one.ticket, "never two of one check at once"
        if one.timer is not None:
            one.timer.cancel()
        one.due_ns = when_ns
        one.timer = self._reactor.call_at(when_ns, lambda: self._start(slot, one))

    def stats(self, slot: int) -> tuple[int, int, int]:
        one = self._slots[slot]
        return one.ended, one.failed, one.took_ns

    def generation(self, slot: int) -> int:
        return self._slots[slot].generation

    def counters(self) -> dict[str, int]:
        now = {"scripts_running": self._runner.running, "scripts_queued": self._runner.queued}
        return dict(self._counts) | now | {"scripts_waited": self._runner.waited}

    def close(self) -> None:
        for slot in list(self._slots):
            self.close_slot(slot)
        self._runner.close()

    def _start(self, slot: int, one: Slot) -> None:
        one.timer = None
        check = one.check
        self._counts["scripts_started"] += 1
        # keepalived.md 2.9: timeout default = delay_loop
        one.ticket = self._runner.run(
            check.script, check.timeout_ns or check.delay_ns, lambda done: self._ended(slot, one, done)
        )

    def _ended(self, slot: int, one: Slot, done: Done) -> None:
        one.ticket = 0
        ending, detail, weight, text = judge(one.check, done)
        self._counts["scripts_ended"] += 1
        one.ended += 1
        if ending in GOOD:
            one.took_ns = done.ended_ns - done.started_ns
        else:
            one.failed += 1
            self._counts[f"scripts_{ending.name.lower()}"] += 1
        answer = Answer(slot, one.generation, ending, 0, detail, one.due_ns, done.ended_ns, text, weight)
        self._deliver((answer,))


def judge(check: MiscCheck, done: Done) -> tuple[Ending, int, int | None, str]:
    """(ending, its number, the weight it asks for, what it said). keepalived.md 2.9: 0 ok and restores the configured
    weight, 1 fail, 2-255 with misc_dynamic sets the weight to that minus 2, else it fails."""
    said = shown(done.output)
    if done.lost:
        return Ending.SPAWNER, 0, None, done.lost
    if done.refused:
        return Ending.NOT_RUN, 0, None, done.refused
    if done.late:
        return Ending.SCRIPT_TIMEOUT, 0, None, said
    if done.status < 0:
        name = signal.Signals(-done.status).name if -done.status in set(signal.Signals) else ""
        return Ending.SIGNAL, -done.status, None, ": ".join(filter(None, (name, said)))
    if done.status == 0:
        return Ending.SUCCEEDED, 0, None, said
    if check.dynamic and done.status >= 2:
        text = f"weight {done.status - 2} by exit status {done.status}"
        return Ending.SUCCEEDED, 0, done.status - 2, f"{text}: {said}" if said else text
    return Ending.STATUS_OF_EXIT, done.status, None, said


def shown(output: str) -> str:
    """The last of what a command said, on one line."""
    lines = [line for raw in output.splitlines() if (line := raw.strip())]
    text = "".join(c if c.isprintable() else "?" for c in " / ".join(lines))
    return text if len(text) <= SHOWN else f"...{text[-SHOWN:]}"
