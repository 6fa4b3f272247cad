"""Who asks the real servers. One engine for each way to ask; `Engines` is one door to all of them.

An engine keeps a slot for each open check: it starts the probe when told to, and hands over an `Answer` when that has
ended. It knows nothing of verdicts: `schedule` says when to ask again, but for the steady state of the native engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from fastha.checker.ending import Ending
from fastha.model import Check, HttpCheck

SHIFT = 3  # bits of a slot's number that say which engine it is of
HTTP_REGEX = "HTTP_GET with regex"  # a way of its own: expressions are matched in Python


def way(check: Check) -> str:
    """By which of the ways of `Engines` a check is asked: its kind, unless what it asks for needs another engine."""
    if isinstance(check, HttpCheck) and any(url.regex for url in check.urls):
        return HTTP_REGEX
    return check.kind


class Answer(NamedTuple):
    """How one probe ended. `url`: which of several it was; `detail`: errno or HTTP status; `started_ns`: when it was to
    start (periods are counted from there, so that one stall does not put all checks in step); `text`: what the peer or
    the program said, for people; `weight`: what it asks the real server's weight to be (None: says nothing);
    `added`: what it adds to that. Both hold until the next good answer of the check."""

    slot: int
    generation: int
    ending: Ending
    url: int
    detail: int
    started_ns: int
    ended_ns: int
    text: str = ""
    weight: int | None = None
    added: int = 0


Deliver = Callable[[Iterable[Answer]], object]


class Engine(Protocol):
    """Probes of some kinds of check. Every method but `open` is for a slot that `open` gave."""

    def open(self, check: Check) -> int:
        """A slot for `check`, held until `schedule`. ValueError or OSError if this machine cannot do it."""
        ...

    def close_slot(self, slot: int) -> None:
        """Cancel what it does and give it back; answers it has left are not delivered."""
        ...

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        """Start a probe at `when_ns`. `steady`: an engine that can goes on by itself while all is well."""
        ...

    def stats(self, slot: int) -> tuple[int, int, int]:
        """(probes ended, of them failures, nanoseconds the last good one took or -1)."""
        ...

    def generation(self, slot: int) -> int:
        """Differs between two uses of one number."""
        ...

    def counters(self) -> dict[str, int]: ...
    def close(self) -> None:
        """Cancel everything. Idempotent."""
        ...


class Engines:
    """All engines: `ways` says which one a check is asked by (`way`)."""

    def __init__(self, ways: Mapping[str, Engine]) -> None:
        self._all = list(dict.fromkeys(ways.values()))
        assert len(self._all) <= 1 << SHIFT
        self._number = {name: self._all.index(engine) for name, engine in ways.items()}

    def open(self, check: Check) -> int:
        number = self._number.get(way(check))
        if number is None:
            raise ValueError(f"no engine for {way(check)}")
        return self._all[number].open(check) << SHIFT | number

    def slot(self, way: str, slot: int) -> int:
        """The number here of a slot of the engine of this way."""
        return slot << SHIFT | self._number[way]

    def close_slot(self, slot: int) -> None:
        self._of(slot).close_slot(slot >> SHIFT)

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        self._of(slot).schedule(slot >> SHIFT, when_ns, url, steady)

    def stats(self, slot: int) -> tuple[int, int, int]:
        return self._of(slot).stats(slot >> SHIFT)

    def generation(self, slot: int) -> int:
        return self._of(slot).generation(slot >> SHIFT)

    def counters(self) -> dict[str, int]:
        """Summed by name over all engines."""
        total: Counter[str] = Counter()
        for engine in self._all:
            total.update(engine.counters())
        return dict(total)

    def close(self) -> None:
        for engine in self._all:
            engine.close()

    def _of(self, slot: int) -> Engine:
        return self._all[slot & (1 << SHIFT) - 1]
