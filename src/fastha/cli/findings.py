"""Findings for people (lines) and for programs (plain data)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fastha.cli.excerpt import Excerpt, Sources, columns, cut
from fastha.cli.layout import Line
from fastha.cli.screen import printable
from fastha.errors import Fault, Severity

FORMAT = 1  # of the JSON; a change that takes something away gets the next number
ALIKE = 10  # findings of one kind that are shown
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOT_SUPPORTED: "bold cyan"}
RANK = {severity: rank for rank, severity in enumerate(Severity)}
PARTICULAR = re.compile(r"'[^']*'|\b[\w.:/-]*\d[\w.:/-]*")  # what differs between messages that say the same


def sort(faults: Sequence[Fault], by: str) -> list[Fault]:
    """`faults` come by place; "severity" and "code" keep that order among equals."""
    if by == "severity":
        return sorted(faults, key=lambda f: RANK[f.severity])
    if by == "code":
        return sorted(faults, key=lambda f: (RANK[f.severity], f.code))
    return list(faults)


def kind(fault: Fault) -> tuple[str, str, str]:
    """What makes findings alike: the same but for names and numbers."""
    return fault.severity, fault.code, PARTICULAR.sub("...", fault.message)


def lines(faults: Sequence[Fault], sources: Sources, alike: int | None = ALIKE) -> Iterator[Line]:
    """Every finding with its place, source line and hint; of one kind at most `alike` (None: all), and then how many
    more there are."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for fault in faults:
        one = kind(fault)
        seen[one] += 1
        if alike is None or seen[one] <= alike:
            yield from described(fault, sources)
    if alike is not None:
        for (severity, code, text), count in seen.items():
            if count > alike:
                style = STYLES[Severity(severity)]
                yield [("and ", ""), (f"{count - alike} more", style), (f" like this: {text} [{code}]", "")]


def described(fault: Fault, sources: Sources) -> Iterator[Line]:
    """A finding as people read it: place and message, the line with the word underlined, and the hint."""
    place = f"{fault.file}:{fault.line}:{fault.column}" if fault.line else fault.file
    code = f" [{fault.code}]" if fault.code else ""
    yield [
        (f"{printable(place)}: ", "bold"), (f"{fault.severity}: ", STYLES[fault.severity]),
        (fault.message, ""), (code, "dim"),
    ]  # fmt: skip
    excerpt = sources.excerpt(fault)
    if excerpt is not None:
        yield from _shown(fault, excerpt)
    if fault.hint:
        yield [("    hint: ", "bold"), (fault.hint, "")]


def _shown(fault: Fault, excerpt: Excerpt) -> Iterator[Line]:
    text, begin, end = cut(excerpt)
    number = f"{fault.line:6} | "
    yield [(number, "dim"), (text[:begin], ""), (text[begin:end], STYLES[fault.severity]), (text[end:], "")]
    underline = "^".ljust(max(columns(text[begin:end]), 1), "~")
    yield [(" " * (len(number) + columns(text[:begin])), ""), (underline, STYLES[fault.severity])]
    if fault.expanded and fault.expanded.split() != excerpt.text.split():
        yield [("  read as: ", "dim"), (cut(Excerpt(fault.expanded.strip(), 0, 0)).text, "")]


def plain(fault: Fault, sources: Sources) -> dict[str, Any]:
    """One finding as docs/check.schema.json describes it. `column` and `end` count characters from 1, `end` is the one
    after the last; all three numbers are 0 where there is no place."""
    excerpt = sources.excerpt(fault)
    return {
        "file": printable(fault.file),
        "line": fault.line,
        "column": fault.column,
        "end": max(excerpt.end, excerpt.begin + 1) + 1 if excerpt else fault.column + bool(fault.line),
        "severity": str(fault.severity),
        "code": fault.code,
        "text": fault.message,
        "hint": fault.hint,
        "source": printable(excerpt.text, "\t") if excerpt else "",
        "expanded": fault.expanded,
    }
