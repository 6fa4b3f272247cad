"""Long work of the parent in slices: between two of them its loop turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from fastha.model.units import NS_PER_MS
from fastha.parent.loop import Loop

SLICE_NS = 2 * NS_PER_MS

T = TypeVar("T")


def finish(loop: Loop, steps: Iterator[T], done: Callable[[T], object]) -> None:
    """Take all `steps`, a slice each turn; `done(the last one)`, in a later turn than this."""

    last: T | None = None

    def go_on() -> None:
        nonlocal last
        end_ns = loop.now_ns() + SLICE_NS
        for step in steps:
            last = step
            if loop.now_ns() >= end_ns:
                loop.call_later(0, go_on)
                return
        assert last is not None
        done(last)

    loop.call_later(0, go_on)
