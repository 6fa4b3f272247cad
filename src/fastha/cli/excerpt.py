"""The source line of a finding, and which part of it is meant."""

from __future__ import annotations

import re
from typing import NamedTuple
from unicodedata import east_asian_width

from fastha.errors import Fault

LINE_SHOWN = 160  # characters of a source line; long lines are cut around the finding
# What stands at a column: a string in quotes, the use of a definition, a repetition, a brace, or a word.
SPAN = re.compile(r"""\"[^"]*"?|'[^']*'?|\$\{[^{}]*\}?|~\w+\([^()]*\)?|[{}]|(?:\\[#!]|[^ \t\r\f\v"{}#!])+""")


class Excerpt(NamedTuple):
    """A line of a file; `begin`..`end` are offsets of what is meant (end excluded)."""

    text: str
    begin: int
    end: int


class Sources:
    """Files as they are now, each read once; what cannot be read has no lines."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def line(self, file: str, number: int) -> str | None:
        """Line `number` from 1; None if there is none."""
        if file not in self._lines:
            try:
                with open(file, encoding="utf-8-sig", errors="replace", newline="\n") as f:
                    self._lines[file] = f.read().split("\n")
            except OSError:
                self._lines[file] = []
        lines = self._lines[file]
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else None

    def excerpt(self, fault: Fault) -> Excerpt | None:
        """Where `fault` is; None if it has no place, or its file cannot be read again."""
        text = self.line(fault.file, fault.line) if fault.line else None
        if text is None:
            return None
        begin = min(max(fault.column - 1, 0), len(text))
        match = SPAN.match(text, begin)
        return Excerpt(text, begin, match.end() if match else min(begin + 1, len(text)))


def cut(excerpt: Excerpt) -> Excerpt:
    """The same without indentation, and no longer than LINE_SHOWN; every character takes a place on the screen."""
    text, begin, end = excerpt
    first = max(0, begin - LINE_SHOWN // 2) if len(text) > LINE_SHOWN else 0
    shown = text[first : first + LINE_SHOWN].replace("\t", " ").rstrip()
    first += (indent := min(len(shown) - len(shown.lstrip()), begin - first))
    shown = "".join(c if c.isprintable() else "?" for c in shown[indent:])
    return Excerpt(shown, begin - first, max(min(end - first, len(shown)), begin - first + 1))


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
