"""`fastha page`: the daemon's status for browsers, live."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.cli.commands import names
from fastha.errors import FasthaError
from fastha.parent.protocol import CONTROL_PATH

PORT = 9651
SHORT = 16  # a token below that is guessed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        default=f"127.0.0.1:{PORT}",
        help=f"127.0.0.1:{PORT}, [::1]:{PORT} or unix:/PATH (127.0.0.1:{PORT})",
    )
    parser.add_argument("--user", default="", metavar="NAME", help="whom to serve as (fastha-watch, else nobody)")
    names(
        parser.add_argument(
            "--token-file",
            metavar="FILE",
            help=f"its first line is the admin token, at least {SHORT} characters: who has it can drain and enable; "
            "without it the page is read-only",
        ),
        "file",
    )
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="a name that a proxy serves the page under"
    )
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def main(options: argparse.Namespace) -> int:
    from fastha.watch import address, page
    from fastha.watch.metrics import say

    try:
        where = address.parse(options.listen)
    except ValueError as error:
        print(f"fastha page: {options.listen}: {error}", file=sys.stderr)
        return Exit.REFUSED
    token = _token(options.token_file) if options.token_file else ""
    sock = address.listen(where)
    say(f"status page at {where}" + ("" if token else ", read-only"))
    page.serve(partial(ask, options.control), sock, options.user, token, tuple(options.host))
    return Exit.OK


def _token(path: str) -> str:
    try:
        token = Path(path).read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FasthaError(f"{path}: {getattr(error, 'strerror', '') or error}") from None
    if len(token) < SHORT:
        raise FasthaError(f"{path}: the admin token has fewer than {SHORT} characters")
    return token
