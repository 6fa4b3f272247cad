"""Text -> statement tree. Knows the grammar of keepalived.conf and none of its keywords.

Bytes come through a `Files` (config.files has the real one), so reading is a function of its arguments. Whatever
the bytes are, the result is a tree and faults, never an exception; time and memory are linear in what is read
plus what definitions produce, which is bounded.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Set
from itertools import islice
from typing import Protocol

from fastha.config import include
from fastha.config.expand import ASSIGN, CONDITION, Definitions, Environment, ExpandError
from fastha.config.lexer import LexError, Token, split_line, strip_comment
from fastha.config.tree import Faults, Place, Statement, Tree, shown, within

MAX_DEPTH = 32  # blocks in blocks; keepalived's deepest is 5
MAX_INCLUDE_DEPTH = 32
MOST_ASTRAY = 1000  # faults of one kind that nobody reads to the end
MAX_INCLUDES = 100_000
MAX_NESTED = 8  # definitions that hold repetitions that use such definitions
EXPANSION = 64 << 20  # characters that definitions and repetitions may produce in one reading

# ASCII without quotes, escapes, comments, definitions, conditions, repetitions or includes, then at most one brace.
PLAIN = re.compile(r"(?![ \t]*+include)([%&(-?A-Z\[\]^-z| \t\r]*+)(?:([{}])[ \t\r]*+)?")
USED = re.compile(r"(?:\$\{[^{}]*\}|[^ \t{}\"])*")  # the rest of a word with a definition in it
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

    def __init__(self, files: Files, script_words: Set[str], env: Environment, expansion: int) -> None:
        self.files = files
        self.script_words = script_words
        self.env = env
        self.definitions = Definitions(env, expansion)
        self.tree = Tree()
        self.faults = Faults()
        self.current = self.tree.statements  # the block that the next statement goes to
        self.open: list[tuple[Statement, list[Statement]]] = []  # unclosed blocks: (statement, block around it)
        self.last: Statement | None = None  # the statement that a { on a later line belongs to
        self.reading: list[str] = []  # files being read, outermost first
        self.astray = 0  # faults of text that is no configuration
        self.defining = ""  # name of the definition that the next line continues
        self.globals: list[Statement] = []  # blocks of global_defs among the first `looked` statements
        self.looked = 0
        self.seeded: Statement | None = None  # the random_seed that counts
        self.file = ""
        self.line = 0

    def read(self, path: str) -> Tree:
        """Everything there is at `path`."""
        for name in self.files.glob(path) or [path]:  # -f takes a glob, as keepalived's does
            self.read_file(name, (name, 0, 0))
        if self.open:
            statement, _ = self.open[-1]
            more = f"; {len(self.open)} blocks are open at the end" if len(self.open) > 1 else ""
            self.faults.error(
                statement.place(), f"the block '{shown(statement.words[0])}' is never closed{more}", "add a }"
            )
        self.tree.faults = self.faults
        return self.tree

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
        self.tree.files.append(path)
        self.reading.append(name)
        outside = self.file, self.line
        self.file = path
        self.read_text(data)
        if self.defining:
            self.defining = ""
            self.faults.error(self._here(), "the definition goes on past the end of the file")
        self.file, self.line = outside
        self.reading.pop()

    def read_text(self, data: bytes) -> None:
        """Put all lines of a file into the tree."""
        text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        odd = "\0" in text or (not text.isprintable() and any("\udc80" <= c <= "\udcff" for c in set(text)))
        for number, line in enumerate(text.split("\n"), 1):
            self.line = number
            if not odd and not self.defining and (match := PLAIN.fullmatch(line)):
                self._plain(line, match[1], match[2])
            else:
                self.read_line(line, odd)

    def read_line(self, line: str, odd: bool = True) -> None:
        """Put line number `self.line` into the tree. `odd`: there may be bytes in it that are no text."""
        if odd and (fault := _odd(line)):
            self._astray((self.file, self.line, fault[1] + 1), fault[0])
        elif not self.defining and (match := PLAIN.fullmatch(line)):
            self._plain(line, match[1], match[2])
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
            self.definitions.values[match[1]] = ""
            self._define(match[1], match[2])
            return
        if depth < MAX_NESTED and (opened := self.definitions.opened(text)) is not None:
            for line in opened.split("\n"):
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
            for remark in dict.fromkeys(self.definitions.remarks):
                self.faults.warning(self._here(raw.find("$") + 1), remark)
            for line in expanded.split("\n"):
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

    def _global(self, word: str) -> list[Statement]:
        """What `global_defs` has said so far with this keyword."""
        top = self.tree.statements
        self.globals += (s for s in islice(top, self.looked, None) if s.words[0] == "global_defs")
        self.looked = len(top)
        return [s for one in self.globals for s in one.block or () if s.words[0] == word]

    def _seed(self) -> None:
        """random_seed N: from here on the numbers are the same in every reading."""
        said = self._global("random_seed")
        if said and said[-1] is not self.seeded and len(said[-1].words) > 1:
            self.seeded = said[-1]
            from random import Random  # hardly any configuration asks for it

            self.definitions.random = Random(said[-1].words[1]).randint

    def _define(self, name: str, piece: str) -> None:
        """Add a line to a definition; one that ends with a backslash is continued on the next."""
        more = piece.endswith("\\")
        piece = piece.removesuffix("\\").strip(" \t")
        value = self.definitions.values[name]
        self.definitions.values[name] = f"{value}\n{piece}" if value else piece
        self.defining = name if more else ""

    def _include(self, text: str, raw: str) -> None:
        column = len(raw) - len(raw.lstrip()) + 1
        request = include.parse(text, [s.words[1:] for s in self._global("include_check")])
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
        words = text.split()
        if words:
            self.add(Statement(words, line, self.file, self.line, inline=brace == "}"))
        if brace == "{":
            self.open_block(line.index("{") + 1)
        elif brace:
            self.close_block(line.index("}") + 1)

    def _line(self, text: str, raw: str | None) -> None:
        """Put a line's words and braces into the tree. `raw`: the line as written, if `text` came from expansion."""
        try:
            tokens = split_line(text, self.script_words)
        except LexError as e:
            here = self._here(e.column) if raw is None else within(self._here(), text)
            self.faults.error(here, str(e))
            return
        if raw is not None:
            tokens = _as_written(tokens, raw)
        expanded = "" if raw is None else text
        words: list[str] = []
        columns: list[int] = []
        quoted: list[int] = []
        braces = sum(t.kind in "{}" for t in tokens)
        inline = braces > 0 and not (braces == 1 and tokens[-1].kind == "{")
        for kind, word, column in tokens:
            if kind == "{" or kind == "}":
                if words:
                    self.add(Statement(words, columns, self.file, self.line, inline, frozenset(quoted), expanded))
                    words, columns, quoted = [], [], []
                if kind == "{":
                    self.open_block(column)
                else:
                    self.close_block(column)
                continue
            if kind == "quoted":
                quoted.append(len(words))
            words.append(word)
            columns.append(column)
        if words:
            self.add(Statement(words, columns, self.file, self.line, inline, frozenset(quoted), expanded))

    def add(self, statement: Statement) -> None:
        self.current.append(statement)
        self.last = statement

    def open_block(self, column: int) -> None:
        statement = self.last
        if statement is None or statement.block is not None:
            self._astray(self._here(column), "{ without a keyword before it")
            # Its content must still be closed by its own }.
            statement = Statement(["{"], [column], self.file, self.line)
        statement.block = []
        self.open.append((statement, self.current))
        if len(self.open) == MAX_DEPTH:
            self.faults.error(self._here(column), f"more than {MAX_DEPTH} blocks in one another")
        # Deeper ones are kept flat: their statements go nowhere that is ever looked at.
        self.current = statement.block if len(self.open) < MAX_DEPTH else []
        self.last = None

    def close_block(self, column: int) -> None:
        self.last = None
        if not self.open:
            self._astray(self._here(column), "} without a { that it closes")
            return
        _, self.current = self.open.pop()


def _odd(line: str) -> tuple[str, int] | None:
    """What keeps a line from being text: (message, offset). Comments may hold any byte but NUL."""
    if "\0" in line:
        return "a NUL byte: this is not a text file", line.index("\0")
    for offset, c in enumerate(strip_comment(line)):
        if "\udc80" <= c <= "\udcff":
            return "a byte that is not UTF-8", offset
    return None


def _as_written(tokens: list[Token], raw: str) -> list[Token]:
    """Tokens of an expanded line with the columns of the line as written: where the word stands in it, else where the
    definition is used that it came from (the next one; the last one when there are no more)."""
    used = max(raw.find("$"), raw.find("~"), 0)
    out, at = [], 0
    for kind, word, _ in tokens:
        found = raw.find(word, at) if word else -1
        if found >= 0:
            at = found + len(word)
        elif (dollar := raw.find("$", at)) >= 0:
            used = max(at, raw.rfind(" ", at, dollar) + 1, raw.rfind("\t", at, dollar) + 1)
            rest = USED.match(raw, dollar)
            at = max(rest.end() if rest else 0, dollar + 1)
        out.append(Token(kind, word, (found if found >= 0 else used) + 1))
    return out
