"""`fastha stop`: returns when the daemon has ended."""

from __future__ import annotations

import argparse
import os
import select
import sys

from fastha.channel.status import Exit
from fastha.cli.client import NoAnswer, ask
from fastha.cli.screen import json_text
from fastha.parent.protocol import CONTROL_PATH


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="how long to wait (30)")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON object")


def main(options: argparse.Namespace) -> int:
    # The pidfd is taken while the daemon certainly lives, so it cannot be somebody else's.
    pid = ask(options.control, "status")["daemon"]["pid"]
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        pidfd = -1  # another pid namespace: it can be asked, not watched
    answer = ask(options.control, "stop")
    if pidfd >= 0:
        _wait(pid, pidfd, options.timeout)
    if options.json:
        sys.stdout.write(json_text(answer | {"ended": pidfd >= 0}))
    return Exit.OK


def _wait(pid: int, pidfd: int, timeout_s: float) -> None:
    try:
        if not select.select([pidfd], [], [], timeout_s)[0]:
            raise NoAnswer(f"the daemon (pid {pid}) has not ended within {timeout_s:g} s", Exit.FAILED)
    finally:
        os.close(pidfd)
