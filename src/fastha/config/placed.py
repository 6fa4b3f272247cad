"""A built value with the statement it came from, for faults that are found later; definitions that have a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from fastha.config.tree import Faults, Marks, Place, Spot, Statement, shown
from fastha.lean import dataclass

if TYPE_CHECKING:
    from fastha.config.shape import Item

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Built(Generic[T]):
    """A value and where it was written."""

    value: T
    spot: Spot

    @property
    def statement(self) -> Statement:
        """What it was written as, made anew."""
        return self.spot.statement()

    @property
    def place(self) -> Place:
        return self.spot.place()


def first_at(place: Place, here: Place) -> str:
    """How a message refers to an earlier definition: `line 12`, or `other.conf:12` in another file."""
    return f"line {place[1]}" if place[0] == here[0] else f"{place[0]}:{place[1]}"


def named_once(word: str, blocks: Iterable[Item], faults: Faults) -> Iterator[tuple[str, Statement]]:
    """(name, statement) of every block `word NAME {}`; of two with one name the first alone, and it is an error."""
    marks = Marks()
    first: dict[str, int] = {}  # name -> index of its mark
    for item in blocks:
        statement, name = item.statement, item.statement.words[1]
        if name not in first:
            first[name] = len(marks)
            marks.add(statement)
            yield name, statement
        else:
            where = first_at(marks.statement(first[name]).place(), statement.place())
            faults.error(statement.place(1), f"{word} {shown(name)} is there already", f"first at {where}")
