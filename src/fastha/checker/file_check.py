"""FILE_CHECK: an engine whose probes are looks at tracked files (shell over child.files)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastha.checker.ending import GOOD, Ending
from fastha.checker.engine import Answer, Deliver
from fastha.child.files import Files
from fastha.child.filevalue import weight_change
from fastha.loop.reactor import Reactor, Timer
from fastha.model import Check, FileCheck


@dataclass(slots=True)
class Slot:
    check: FileCheck
    generation: int
    changed: Callable[[int], object]
    value: int = 0
    timer: Timer | None = None
    begun: bool = False
    ended: int = 0
    failed: int = 0


class FileValues:
    """An Engine. A file is looked at when `schedule` asks for the first time, and then whenever it changes: what
    `schedule` says later is not needed."""

    def __init__(self, reactor: Reactor, files: Files, deliver: Deliver) -> None:
        self._reactor, self._files, self._deliver = reactor, files, deliver
        self._slots: dict[int, Slot] = {}
        self._free: list[int] = []
        self._opened = 0

    def open(self, check: Check) -> int:
        assert isinstance(check, FileCheck), check
        slot = self._free[-1] if self._free else len(self._slots)
        one = Slot(check, self._opened, lambda value: self._changed(slot, one, value))
        one.value = self._files.follow(check.path, one.changed)
        self._opened += 1
        del self._free[-1:]
        self._slots[slot] = one
        return slot

    def close_slot(self, slot: int) -> None:
        one = self._slots.pop(slot)
        self._free.append(slot)
        if one.timer is not None:
            one.timer.cancel()
        self._files.leave(one.check.path, one.changed)

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        one = self._slots[slot]
        if not one.begun and one.timer is None:
            one.timer = self._reactor.call_at(when_ns, lambda: self._begin(slot, one))

    def stats(self, slot: int) -> tuple[int, int, int]:
        one = self._slots[slot]
        return one.ended, one.failed, -1

    def generation(self, slot: int) -> int:
        return self._slots[slot].generation

    def counters(self) -> dict[str, int]:
        return {"files_read": self._files.reads}

    def close(self) -> None:
        for slot in list(self._slots):
            self.close_slot(slot)

    def _begin(self, slot: int, one: Slot) -> None:
        one.timer, one.begun = None, True
        self._answer(slot, one)

    def _changed(self, slot: int, one: Slot, value: int) -> None:
        one.value = value
        if one.begun and self._slots.get(slot) is one:
            self._answer(slot, one)

    def _answer(self, slot: int, one: Slot) -> None:
        check, now = one.check, self._reactor.now_ns()
        added = weight_change(one.value, check.weight, check.reverse)
        ending = Ending.BAD_VALUE if added is None else Ending.VALUE
        one.ended += 1
        one.failed += ending not in GOOD
        text = f"in {check.path} (track_file {check.track_file})"
        self._deliver((Answer(slot, one.generation, ending, 0, one.value, now, now, text, added=added or 0),))
