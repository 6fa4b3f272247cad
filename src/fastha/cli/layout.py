"""Rows for people: aligned columns whose last one is free text, nothing ever cut off. Pure.

A cell is text, or (text, style) with a style that rich knows. Lines come back as lists of such pairs, so that they
can be printed with colours on a terminal and without them anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

Styled = tuple[str, str]
Cell = str | Styled
Line = list[Styled]

GAP = "  "
LEAST_FREE = 24  # a free text column narrower than this goes to lines of its own
INDENT = "    "


def styled(cell: Cell) -> Styled:
    return (cell, "") if isinstance(cell, str) else cell


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    width: int | None,
    below: Sequence[list[Line]] = (),
) -> list[Line]:
    """Lines for `rows` under `head`, and after each row its lines of `below`, if there are.

    The last column is free text: wrapped to `width` (None: never) under its own title or, where that is too
    narrow, on indented lines of its own. The others are as wide as they need to be; one that is empty in every row
    disappears."""
    cells = [[styled(cell) for cell in row] for row in rows]
    fixed = [
        max([len(title), *(len(row[i][0]) for row in cells)]) if any(row[i][0] for row in cells) else 0
        for i, title in enumerate(head[:-1])
    ]
    start = sum(size + len(GAP) for size in fixed if size)
    lines = [_line([(title, "bold") for title in head], fixed)]
    for number, row in enumerate(cells):
        lines += _row(row, fixed, start, width)
        if number < len(below):
            lines += below[number]
    return lines


def _row(row: Sequence[Styled], fixed: Sequence[int], start: int, width: int | None) -> list[Line]:
    """One row; its free text begins at column `start`."""
    text, style = row[-1]
    if width is None or start + len(text) <= width:
        return [_line(row, fixed)]
    if width - start < LEAST_FREE:
        return [_line([*row[:-1], ("", "")], fixed), *paragraph(text, INDENT, width, style)]
    first, *rest = paragraph(text, " " * start, width, style)
    return [_line([*row[:-1], (first[0][0][start:], style)], fixed), *rest]


def paragraph(text: str, indent: str, width: int | None, style: str = "") -> list[Line]:
    """`text` on indented lines."""
    if width is None:
        return [[(indent + text, style)]]
    import textwrap

    pieces = textwrap.wrap(
        text, max(width, len(indent) + LEAST_FREE), initial_indent=indent, subsequent_indent=indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
    return [[(piece, style)] for piece in pieces or [indent]]


def _line(row: Sequence[Styled], fixed: Sequence[int]) -> Line:
    line: Line = []
    for (text, style), size in zip(row, fixed, strict=False):
        if size:
            line += [(text, style), (" " * (size - len(text)) + GAP, "")]
    line.append(row[-1])
    while line and not line[-1][0].strip():
        line.pop()
    return line


def duration(seconds: float) -> str:
    """`41s`, `7m03s`, `5h20m`, `12d04h`: two units are enough at any age."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left}s"
    if left < 3600:
        return f"{left // 60}m{left % 60:02d}s"
    if left < 86_400:
        return f"{left // 3600}h{left % 3600 // 60:02d}m"
    return f"{left // 86_400}d{left % 86_400 // 3600:02d}h"


def short_ns(ns: int | None) -> str:
    """`0.21ms`, `14ms`, `2.3s`; "-" for None."""
    if ns is None:
        return "-"
    if ns >= 1_000_000_000:
        return f"{ns / 1e9:.1f}s"
    if ns >= 10_000_000:
        return f"{ns / 1e6:.0f}ms"
    return f"{ns / 1e6:.2f}ms"


def short_kb(kb: int | None) -> str:
    """`29M`; "-" for None."""
    return "-" if kb is None else f"{kb / 1024:.0f}M"
