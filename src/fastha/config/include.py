"""The include statements: what they ask for. (Reading the files is the reader's.)"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

from fastha.lean import dataclass

INCLUDE = re.compile(r"[ \t]*+include([rmwba]?)(?:[ \t]++(.*))?", re.S)
# What makes each variant an error: r unreadable, m nothing matches, w a wildcard matches nothing, b a brace element
# matches nothing, a any of these.
CHECKS = {
    "": frozenset[str](),
    "r": frozenset({"read"}),
    "m": frozenset({"match"}),
    "w": frozenset({"wildcard"}),
    "b": frozenset({"brace"}),
    "a": frozenset({"read", "match", "wildcard", "brace"}),
}
NAMES = {"read": "read", "match": "match", "wildcard_match": "wildcard", "brace_match": "brace"}
PATH_MAX = 4096  # linux/limits.h
MAX_ELEMENTS = 4096


@dataclass(frozen=True, slots=True)
class Include:
    """One include: its pattern, and what is an error about it."""

    pattern: str
    checks: frozenset[str]

    def wants(self, check: str) -> bool:
        return check in self.checks


def is_include(text: str) -> bool:
    return INCLUDE.fullmatch(text.rstrip(" \t\r")) is not None


def defaults(said: Sequence[Sequence[str]], before: Set[str] = frozenset()) -> frozenset[str]:
    """What makes a plain `include` an error, after these `include_check` lines: `[+|-] TYPE...`; a bare type replaces
    what was there (`before` the first), nothing means all."""
    checks = set(before)
    for words in said:
        sign, bare = "", True
        if not words:
            checks |= CHECKS["a"]
        for word in words:
            sign = word[0] if word[:1] in ("+", "-") else sign
            name = word.lstrip("+-")
            these = CHECKS["a"] if name == "all" else {NAMES[name]} if name in NAMES else set()
            if not name:
                continue
            if sign == "-":
                checks -= these
            else:
                checks = checks | these if sign == "+" or not bare else set(these)
            bare, sign = False, ""
    return frozenset(checks)


def parse(text: str, checks: frozenset[str] = frozenset()) -> Include | None:
    """The include that a line is; None if it names no file. `checks`: what is an error about a plain one."""
    match = INCLUDE.fullmatch(text.rstrip(" \t\r"))
    if match is None or not match[2] or len(match[2]) > PATH_MAX:
        return None
    pattern = match[2]
    if len(pattern) >= 2 and pattern[0] == pattern[-1] == '"':
        pattern = pattern[1:-1]
    return Include(pattern, CHECKS[match[1]] if match[1] else checks)


def has_wildcard(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")


def expand_braces(pattern: str) -> list[str]:
    """`a{b,c}d` -> `abd`, `acd`, as glob(3) with GLOB_BRACE; nested too. Unbalanced braces stand for themselves."""
    out: list[str] = []
    todo = [pattern]
    while todo and len(out) + len(todo) <= MAX_ELEMENTS:
        text = todo.pop(0)
        span = _first_brace(text)
        if span is None:
            out.append(text)
            continue
        begin, end = span
        todo[:0] = [text[:begin] + middle + text[end + 1 :] for middle in _elements(text[begin + 1 : end])]
    return out or [pattern]


def _first_brace(text: str) -> tuple[int, int] | None:
    depth, begin = 0, -1
    for i, c in enumerate(text):
        if c == "{":
            if depth == 0:
                begin = i
            depth += 1
        elif c == "}" and depth:
            depth -= 1
            if depth == 0:
                return begin, i
    return None


def _elements(text: str) -> Iterator[str]:
    """Split at the commas that are in no inner brace."""
    depth, start = 0, 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == "," and depth == 0:
            yield text[start:i]
            start = i + 1
    yield text[start:]
