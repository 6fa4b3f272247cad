"""A built value with the statement it came from, for faults that are found later."""

from __future__ import annotations

from typing import Generic, TypeVar

from fastha.config.tree import Place, Statement
from fastha.lean import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Built(Generic[T]):
    """A value and where it was written."""

    value: T
    statement: Statement

    @property
    def place(self) -> Place:
        return self.statement.place()


def first_at(place: Place, here: Place) -> str:
    """How a message refers to an earlier definition: `line 12`, or `other.conf:12` in another file."""
    return f"line {place[1]}" if place[0] == here[0] else f"{place[0]}:{place[1]}"
