"""Statements as bytes: what was read takes little more room than the text, and is made into objects one by one.

A record is one statement, in the order of the text:

    flags           a byte, see below
    line            how many lines below the statement before it in its block, or below the one that opens the block;
                    MOVED: number of the source, then the line itself
    size, words     with SEPARATOR between them
    EXTRA           size of what follows, and in its first byte which of these follow:
      EXPANDED      where in `texts` the line is that definitions and repetitions made: its size, then the text
      COLUMNS       of each word, as the difference to the one before; without it the words stand as in the source
      QUOTED        the index of each word that was in quotes, as the difference to the one before
    BLOCK           SIZE bytes: how long the records are that follow and are in its block

Numbers are of variable length, seven bits a byte, the lowest first; differences that may be below zero alternate
(0, -1, 1, -2 ...). Text is UTF-8 with lone surrogates. fastha.config.native has the same in C.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set

from fastha.config.tree import NONE, WORD, Block, Statement

BLOCK, INLINE, MOVED, EXTRA = 1, 2, 4, 8
EXPANDED, COLUMNS, QUOTED = 1, 2, 4
IN_QUOTES, ENDS = 4, 0xFE  # in a spelling: some words were in quotes; the end of a block
SIZE = 8
SEPARATOR = b"\xff"  # in no UTF-8
STEP = 64  # lines between those whose offsets are known
BOM = b"\xef\xbb\xbf"


class Source:
    """The bytes of one file, for the columns of faults."""

    __slots__ = ("_marks", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._marks = array("Q", [3 if data[:3] == BOM else 0])  # where lines 1, 1 + STEP ... begin

    def skip(self, at: int, count: int) -> int:
        """Where the line begins that is so many below the one at an offset."""
        for _ in range(count):
            at = self.data.find(b"\n", at) + 1
        return at

    def line(self, number: int) -> str:
        """A line of it, from 1."""
        marks = self._marks
        block, rest = divmod(number - 1, STEP)
        while len(marks) <= block:
            marks.append(self.skip(marks[-1], STEP))
        at = self.skip(marks[block], rest)
        end = self.data.find(b"\n", at)
        return self.data[at : len(self.data) if end < 0 else end].decode("utf-8", "surrogateescape")


class Sources:
    """The files that were read, one after another; a file that is read twice is there twice, its bytes once."""

    def __init__(self, source: type[Source] = Source) -> None:
        self._source = source
        self.names: list[str] = []
        self._sources: list[Source] = []
        self._last: dict[str, Source] = {}
        self.current = -1  # the one that statements come from now

    def add(self, name: str, data: bytes, again: Callable[[int], object]) -> None:
        """A file; `again(size)` before one is added again, which may raise."""
        source = self._last.get(name)
        if source is not None:
            again(len(data))
        if source is None or source.data != data:
            source = self._last[name] = self._source(data)
        self.names.append(name)
        self._sources.append(source)

    @property
    def newest(self) -> int:
        return len(self.names) - 1

    def line(self, number: int, line: int) -> str:
        return self._sources[number].line(line)


def number(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """The number at an offset, and where it ends."""
    byte = data[at]
    value, shift = byte & 127, 7
    while byte & 128:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        shift += 7
    return value, at + 1


def numbers(values: Iterable[int]) -> bytes:
    out = bytearray()
    for value in values:
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)


def differences(values: Sequence[int]) -> bytes:
    """Each as its difference to the one before, which may be below zero."""
    before, out = 0, []
    for value in values:
        step = value - before
        out.append(step << 1 if step >= 0 else (-step << 1) - 1)
        before = value
    return numbers(out)


def series(data: bytes | bytearray, at: int, count: int) -> tuple[array[int], int]:
    """So many numbers that were written as differences, and where they end."""
    out, value = array("Q"), 0
    for _ in range(count):
        step, at = number(data, at)
        value += -(step + 1 >> 1) if step & 1 else step >> 1
        out.append(value)
    return out, at


def encode(words: Sequence[str]) -> bytes:
    return SEPARATOR.join([word.encode("utf-8", "surrogatepass") for word in words])


def decode(words: bytes | bytearray) -> list[str]:
    return [word.decode("utf-8", "surrogatepass") for word in words.split(SEPARATOR)]


def extra(columns: Sequence[int] | None, quoted: Sequence[int], text: int) -> bytes:
    """What a record has besides its words; b"" if nothing. `text`: see EXPANDED, -1 for none."""
    flags, out = 0, b""
    if text >= 0:
        flags, out = EXPANDED, numbers([text])
    if columns is not None:
        flags, out = flags | COLUMNS, out + differences(columns)
    if quoted:
        flags, out = flags | QUOTED, out + numbers([len(quoted)]) + differences(quoted)
    return bytes([flags]) + out if flags else b""


class Records:
    """The statements of a configuration. `add`, `open` and `close` write them in the order of the text."""

    def __init__(self, sources: Sources | None = None) -> None:
        self.sources = sources or Sources()
        self.buffer = bytearray()
        self.texts = bytearray()
        self._last = -1  # the record that a { belongs to
        self._source = -1  # of the statement before, in this block
        self._line = 0
        self._open: list[
            tuple[int, int, int, int]
        ] = []  # unclosed blocks: (first record, opener's record, source, line)

    # -- writing

    def text(self, text: str) -> int:
        """A line that definitions and repetitions made; the number that `add` wants to know it by."""
        at, data = len(self.texts), text.encode("utf-8", "surrogatepass")
        self.texts += numbers([len(data)]) + data
        return at

    def add(
        self, words: Sequence[str], line: int, inline: bool = False, columns: Sequence[int] | None = None,
        quoted: Sequence[int] = (), text: int = -1,
    ) -> None:  # fmt: skip
        """A statement in the source that was added last. `columns`: None where the words stand as in the source."""
        self.add_bytes(self.sources.current, encode(words), line, inline, extra(columns, quoted, text))

    def add_bytes(self, source: int, words: bytes, line: int, inline: bool, more: bytes) -> None:
        flags = INLINE * inline | EXTRA * bool(more)
        self._last = len(self.buffer)
        if source == self._source and line >= self._line:
            head = [line - self._line]
        else:
            flags |= MOVED
            head = [source, line]
        self._source, self._line = source, line
        self.buffer.append(flags)
        self.buffer += numbers([*head, len(words)])
        self.buffer += words
        if more:
            self.buffer += numbers([len(more)])
            self.buffer += more

    def open(self) -> None:
        """The statement that was added last has a block, which begins here."""
        self.buffer[self._last] |= BLOCK
        self.buffer += bytes(SIZE)
        self._open.append((len(self.buffer), self._last, self._source, self._line))

    def close(self) -> None:
        """The innermost block ends."""
        begin, _, self._source, self._line = self._open.pop()
        self.buffer[begin - SIZE : begin] = (len(self.buffer) - begin).to_bytes(SIZE, "little")

    def latest(self) -> Statement:
        """The statement that was added last."""
        return self._whole(self._last, self._source, self._line)

    def opener(self, index: int) -> Statement:
        """The one whose block is open, from the outermost; -1: the innermost."""
        return self._whole(*self._open[index][1:])

    def _whole(self, at: int, source: int, line: int) -> Statement:
        begin, size = self._words(at)
        return Statement(decode(self.buffer[begin : begin + size]), self, at, source, line, False, NONE, -1, -1)

    def finish(self) -> Sequence[Statement]:
        """All statements; blocks that are open end here."""
        while self._open:
            self.close()
        self.buffer = self.buffer[:]  # without the room that it had to grow
        return Block(self, 0, len(self.buffer), -1, 0)

    # -- reading

    def name(self, source: int) -> str:
        return self.sources.names[source]

    def walk(self, begin: int, end: int, source: int, line: int) -> Iterator[Statement]:
        """The same, one by one."""
        buffer, at = self.buffer, begin
        while at < end:
            first = at
            flags = buffer[at]
            step, at = number(buffer, at + 1)
            if flags & MOVED:
                source = step
                line, at = number(buffer, at)
            else:
                line += step
            size, at = number(buffer, at)
            words = decode(buffer[at : at + size])
            at += size
            quoted: Set[int] = NONE
            if flags & EXTRA:
                size, at = number(buffer, at)
                at += size
                quoted = self.quoted(first)
            inside = -1
            if flags & BLOCK:
                inside = at + SIZE
                at = inside + int.from_bytes(buffer[at:inside], "little")
            yield Statement(words, self, first, source, line, bool(flags & INLINE), quoted, inside, at)

    def spelling(self, begin: int, end: int) -> Hashable:
        """Words, braces and quotes of a block: equal for what is spelt the same, whatever its blanks and places."""
        out = bytearray()
        self._spell(begin, end, out)
        return bytes(out)

    def _spell(self, begin: int, end: int, out: bytearray) -> None:
        for s in self.walk(begin, end, 0, 0):
            words, quoted = encode(s.words), sorted(s.quoted)
            out.append(BLOCK * s.has_block | INLINE * s.inline | IN_QUOTES * bool(quoted))
            out += numbers([len(words)])
            out += words
            if quoted:
                out += numbers([len(quoted), *quoted])
            if s.has_block:
                self._spell(s._begin, s._end, out)
                out.append(ENDS)

    def columns(self, at: int, source: int, line: int) -> Sequence[int]:
        """Where the words of the record at an offset begin."""
        return self._extra(at, source, line)[0]

    def quoted(self, at: int) -> Set[int]:
        """Which words of the record at an offset were in quotes."""
        return self._extra(at, -1, 0)[1] if self.buffer[at] & EXTRA else NONE

    def expanded(self, at: int) -> str:
        """What its line was made into; "" if it stands as it is."""
        return self._extra(at, -1, 0)[2] if self.buffer[at] & EXTRA else ""

    def _words(self, at: int) -> tuple[int, int]:
        """Where the words of the record at an offset begin, and their size."""
        flags = self.buffer[at]
        _, at = number(self.buffer, at + 1)
        if flags & MOVED:
            _, at = number(self.buffer, at)
        size, at = number(self.buffer, at)
        return at, size

    def _extra(self, at: int, source: int, line: int) -> tuple[Sequence[int], Set[int], str]:
        """Columns (none if the source is -1), indexes of quoted words, and the line as it was read."""
        buffer = self.buffer
        flags = buffer[at]
        words, size = self._words(at)
        at = words + size
        has, text = 0, ""
        quoted: Set[int] = NONE
        columns: Sequence[int] = ()
        if flags & EXTRA:
            _, at = number(buffer, at)
            has, at = buffer[at], at + 1
        if has & EXPANDED:
            where, at = number(buffer, at)
            length, where = number(self.texts, where)
            text = self.texts[where : where + length].decode("utf-8", "surrogatepass")
        if has & COLUMNS:
            columns, at = series(buffer, at, buffer.count(SEPARATOR, words, words + size) + 1)
        elif source >= 0:
            columns = array("Q", (m.start() + 1 for m in WORD.finditer(self.sources.line(source, line))))
        if has & QUOTED:
            count, at = number(buffer, at)
            quoted = frozenset(series(buffer, at, count)[0])
        return columns, quoted, text
