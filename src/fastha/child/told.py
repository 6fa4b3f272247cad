"""What the parent and the log were told of one thing that a child looks after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastha.child.child import Child

DROPS_PER_S = 1 / 60  # of one reason


class Told:
    """`kind`: the field of the child's facts that the thing stands in by its name."""

    def __init__(self, child: Child, kind: str) -> None:
        self._child, self._kind = child, kind
        self._facts: dict[str, Any] = {}
        self._dropped: Mapping[str, int] = {}

    def forget(self) -> None:
        """Nothing was told: it has another name now."""
        self._facts = {}

    def publish(self, name: str, facts: Mapping[str, Any]) -> None:
        """Tell the parent what differs from what it was told."""
        patch = {k: v for k, v in facts.items() if self._facts.get(k) != v}
        if patch:
            self._facts.update(patch)
            self._child.facts({self._kind: {name: patch}})

    def drops(self, name: str, what: str, dropped: Mapping[str, int], quiet: Collection[str] = ()) -> None:
        """Log (within limits) what was dropped since the last time, by reason; not those of `quiet`."""
        for reason, n in dropped.items():
            new = n - self._dropped.get(reason, 0)
            if new > 0 and reason not in quiet:
                self._child.limited(f"{name} {reason}", DROPS_PER_S, f"{name}: {new} {what} dropped: {reason}")
        self._dropped = dropped
