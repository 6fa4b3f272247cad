"""What the parent and the log were told of one thing that a child looks after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastha.child.child import Child

DROPS_PER_S = 1 / 60  # of one reason
NOTHING: Mapping[str, int] = {}
PLACES: dict[str, dict[str, int]] = {}  # kind -> name of a fact -> its place


class Told:
    """`kind`: the field of the child's facts that the thing stands in by its name."""

    __slots__ = ("_child", "_dropped", "_kind", "_values")

    def __init__(self, child: Child, kind: str) -> None:
        self._child, self._kind = child, kind
        self._values: list[Any] = []  # of the facts, each at its place; a third of what a dict of them would take
        self._dropped: Mapping[str, int] = NOTHING

    def forget(self) -> None:
        """Nothing was told: it has another name now."""
        self._values = []

    def publish(self, name: str, facts: Mapping[str, Any]) -> None:
        """Tell the parent what differs from what it was told."""
        places, values = PLACES.setdefault(self._kind, {}), self._values
        patch = {}
        for key, value in facts.items():
            place = places.setdefault(key, len(places))
            if place >= len(values):
                values += [None] * (len(places) - len(values))
            if values[place] != value:
                values[place] = patch[key] = value
        if patch:
            self._child.facts({self._kind: {name: patch}})

    def drops(self, name: str, what: str, dropped: Mapping[str, int], quiet: Collection[str] = ()) -> None:
        """Log (within limits) what was dropped since the last time, by reason; not those of `quiet`."""
        for reason, n in dropped.items():
            new = n - self._dropped.get(reason, 0)
            if new > 0 and reason not in quiet:
                self._child.limited(f"{name} {reason}", DROPS_PER_S, f"{name}: {new} {what} dropped: {reason}")
        self._dropped = dropped or NOTHING
