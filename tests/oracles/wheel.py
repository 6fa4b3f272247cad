"""The timer wheel as a sorted list: same promises, no cleverness."""

from __future__ import annotations

import bisect

TICK_NS = 65536
NEVER_NS = 2**63 - 1


class SlowWheel:
    """Timers named by index. An armed one is an entry (tick, order of arming, index) of one sorted list."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_tick = max(now_ns, 0) // TICK_NS
        self.waiting: list[tuple[int, int, int]] = []
        self.expired: list[tuple[int, int, int]] = []
        self.entry: dict[int, tuple[int, int, int]] = {}
        self.serial = 0

    @property
    def armed(self) -> int:
        return len(self.waiting) + len(self.expired)

    def is_armed(self, index: int) -> bool:
        return index in self.entry

    def arm(self, index: int, deadline_ns: int) -> None:
        self.disarm(index)
        tick = max(-(-deadline_ns // TICK_NS), self.now_tick + 1)  # first tick at or after it, never the present one
        self.serial += 1
        self.entry[index] = (tick, self.serial, index)
        bisect.insort(self.waiting, self.entry[index])

    def disarm(self, index: int) -> None:
        entry = self.entry.pop(index, None)
        if entry is not None:
            place = bisect.bisect_left(self.waiting, entry)
            if self.waiting[place : place + 1] == [entry]:
                del self.waiting[place]
            else:
                self.expired.remove(entry)

    def advance(self, now_ns: int) -> None:
        self.now_tick = max(self.now_tick, now_ns // TICK_NS)
        while self.waiting and self.waiting[0][0] <= self.now_tick:
            self.expired.append(self.waiting.pop(0))

    def pop(self) -> int | None:
        if not self.expired:
            return None
        index = self.expired.pop(0)[2]
        del self.entry[index]
        return index

    def next_ns(self) -> int:
        """The exact tick of the next deadline; the wheel may say something earlier, never later."""
        if self.expired:
            return self.now_tick * TICK_NS
        return min(self.waiting[0][0] * TICK_NS, NEVER_NS) if self.waiting else NEVER_NS
