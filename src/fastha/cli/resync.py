"""`fastha resync`: compare the kernel's table with what is wanted and repair it, now; returns when that is done."""

from __future__ import annotations

import argparse
import sys

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.cli.progress import progress
from fastha.cli.screen import counted, json_text
from fastha.parent.protocol import CONTROL_PATH
from fastha.safe import SAFE


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
    parser.add_argument("--timeout", type=float, default=40.0, metavar="SECONDS", help="how long to wait (40)")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON object")


def main(options: argparse.Namespace) -> int:
    with progress("comparing"):
        answer = ask(options.control, "resync", options.timeout)
    if options.json:
        sys.stdout.write(json_text(answer))
    elif answer["operations"]:
        print(f"repaired with {counted(answer['operations'], 'operation')}: {answer['text']}".translate(SAFE))
    else:
        print("the kernel's table is as it should be; no operation")
    return Exit.OK
