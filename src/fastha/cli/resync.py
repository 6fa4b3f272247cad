"""`fastha resync`: compare the kernel's table with what is wanted and repair it, now; returns when that is done."""

from __future__ import annotations

import argparse
import sys

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.log import SAFE
from fastha.parent.protocol import CONTROL_PATH


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
    parser.add_argument("--timeout", type=float, default=40.0, metavar="SECONDS", help="how long to wait (40)")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON object")


def main(options: argparse.Namespace) -> int:
    answer = ask(options.control, "resync", options.timeout)
    if options.json:
        import orjson

        sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    elif answer["operations"]:
        count = answer["operations"]
        print(f"repaired with {count} operation{'s' * (count != 1)}: {answer['text']}".translate(SAFE))
    else:
        print("the kernel's table is as it should be; no operation")
    return Exit.OK
