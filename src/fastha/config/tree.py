"""The statement tree of a configuration: what was written, and where. No meaning yet.

virtual_server 10.0.0.1 80 {      Statement(words=["virtual_server", "10.0.0.1", "80"], block=[...])
    delay_loop 6                    Statement(words=["delay_loop", "6"], block=None)
}
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Set
from dataclasses import dataclass, field
from typing import Protocol

from fastha.errors import Fault, Severity

NONE: frozenset[int] = frozenset()
WORD = re.compile(r"[^ \t\r\f\v]+")
Place = tuple[str, int, int]  # file, line, column; both from 1


class Statement:
    """One statement. `columns[i]` is where `words[i]` begins; a plain line is kept as text instead, and its columns are
    found when a fault asks. `inline`: it shares its line with a brace or another statement, so one line may hold
    several keywords. `quoted` holds the indexes of words written in quotes."""

    __slots__ = ("_columns", "_text", "block", "file", "inline", "line", "quoted", "words")

    def __init__(
        self,
        words: list[str],
        where: list[int] | str,
        file: str,
        line: int,
        inline: bool = False,
        quoted: Set[int] = NONE,
    ) -> None:
        self.words = words
        self._columns: list[int] | None = None
        self._text = ""
        if isinstance(where, str):
            self._text = where
        else:
            self._columns = where
        self.file = file
        self.line = line
        self.inline = inline
        self.quoted = quoted
        self.block: list[Statement] | None = None

    @property
    def columns(self) -> list[int]:
        if self._columns is None:
            self._columns = [m.start() + 1 for m in WORD.finditer(self._text)]
        return self._columns

    def place(self, index: int = 0) -> Place:
        """Where word `index` stands; an index past the end is the last word."""
        return self.file, self.line, self.columns[min(index, len(self.words) - 1)]

    def cut(self, index: int) -> Statement:
        """Split off the words from `index` as a statement of its own; it takes the block along."""
        columns = self.columns
        quoted = frozenset(i - index for i in self.quoted if i >= index)
        rest = Statement(self.words[index:], columns[index:], self.file, self.line, self.inline, quoted)
        rest.block, self.block = self.block, None
        del self.words[index:], columns[index:]
        self.quoted = frozenset(i for i in self.quoted if i < index)
        return rest

    def spelling(self) -> Hashable:
        """What its block says: equal for blocks of equal words and braces, whatever their blanks and places."""
        block = self.block
        if block is None:
            return None
        return tuple((*s.words, s.quoted, s.inline, s.spelling()) for s in block)

    def __repr__(self) -> str:
        return f"Statement({' '.join(self.words)!r} at {self.file}:{self.line})"


class Source(Protocol):
    """Text that is split into lines already; the blocks in it become statements when somebody asks for them."""

    def block(self, index: int, file: str) -> list[Statement]:
        """The statements of the block that line `index` opens."""
        ...

    def spelling(self, index: int) -> Hashable:
        """Its words and braces."""
        ...


class Unread(Statement):
    """A statement whose block is still text. Most of a large configuration says again what was said before, and then
    nobody needs to look into it."""

    __slots__ = ("_block", "_index", "_source", "_wanted")

    def __init__(self, words: list[str], text: str, file: str, line: int, source: Source, index: int) -> None:
        super().__init__(words, text, file, line)
        self._source = source
        self._index = index
        self._wanted = False

    @property
    def block(self) -> list[Statement] | None:
        if not self._wanted:
            self.block = self._source.block(self._index, self.file)
        return self._block

    @block.setter
    def block(self, block: list[Statement] | None) -> None:
        self._block = block
        self._wanted = True

    def spelling(self) -> Hashable:
        return self._source.spelling(self._index)


@dataclass(slots=True)
class Tree:
    """All statements of a configuration after includes; the faults found while reading; the files read, in order."""

    statements: list[Statement] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def shown(text: str, limit: int = 60) -> str:
    """Text fit for a message: no control characters or lone surrogates, and not too long."""
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Faults(list[Fault]):
    """Collects faults; each method names its severity."""

    def error(self, place: Place, message: str, hint: str = "") -> None:
        self._add(Severity.ERROR, place, message, hint)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        self._add(Severity.WARNING, place, message, hint)

    def not_supported(self, place: Place, message: str, hint: str = "") -> None:
        self._add(Severity.NOT_SUPPORTED, place, message, hint)

    def _add(self, severity: Severity, place: Place, message: str, hint: str) -> None:
        # Whatever was in the files, a fault can be printed and sent as JSON.
        self.append(Fault(severity, *place, shown(message, 400), shown(hint, 400)))
