"""Text -> statement tree. Knows the grammar of keepalived.conf and none of its keywords.

Bytes come through a `Files` (config.files has the real one), so reading is a function of its arguments. Whatever
the bytes are, the result is a tree and faults, never an exception; time and memory are linear in what is read
plus what definitions, repetitions and files read again produce, which is bounded. No object is kept for a statement
(fastha.config.tape).
"""

from __future__ import annotations

import posixpath
import re
from array import array
from collections.abc import Iterator, Sequence, Set
from typing import Protocol

from fastha.config import include
from fastha.config.expand import ASSIGN, CONDITION, Definitions, Environment, ExpandError, lines
from fastha.config.lexer import LexError, Token, split_line, strip_comment
from fastha.config.tape import BOM, Records
from fastha.config.tree import EnoughFaults, Faults, Place, Tree, shown, within

MAX_DEPTH = 32  # blocks in blocks; keepalived's deepest is 5
MAX_INCLUDE_DEPTH = 32
MOST_ASTRAY = 1000  # faults of one kind that nobody reads to the end
MAX_INCLUDES = 100_000
MAX_NESTED = 8  # definitions that hold repetitions that use such definitions
EXPANSION = 16 << 20  # characters that definitions, repetitions and files read again may produce in one reading
MAX_WORDS = 20_000  # of one statement
LONG = 4096  # characters of a line whose words are not all held at a time
REMEMBERED = ("include_check", "random_seed")  # of global_defs, what the reader itself obeys

# ASCII without quotes, escapes, comments, definitions, conditions, repetitions or includes, then at most one brace.
PLAIN = re.compile(r"(?![ \t]*+include)([%&(-?A-Z\[\]^-z| \t\r]*+)(?:([{}])[ \t\r]*+)?")
USED = re.compile(r"(?:\$\{[^{}]*\}|[^ \t{}\"])*")  # the rest of a word with a definition in it
BYTE = re.compile("[\udc80-\udcff]")  # what is not UTF-8, after surrogateescape
SPECIAL = re.compile(r"^[ \t]*[@~$]|\$|^[ \t]*include")


class SkippedFile(OSError):
    """A path that keepalived does not take for a configuration file: not a regular file, or executable."""


class Files(Protocol):
    """Where the text comes from."""

    def read(self, path: str) -> bytes:
        """The file's bytes; OSError if it cannot be read, SkippedFile if it is no configuration file."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """Paths that match a pattern of * ? [], sorted; a pattern without them matches itself if it exists."""
        ...


def read(
    path: str,
    files: Files,
    script_words: Set[str] = frozenset(),
    env: Environment | None = None,
    expansion: int = EXPANSION,
) -> Tree:
    """Read `path` and everything it includes. `script_words`: keywords whose arguments are quoted as in a shell."""
    return Reader(files, script_words, env or Environment(), expansion).read(path)


class Reader:
    """One reading. The compiled reader (config.native) is this one with `read_text` of its own."""

    Records = Records

    def __init__(self, files: Files, script_words: Set[str], env: Environment, expansion: int) -> None:
        self.files = files
        self.script_words = script_words
        self.env = env
        self.definitions = Definitions(env, expansion)
        self.expansion = expansion
        self.tree = Tree()
        self.faults = Faults()
        self.records = self.Records()
        self.follows = False  # a { on a later line belongs to the statement before
        self.depth = 0  # open blocks, of which the innermost `lost` go nowhere that is ever looked at
        self.lost = 0
        self.lost_at: tuple[Place, str] | None = None  # the first of those
        self.reading: list[str] = []  # files being read, outermost first
        self.astray = 0  # faults of text that is no configuration
        self.defining = ""  # name of the definition that the next line continues
        self.checks: frozenset[str] = frozenset()  # what include_check has said so far
        self.seed: str | None = None  # of a random_seed that is not obeyed yet
        self.file = ""
        self.line = 0

    def read(self, path: str) -> Tree:
        """Everything there is at `path`."""
        try:
            for name in self.files.glob(path) or [path]:  # -f takes a glob, as keepalived's does
                self.read_file(name, (name, 0, 0))
            if self.depth:
                self._unclosed()
        except EnoughFaults:
            self.tree.complete = False
        self.tree.statements = self.records.finish()
        self.tree.faults = self.faults
        self.tree.produced = self.expansion - max(self.definitions.budget, 0)
        return self.tree

    def _unclosed(self) -> None:
        more = f"; {self.depth} blocks are open at the end" if self.depth > 1 else ""
        if self.lost_at is not None:
            place, word = self.lost_at
        else:
            statement = self.records.opener(-1)
            place, word = statement.place(), statement.words[0]
        self.faults.error(place, f"the block '{shown(word)}' is never closed{more}", "add a }")

    # -- files

    def read_file(self, path: str, asked_at: Place, skipped_is_error: bool = True, wildcard: bool = False) -> None:
        """Read one file in place. `asked_at`: the include statement (or the file itself for the first one)."""
        name = posixpath.normpath(path)
        if name in self.reading:
            self.faults.error(asked_at, f"'{shown(path)}' includes itself", " -> ".join([*self.reading, name]))
            return
        if len(self.reading) >= MAX_INCLUDE_DEPTH or len(self.tree.files) >= MAX_INCLUDES:
            self.faults.error(asked_at, f"too many includes at '{shown(path)}'")
            return
        try:
            data = self.files.read(path)
        except SkippedFile as e:
            if not wildcard:
                report = self.faults.error if skipped_is_error else self.faults.warning
                report(asked_at, f"'{shown(path)}' is skipped: {e.strerror or e}")
            return
        except OSError as e:
            self.faults.error(asked_at, f"cannot read '{shown(path)}': {e.strerror or e}")
            return
        try:
            self.records.sources.add(path, data, self.definitions.spend)
        except ExpandError as e:
            self.faults.error(asked_at, f"'{shown(path)}' once more: {e}")
            return
        self.tree.files.append(path)
        self.reading.append(name)
        sources = self.records.sources
        outside = self.file, self.line, sources.current
        sources.current = sources.newest
        self.file, self.line = path, 0
        self.read_text(data)
        if self.defining:
            self.definitions.settle(self.defining)
            self.defining = ""
            self.faults.error(self._here(), "the definition goes on past the end of the file")
        self.file, self.line, sources.current = outside
        self.reading.pop()

    def read_text(self, data: bytes) -> None:
        """Put all lines of a file into the tree."""
        at = len(BOM) if data.startswith(BOM) else 0
        end = 0
        while end >= 0:
            end = data.find(b"\n", at)
            self.line += 1
            self.read_line(data[at : len(data) if end < 0 else end].decode("utf-8", "surrogateescape"))
            at = end + 1

    def read_line(self, line: str) -> None:
        """Put line number `self.line` into the tree."""
        if not self.defining and (match := PLAIN.fullmatch(line)):
            self._plain(line, match[1], match[2])
        elif fault := _odd(line):
            self._astray((self.file, self.line, fault[1] + 1), fault[0])
        elif self.defining or SPECIAL.search(line):
            self._special(line.rstrip(" \t\r"))
        else:
            self._line(line, None)

    def _astray(self, place: Place, message: str) -> None:
        """A fault of text that is no configuration. A file full of it is not told a million times."""
        self.astray += 1
        if self.astray <= MOST_ASTRAY:
            self.faults.error(place, message)
        elif self.astray == MOST_ASTRAY + 1:
            self.faults.error(place, "this is no configuration: what follows of this kind is not told")

    def _here(self, column: int = 1) -> Place:
        return self.file, self.line, column

    # -- lines that are more than themselves

    def _special(self, raw: str) -> None:
        """A line with a definition, a condition, a repetition, a substitution or an include."""
        try:
            if self.defining:
                self._define(self.defining, raw)
                return
            self._expand(strip_comment(raw), raw, 0)
        except ExpandError as e:
            self.faults.error(self._here(len(raw) - len(raw.lstrip()) + 1), shown(str(e), 200))

    def _expand(self, text: str, raw: str, depth: int) -> None:
        """Conditions, then a definition, or repetitions, substitutions and at last includes. A definition may hold
        repetitions: then the same again for each of its lines."""
        text, kept = self._condition(text)
        if not kept:
            return
        if match := ASSIGN.match(text):
            self.definitions.begin(match[1])
            self._define(match[1], match[2])
            return
        if depth < MAX_NESTED and (opened := self.definitions.opened(text)) is not None:
            for line in lines(opened):
                self._expand(line, raw, depth + 1)
            return
        if "_RANDOM" in text:
            self._seed()
        directory = posixpath.dirname(self.file) or "."
        for repeated in self.definitions.repeat(text):
            here, kept = (repeated, True) if repeated is text else self._condition(repeated)
            if not kept:
                continue
            expanded = self.definitions.substitute(here, directory)
            for remark in self.definitions.remarks:
                self.faults.warning(self._here(raw.find("$") + 1), remark)
            for line in lines(expanded):
                if include.is_include(line):
                    self._include(line, raw)
                else:
                    self._line(line, None if line == raw else raw)

    def _condition(self, text: str) -> tuple[str, bool]:
        """The line without its condition, and whether it counts."""
        match = CONDITION.match(text)
        if match is None:
            return text, True
        return " " * match.start(3) + match[3], (match[2] == self.env.config_id) != bool(match[1])

    def _remember(self, words: list[str]) -> None:
        """What the reader itself obeys, in a block of global_defs: it counts from here on."""
        if self.depth != 1 or self.lost or self.records.opener(0).words[0] != "global_defs":
            return
        if words[0] == "include_check":
            self.checks = include.defaults([words[1:]], self.checks)
        else:
            self.seed = words[1] if len(words) > 1 else None

    def _seed(self) -> None:
        """random_seed N: from here on the numbers are the same in every reading."""
        if self.seed is not None:
            from random import Random  # hardly any configuration asks for it

            self.definitions.random = Random(self.seed).randint
            self.seed = None

    def _define(self, name: str, piece: str) -> None:
        """Add a line to a definition; one that ends with a backslash is continued on the next."""
        more = piece.endswith("\\")
        self.definitions.extend(piece.removesuffix("\\").strip(" \t"))
        self.defining = name if more else ""
        if not more:
            self.definitions.settle(name)

    def _include(self, text: str, raw: str) -> None:
        column = len(raw) - len(raw.lstrip()) + 1
        request = include.parse(text, self.checks)
        if request is None:
            self.faults.error(self._here(column), "include without a file name")
            return
        matched = False
        for pattern in include.expand_braces(request.pattern):
            wildcard = include.has_wildcard(pattern)
            path = posixpath.join(posixpath.dirname(self.file), pattern)
            found = self.files.glob(path)
            matched = matched or bool(found)
            if not found:
                # A plain name that is not there is nearly always a mistake, so it is told; keepalived logs it too.
                strict = request.wants("wildcard" if wildcard else "brace")
                if strict:
                    self.faults.error(self._here(column), f"nothing matches '{shown(pattern)}'")
                elif not wildcard and not request.wants("match"):
                    self.faults.warning(self._here(column), f"there is no file '{shown(path)}'")
            for name in sorted(found):
                self.read_file(name, self._here(column), request.wants("read"), wildcard)
        if not matched and request.wants("match"):
            self.faults.error(self._here(column), f"no file matches '{shown(request.pattern)}'")

    # -- lines that are what they say

    def _plain(self, line: str, text: str, brace: str | None) -> None:
        """The fast way for nearly every line: words, then perhaps one brace."""
        words = text.split(None, MAX_WORDS)
        if len(words) > MAX_WORDS:
            self._too_many()
            words.pop()
        if words:
            self.add(words, brace == "}")
        if brace == "{":
            self.open_block(line.index("{") + 1)
        elif brace:
            self.close_block(line.index("}") + 1)

    def _line(self, text: str, raw: str | None) -> None:
        """Put a line's words and braces into the tree. `raw`: the line as written, if `text` came from expansion."""
        expanded = -1
        try:
            short = list(split_line(text, self.script_words)) if len(text) <= LONG else None
            braces, last = 0, ""
            for kind, _, _ in short or split_line(text, self.script_words):
                last = kind
                braces += kind in "{}"
        except LexError as e:
            here = self._here(e.column) if raw is None else within(self._here(), text)
            self.faults.error(here, str(e))
            return
        tokens = iter(short) if short is not None else split_line(text, self.script_words)
        if raw is not None:
            tokens = _as_written(tokens, raw)
            if last and not self.lost:
                expanded = self.records.text(text)
        words: list[str] = []
        columns: array[int] = array("Q")
        quoted: list[int] = []
        inline = braces > 0 and not (braces == 1 and last == "{")
        for kind, word, column in tokens:
            if kind == "{" or kind == "}":
                if words:
                    self.add(words, inline, columns, quoted, expanded)
                    words, columns, quoted = [], array("Q"), []
                if kind == "{":
                    self.open_block(column)
                else:
                    self.close_block(column)
                continue
            if len(words) == MAX_WORDS:
                self._too_many()
                break
            if kind == "quoted":
                quoted.append(len(words))
            words.append(word)
            columns.append(column)
        if words:
            self.add(words, inline, columns, quoted, expanded)

    def _too_many(self) -> None:
        self.faults.error(self._here(), f"more than {MAX_WORDS} words in one statement")

    def add(
        self, words: list[str], inline: bool, columns: Sequence[int] | None = None, quoted: Sequence[int] = (),
        expanded: int = -1,
    ) -> None:  # fmt: skip
        """A statement; see fastha.config.tape.Records.add."""
        self.follows = True
        if not self.lost:
            self.records.add(words, self.line, inline, columns, quoted, expanded)
            if words[0] in REMEMBERED:
                self._remember(words)

    def open_block(self, column: int) -> None:
        follows, self.follows = self.follows, False
        if not follows:
            self._astray(self._here(column), "{ without a keyword before it")
        self.depth += 1
        if self.depth == MAX_DEPTH:
            self.faults.error(self._here(column), f"more than {MAX_DEPTH} blocks in one another")
        if follows and not self.lost and self.depth < MAX_DEPTH:
            self.records.open()
            return
        # The content must still be closed by its own }.
        if not self.lost:
            statement = self.records.latest() if follows else None
            self.lost_at = (self._here(column), "{") if statement is None else (statement.place(), statement.words[0])
        self.lost += 1

    def close_block(self, column: int) -> None:
        self.follows = False
        if not self.depth:
            self._astray(self._here(column), "} without a { that it closes")
            return
        self.depth -= 1
        if not self.lost:
            self.records.close()
            return
        self.lost -= 1
        if not self.lost:
            self.lost_at = None


def _odd(line: str) -> tuple[str, int] | None:
    """What keeps a line from being text: (message, offset). Comments may hold any byte but NUL."""
    if "\0" in line:
        return "a NUL byte: this is not a text file", line.index("\0")
    if not line.isascii() and BYTE.search(line) and (found := BYTE.search(strip_comment(line))):
        return "a byte that is not UTF-8", found.start()
    return None


def _as_written(tokens: Iterator[Token], raw: str) -> Iterator[Token]:
    """Tokens of an expanded line with the columns of the line as written: where the word stands in it, else where the
    definition is used that it came from (the next one; the last one when there are no more)."""
    used = max(raw.find("$"), raw.find("~"), 0)
    at = 0
    for kind, word, _ in tokens:
        found = raw.find(word, at) if word else -1
        if found >= 0:
            at = found + len(word)
        elif (dollar := raw.find("$", at)) >= 0:
            used = max(at, raw.rfind(" ", at, dollar) + 1, raw.rfind("\t", at, dollar) + 1)
            rest = USED.match(raw, dollar)
            at = max(rest.end() if rest else 0, dollar + 1)
        yield Token(kind, word, (found if found >= 0 else used) + 1)
