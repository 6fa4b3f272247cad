"""What stands at the top level, by keyword: where it is, and not the statements themselves."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from fastha.config.item import Item
from fastha.config.keywords import Keyword
from fastha.config.keywords.table import ROOT
from fastha.config.shape import items
from fastha.config.tree import Faults, Marks, Statement


class Top:
    """The supported statements, in order; iterated they are made again, one by one."""

    def __init__(self, statements: Sequence[Statement], faults: Faults) -> None:
        self._marks = Marks()
        self._keywords: list[Keyword] = []
        self._which = array("B")  # index of the keyword of each
        numbers: dict[str, int] = {}
        for item in items(statements, ROOT, faults):
            number = numbers.setdefault(item.keyword.word, len(numbers))
            if number == len(self._keywords):
                self._keywords.append(item.keyword)
            self._marks.add(item.statement)
            self._which.append(number)

    def __iter__(self) -> Iterator[Item]:
        for index, which in enumerate(self._which):
            yield Item(self._keywords[which], self._marks.statement(index))

    def named(self, name: str) -> Iterator[Item]:
        """Those of one keyword, under whatever spelling."""
        wanted = {i for i, k in enumerate(self._keywords) if (k.alias_of or k.word) == name}
        if wanted:
            for index, which in enumerate(self._which):
                if which in wanted:
                    yield Item(self._keywords[which], self._marks.statement(index))
