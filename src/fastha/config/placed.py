"""A built value with the statement it came from, for faults that are found later; definitions that have a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from fastha.config.tree import Faults, Marks, Place, Spot, Statement, shown

if TYPE_CHECKING:
    from fastha.config.item import Item

T = TypeVar("T")


class Built(Generic[T]):
    """A value and where it was written: its spot, without an object for it."""

    __slots__ = ("_mark", "_store", "value")

    def __init__(self, value: T, spot: Spot) -> None:
        self.value = value
        self._store, self._mark = spot.store, spot.mark

    @property
    def spot(self) -> Spot:
        return Spot(self._store, self._mark)

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
    first: dict[str, None] = {}
    numbers: dict[str, int] = {}  # name -> index of its mark, once somebody asks
    for item in blocks:
        statement, name = item.statement, item.statement.words[1]
        if name not in first:
            if numbers:
                numbers[name] = len(first)
            first[name] = None
            marks.add(statement)
            yield name, statement
        else:
            numbers = numbers or {known: number for number, known in enumerate(first)}
            where = first_at(marks.statement(numbers[name]).place(), statement.place())
            faults.error(statement.place(1), f"{word} {shown(name)} is there already", f"first at {where}")
