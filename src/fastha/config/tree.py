"""The statement tree of a configuration: what was written, and where. No meaning yet.

virtual_server 10.0.0.1 80 {      Statement(words=["virtual_server", "10.0.0.1", "80"], block=[...])
    delay_loop 6                    Statement(words=["delay_loop", "6"], block=None)
}
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Hashable, Iterator, Sequence, Set
from typing import Protocol, overload

from fastha.errors import Fault, Severity
from fastha.lean import dataclass, field

NONE: frozenset[int] = frozenset()
MOST_FAULTS = 5000
REMEMBERED = 64  # messages
MOST_TEXT = 3_000_000  # characters of all of them
SMALL = 20_000  # bytes of the records of a block whose statements are kept while it is looked at
HALF, LOW = 32, (1 << 32) - 1  # two numbers in one
WORD = re.compile(r"[^ \t\r\f\v]+")
Place = tuple[str, int, int]  # file, line, column; both from 1


class Expanded(tuple[str, int, int]):
    """A place on a line that is not what it was read as: `text` is what definitions and repetitions made of it."""

    text: str = ""


class Store(Protocol):
    """Where statements are kept: fastha.config.tape.Records, or the compiled one."""

    def name(self, source: int) -> str:
        """The file that a source is."""
        ...

    def walk(self, begin: int, end: int, source: int, line: int) -> Iterator[Statement]:
        """The statements from one offset to another, which follow a statement at this place."""
        ...

    def spelling(self, begin: int, end: int) -> Hashable:
        """Their words, braces and quotes: equal for what is spelt the same, whatever its blanks and places."""
        ...

    def columns(self, at: int, source: int, line: int) -> Sequence[int]:
        """Where the words of the statement at an offset begin."""
        ...

    def expanded(self, at: int) -> str:
        """What definitions and repetitions made of its line; "" if it stands as it is."""
        ...


class Statement:
    """One statement, made of its record in a store. `inline`: it shares its line with a brace or another statement, so
    one line may hold several keywords. `quoted` holds the indexes of words written in quotes."""

    __slots__ = ("_at", "_begin", "_block", "_columns", "_end", "_first", "_source", "_store", "inline", "line",
                 "quoted", "words")  # fmt: skip

    def __init__(
        self, words: list[str], store: Store, at: int, source: int, line: int, inline: bool, quoted: Set[int],
        begin: int, end: int, first: int = 0,
    ) -> None:  # fmt: skip
        """`at`: its record. `begin`, `end`: those of its block; below 0 without one. `first`: how many words of the
        record are before these."""
        self.words = words
        self.line = line
        self.inline = inline
        self.quoted = quoted
        self._store = store
        self._at = at
        self._source = source
        self._begin = begin
        self._end = end
        self._first = first
        self._block: Block | None = None
        self._columns: Sequence[int] | None = None

    @property
    def file(self) -> str:
        return self._store.name(self._source)

    @property
    def has_block(self) -> bool:
        return self._begin >= 0

    @property
    def block(self) -> Sequence[Statement] | None:
        if self._block is None and self._begin >= 0:
            self._block = Block(self._store, self._begin, self._end, self._source, self.line)
        return self._block

    def forget(self) -> None:
        """Nobody will look into its block soon: what can be made again need not be kept."""
        self._block = self._columns = None

    def place(self, index: int = 0) -> Place:
        """Where word `index` stands; an index past the end is the last word."""
        if self._columns is None:
            self._columns = self._store.columns(self._at, self._source, self.line)
        place = self.file, self.line, self._columns[self._first + min(index, len(self.words) - 1)]
        text = self._store.expanded(self._at)
        return within(place, text) if text else place

    def piece(self, begin: int, end: int) -> Statement:
        """Some of its words as a statement of their own; the last words have its block."""
        if begin == 0 and end == len(self.words):
            return self
        quoted = frozenset(i - begin for i in self.quoted if begin <= i < end) if self.quoted else NONE
        inside = self._begin if end == len(self.words) else -1
        out = Statement(
            self.words[begin:end], self._store, self._at, self._source, self.line, self.inline, quoted,
            inside, self._end, self._first + begin,
        )  # fmt: skip
        if self._columns is None and begin:  # its pieces share them
            self._columns = self._store.columns(self._at, self._source, self.line)
        out._columns = self._columns
        return out

    def spelling(self) -> Hashable:
        """What its block says: equal for blocks of equal words and braces, whatever their blanks and places."""
        return None if self._begin < 0 else self._store.spelling(self._begin, self._end)

    def spot(self) -> Spot:
        """What it can be made of again."""
        return Spot(self._store, marked(self._at, self._source, self.line, self._first, len(self.words)))

    def __repr__(self) -> str:
        return f"Statement({' '.join(self.words)!r} at {self.file}:{self.line})"


class Spot:
    """Where a statement is: a fifth of its size, and it is made again when somebody asks."""

    __slots__ = ("mark", "store")

    def __init__(self, store: Store, mark: int) -> None:
        """`mark`: see `marked`."""
        self.store = store
        self.mark = mark

    def statement(self) -> Statement:
        mark = self.mark
        return _again(
            self.store, mark >> 88, mark >> 64 & 0xFFFFFF, mark >> 32 & LOW, mark >> 16 & 0xFFFF, mark & 0xFFFF
        )

    def place(self, index: int = 0) -> Place:
        return self.statement().place(index)


def marked(at: int, source: int, line: int, first: int, count: int) -> int:
    """Record, source and line of a statement, its first word and how many (reader.MAX_WORDS at most), in one number: an
    object, not five."""
    return at << 88 | source << 64 | line << 32 | first << 16 | count


def _again(store: Store, at: int, source: int, line: int, first: int, count: int) -> Statement:
    """The statement of which these are."""
    whole = next(store.walk(at, at + 1, source, 0))
    whole.line, whole._source = line, source
    return whole.piece(first, first + count)


class Marks:
    """The same for many, in 24 bytes each."""

    __slots__ = ("_rest", "_store")

    def __init__(self) -> None:
        self._store: Store | None = None
        self._rest = array("Q")  # record; source and line; first word and words

    def add(self, statement: Statement) -> None:
        self._store = statement._store
        source, first = statement._source << HALF, statement._first << HALF
        self._rest.extend((statement._at, source | statement.line, first | len(statement.words)))

    def statement(self, index: int) -> Statement:
        rest, index = self._rest, 3 * index
        at, place, words = rest[index], rest[index + 1], rest[index + 2]
        assert self._store is not None
        return _again(self._store, at, place >> HALF, place & LOW, words >> HALF, words & LOW)

    def line(self, index: int) -> int:
        return self._rest[3 * index + 1] & LOW

    def __len__(self) -> int:
        return len(self._rest) // 3

    def __iter__(self) -> Iterator[Statement]:
        """Made again, one by one."""
        return (self.statement(index) for index in range(len(self)))


class Block(Sequence[Statement]):
    """The statements of a block. Those of a small one are made once, those of a large one anew each time."""

    __slots__ = ("_begin", "_end", "_line", "_made", "_source", "_store")

    def __init__(self, store: Store, begin: int, end: int, source: int, line: int) -> None:
        self._store = store
        self._begin = begin
        self._end = end
        self._source = source
        self._line = line
        self._made: list[Statement] | None = None

    def __iter__(self) -> Iterator[Statement]:
        if self._made is None:
            walk = self._store.walk(self._begin, self._end, self._source, self._line)
            if self._end - self._begin > SMALL:
                return walk
            self._made = list(walk)
        return iter(self._made)

    def __bool__(self) -> bool:
        return self._end > self._begin

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Statement: ...
    @overload
    def __getitem__(self, index: slice) -> list[Statement]: ...
    def __getitem__(self, index: int | slice) -> Statement | list[Statement]:
        return list(self)[index]


@dataclass(slots=True)
class Tree:
    """All statements of a configuration after includes; the faults found while reading; the files read, in order."""

    statements: Sequence[Statement] = ()
    faults: Faults = field(default_factory=lambda: Faults())
    files: list[str] = field(default_factory=list)
    complete: bool = True  # False: given up after MOST_FAULTS errors
    produced: int = 0  # characters that definitions, repetitions and files read again made


def within(place: Place, expanded: str) -> Place:
    """`place`, on a line that was read as `expanded`."""
    out = Expanded(place)
    out.text = expanded
    return out


def shown(text: str, limit: int = 60) -> str:
    """Text fit for a message: no control characters or lone surrogates, and not too long."""
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Faults(list[Fault]):
    """Collects faults, MOST_FAULTS of them; each method names its severity. What is beyond is counted: a file that is
    no configuration at all does not cost a hundred times its size."""

    def __init__(self, before: Faults | None = None) -> None:
        """`before`: goes on from there."""
        super().__init__(before or ())
        self.beyond: dict[Severity, int] = before.beyond.copy() if before is not None else {}
        self._last: Place | None = before._last if before is not None else None
        self._room: int = before._room if before is not None else MOST_TEXT
        self._errors: int = before._errors if before is not None else 0
        self._said: dict[str, str] = {}  # the latest messages: equal ones are one object

    def told(self) -> list[Fault]:
        """All of them, and one for those that were not kept."""
        if self._errors >= MOST_FAULTS:
            last = next((f for f in reversed(self) if f.severity is Severity.ERROR), None)
            where = self._last or ("", 0, 0)
            file, line, column = where if last is None else (last.file, last.line, last.column)
            text = f"and perhaps more: after {MOST_FAULTS} errors nobody looks any further"
            return [*self, Fault(Severity.ERROR, file, line, column, text, code="too-many")]
        if self._last is None:
            return list(self)
        worst = Severity.ERROR if Severity.ERROR in self.beyond else next(iter(self.beyond))
        text = f"and {sum(self.beyond.values())} more: no more than {len(self)} are kept"
        file, line, column = self._last
        return [*self, Fault(worst, file, line, column, text, code="too-many")]

    def error(self, place: Place, message: str, hint: str = "", code: str = "invalid") -> None:
        self._add(Severity.ERROR, place, message, hint, code)

    def warning(self, place: Place, message: str, hint: str = "", code: str = "corrected") -> None:
        self._add(Severity.WARNING, place, message, hint, code)

    def not_supported(self, place: Place, message: str, hint: str = "", code: str = "not-supported") -> None:
        self._add(Severity.NOT_SUPPORTED, place, message, hint, code)

    def _add(self, severity: Severity, place: Place, message: str, hint: str, code: str) -> None:
        # Whatever was in the files, a fault can be printed and sent as JSON.
        expanded = shown(place.text, 4096) if isinstance(place, Expanded) else ""
        message, hint = shown(message, 400), shown(hint, 400)
        self._room -= len(message) + len(hint) + len(expanded)
        if len(self) < MOST_FAULTS and self._room >= 0:
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            message = self._said.setdefault(message, message)
            self.append(Fault(severity, *place, message, hint, code, expanded))
        else:
            self.beyond[severity] = self.beyond.get(severity, 0) + 1
            self._last = max(place, self._last or place)
        if severity is Severity.ERROR:
            self._errors += 1
            if self._errors >= MOST_FAULTS:
                raise EnoughFaults


class EnoughFaults(Exception):
    """So many errors that nobody needs another one: what was not read or built by then need not be."""
