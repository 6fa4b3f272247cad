"""Styled lines on their way out: with rich's colours on a terminal, plain text anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from fastha.cli.layout import Line


def write(lines: Iterable[Line]) -> None:
    """Print `lines` on stdout. A pipe or a file gets no colours, and no time is spent on loading rich."""
    from fastha.safe import SAFE

    if not sys.stdout.isatty():
        sys.stdout.writelines("".join(text for text, _style in line).translate(SAFE) + "\n" for line in lines)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((text.translate(SAFE), style) for text, style in line)))


def json_text(data: object) -> str:
    """One JSON value for programs, indented, with a newline at its end."""
    import orjson  # most commands are asked for text

    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def printable(text: str, keep: str = "") -> str:
    """`text` without control characters and lone surrogates (file names may hold any byte)."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def counted(n: int, thing: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
