"""`fastha status`: the daemon's own picture, for people or as JSON."""

from __future__ import annotations

import argparse
import sys
import time

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.cli.screen import json_text
from fastha.parent.protocol import CONTROL_PATH


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def main(options: argparse.Namespace) -> int:
    answer = ask(options.control, "status")
    if options.json:
        sys.stdout.write(json_text(answer))
        return Exit.OK
    from fastha.cli.picture import render
    from fastha.log import SAFE

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
