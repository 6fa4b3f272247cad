"""`fastha status`: the daemon's own picture, for people or as JSON, once or again and again."""

from __future__ import annotations

import argparse
import shutil
import sys
import time

from fastha.channel.status import Exit
from fastha.cli.client import NoAnswer, ask
from fastha.cli.commands import names
from fastha.cli.connections import Connections
from fastha.cli.layout import Line
from fastha.cli.screen import json_text
from fastha.parent.protocol import CONTROL_PATH

WATCH_S = 2.0
EPILOG = """\
NAME is an instance, a virtual server or a real server: its name, the beginning of it, or a shell pattern in quotes.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{EPILOG}\n{parser.epilog}"
    names(parser.add_argument("names", metavar="NAME", nargs="*", help="only what is called so"), "subject")
    parser.add_argument(
        "--troubled", action="store_true", help="only what is not as it should be, or decided by an operator"
    )
    parser.add_argument(
        "-w",
        "--watch",
        nargs="?",
        type=_seconds,
        const=WATCH_S,
        metavar="S",
        help=f"again every S seconds ({WATCH_S:g}), until Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object (with --watch: one a line)")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("a number of seconds from 0.1")
    return seconds


def main(options: argparse.Namespace) -> int:
    if options.watch is not None:
        return _watch(options)
    answer = Connections().add(ask(options.control, "status"))
    if options.names or options.troubled:
        from fastha.cli.select import select

        answer = select(answer, options.names, options.troubled)
    if options.json:
        sys.stdout.write(json_text(answer))
        return Exit.OK
    from fastha.cli.picture import render
    from fastha.safe import SAFE

    if not sys.stdout.isatty():
        # A pipe or file: no colours, no wrapping, and no time spent on loading rich.
        for line in render(answer, time.time(), None):
            print("".join(text for text, _style in line).translate(SAFE))
        return Exit.OK
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in render(answer, time.time(), console.width):
        console.print(Text.assemble(*((text.translate(SAFE), style) for text, style in line)))
    return Exit.OK


def _watch(options: argparse.Namespace) -> int:
    """A daemon that is away is said so; it may come back."""
    from fastha.cli.picture import render
    from fastha.cli.select import select

    screen = sys.stdout.isatty() and not options.json
    connections = Connections()
    while True:
        try:
            answer = select(connections.add(ask(options.control, "status")), options.names, options.troubled)
        except NoAnswer as error:
            answer, lines = {"error": str(error)}, [[(str(error), "bold red")]]
        else:
            size = shutil.get_terminal_size()
            lines = [] if options.json else render(answer, time.time(), size.columns if screen else None)
        if options.json:
            import orjson

            sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE).decode())
        elif screen:
            _draw(lines)
        else:
            from fastha.cli.screen import write

            write([*lines, []])
        sys.stdout.flush()
        time.sleep(options.watch)


def _draw(lines: list[Line]) -> None:
    """One screen of them, in place of the one before."""
    from rich.console import Console
    from rich.text import Text

    from fastha.safe import SAFE

    console = Console(highlight=False, soft_wrap=True)
    room = console.height - 1
    if len(lines) > room:
        more = f"... {len(lines) - room + 1} more lines: name what to show, or look with fastha top"
        lines = [*lines[: room - 1], [(more, "bold")]]
    with console.capture() as capture:
        for line in lines:
            text = Text.assemble(*((text.translate(SAFE), style) for text, style in line))
            text.truncate(console.width)
            console.print(text, end="\x1b[K\n")
    sys.stdout.write(f"\x1b[H{capture.get()}\x1b[J")
