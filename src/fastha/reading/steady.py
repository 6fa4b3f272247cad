"""Reading files that somebody may be writing: what changed meanwhile is read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from fastha.errors import Fault, Severity

TRIES = 3
PAUSE_S = 0.1
# A file's time is that of the kernel's last tick (at most 10 ms ago), not of the moment it was written.
TICK_NS = 10_000_000


class HasFiles(Protocol):
    @property
    def files(self) -> tuple[str, ...]: ...


L = TypeVar("L", bound=HasFiles)


def steadily(
    load: Callable[[], L], now_ns: Callable[[], int], sleep: Callable[[float], object]
) -> tuple[L, tuple[Fault, ...]]:
    """What `load` gave, and an error for each file that changed while the last of TRIES was under way. `now_ns`: the
    wall clock."""
    changed: list[str] = []
    for attempt in range(TRIES):
        if attempt:
            sleep(PAUSE_S)
        began_ns = now_ns()
        loaded = load()
        changed = changed_since(loaded.files, began_ns)
        if not changed:
            break
    text = f"changed while it was read, {TRIES} times"
    return loaded, tuple(Fault(Severity.ERROR, name, 0, 0, text, "reload when it is complete") for name in changed)


def changed_since(files: Iterable[str], began_ns: int) -> list[str]:
    """Those whose content or name changed after `began_ns` (st_ctime: a rename counts), or that are gone."""
    out = []
    for name in dict.fromkeys(files):
        try:
            when_ns = os.stat(name).st_ctime_ns
        except OSError:
            out.append(name)
        else:
            if when_ns >= began_ns - TICK_NS:
                out.append(name)
    return out
