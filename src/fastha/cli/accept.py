"""`fastha accept`: real servers that panic_threshold or removal_limit keep in the set are down indeed, and may fall."""

from __future__ import annotations

import argparse
import sys

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.cli.commands import names
from fastha.cli.screen import counted, json_text
from fastha.parent.protocol import CONTROL_PATH
from fastha.safe import SAFE


def arguments(parser: argparse.ArgumentParser) -> None:
    names(parser.add_argument("virtual_servers", metavar="VS", nargs="+", help="names or patterns"), "virtual_server")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON object")


def main(options: argparse.Namespace) -> int:
    answer = ask(options.control, "accept", 10.0, {"virtual_servers": options.virtual_servers})
    if options.json:
        sys.stdout.write(json_text(answer))
        return Exit.OK
    for one in answer["accepted"]:
        print(f"{one['virtual_server']}: {counted(one['kept'], 'real server')} may fall".translate(SAFE))
    return Exit.OK
