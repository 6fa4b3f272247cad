"""The statement tree of a configuration: what was written, and where. No meaning yet.

virtual_server 10.0.0.1 80 {      Statement(words=["virtual_server", "10.0.0.1", "80"], block=[...])
    delay_loop 6                    Statement(words=["delay_loop", "6"], block=None)
}
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Set
from typing import Protocol

from fastha.errors import Fault, Severity
from fastha.lean import dataclass, field

NONE: frozenset[int] = frozenset()
MOST_FAULTS = 5000
WORD = re.compile(r"[^ \t\r\f\v]+")
Place = tuple[str, int, int]  # file, line, column; both from 1


class Expanded(tuple[str, int, int]):
    """A place on a line that is not what it was read as: `text` is what definitions and repetitions made of it."""

    text: str = ""


class Statement:
    """One statement. `columns[i]` is where `words[i]` begins; a plain line is kept as text instead, and its columns are
    found when a fault asks. `expanded`: the line, if that is not the one in the file. `inline`: it shares its line with
    a brace or another statement, so one line may hold several keywords. `quoted` holds the indexes of words written in
    quotes."""

    __slots__ = ("_columns", "_text", "block", "file", "inline", "line", "quoted", "words")

    def __init__(
        self,
        words: list[str],
        where: list[int] | str,
        file: str,
        line: int,
        inline: bool = False,
        quoted: Set[int] = NONE,
        expanded: str = "",
    ) -> None:
        self.words = words
        self._columns: list[int] | None = None
        self._text = expanded  # with columns; without them the line itself
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
            self._text = ""
        return self._columns

    @property
    def has_block(self) -> bool:
        return self.block is not None

    def forget(self) -> None:
        """Nobody will look into its block soon: what can be made again need not be kept."""

    def place(self, index: int = 0) -> Place:
        """Where word `index` stands; an index past the end is the last word."""
        place = self.file, self.line, self.columns[min(index, len(self.words) - 1)]
        return within(place, self._text) if self._text else place

    def cut(self, index: int) -> Statement:
        """Split off the words from `index` as a statement of its own; it takes the block along."""
        columns = self.columns
        quoted = frozenset(i - index for i in self.quoted if i >= index)
        rest = Statement(self.words[index:], columns[index:], self.file, self.line, self.inline, quoted, self._text)
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
        self.words = words
        self._columns = None
        self._text = text
        self.file = file
        self.line = line
        self.inline = False
        self.quoted = NONE
        self._block: list[Statement] | None = None
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

    def forget(self) -> None:
        self._block, self._wanted = None, False

    @property
    def has_block(self) -> bool:
        return not self._wanted or self._block is not None

    def spelling(self) -> Hashable:
        return self._source.spelling(self._index)


@dataclass(slots=True)
class Tree:
    """All statements of a configuration after includes; the faults found while reading; the files read, in order."""

    statements: list[Statement] = field(default_factory=list)
    faults: Faults = field(default_factory=lambda: Faults())
    files: list[str] = field(default_factory=list)


def within(place: Place, expanded: str) -> Place:
    """`place`, on a line that was read as `expanded`."""
    out = Expanded(place)
    out.text = expanded
    return out


def shown(text: str, limit: int = 60) -> str:
    """Text fit for a message: no control characters or lone surrogates, and not too long."""
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Faults(list[Fault]):
    """Collects faults, MOST_FAULTS of them; each method names its severity. What is beyond is counted: a file that is
    no configuration at all does not cost a hundred times its size."""

    def __init__(self, before: Faults | None = None) -> None:
        """`before`: goes on from there."""
        super().__init__(before or ())
        self.beyond: dict[Severity, int] = before.beyond.copy() if before is not None else {}
        self._last: Place | None = before._last if before is not None else None

    def told(self) -> list[Fault]:
        """All of them, and one for those that were not kept."""
        if self._last is None:
            return list(self)
        worst = Severity.ERROR if Severity.ERROR in self.beyond else next(iter(self.beyond))
        text = f"and {sum(self.beyond.values())} more: no more than {MOST_FAULTS} are kept"
        file, line, column = self._last
        return [*self, Fault(worst, file, line, column, text, code="too-many")]

    def error(self, place: Place, message: str, hint: str = "", code: str = "invalid") -> None:
        self._add(Severity.ERROR, place, message, hint, code)

    def warning(self, place: Place, message: str, hint: str = "", code: str = "corrected") -> None:
        self._add(Severity.WARNING, place, message, hint, code)

    def not_supported(self, place: Place, message: str, hint: str = "", code: str = "not-supported") -> None:
        self._add(Severity.NOT_SUPPORTED, place, message, hint, code)

    def _add(self, severity: Severity, place: Place, message: str, hint: str, code: str) -> None:
        if len(self) >= MOST_FAULTS:
            self.beyond[severity] = self.beyond.get(severity, 0) + 1
            self._last = max(place, self._last or place)
            return
        # Whatever was in the files, a fault can be printed and sent as JSON.
        expanded = shown(place.text, 4096) if isinstance(place, Expanded) else ""
        self.append(Fault(severity, *place, shown(message, 400), shown(hint, 400), code, expanded))
