"""`fastha reload`: returns when the new configuration runs, or has been refused."""

from __future__ import annotations

import argparse
import sys

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.cli.progress import progress
from fastha.cli.screen import json_text
from fastha.parent.protocol import CONTROL_PATH


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="how long to wait (120)")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON object")


def main(options: argparse.Namespace) -> int:
    with progress("reloading"):
        answer = ask(options.control, "reload", options.timeout)
    if options.json:
        sys.stdout.write(json_text(answer))
        return Exit.OK if answer["ok"] else Exit.REFUSED
    for fault in answer["faults"]:
        print(fault, file=sys.stderr)
    if answer["ok"]:
        print(f"{answer['outcome']}: {answer['text']}")
        if stalls := answer["stalls_ms"]:
            print("longest standstill: " + ", ".join(f"{role} {ms:g} ms" for role, ms in stalls.items()))
        return Exit.OK
    print(f"fastha: refused: {answer['text']}", file=sys.stderr)
    return Exit.REFUSED
