"""Commands that have actions: `fastha rs drain`, `fastha vrrp hold`, `fastha vs show`. What all of them take."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from fastha.parent.protocol import CONTROL_PATH


def actions(
    parser: argparse.ArgumentParser, texts: Mapping[str, str], names: str, json_help: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser for each action of `texts` (action -> what it does), with --control and --json. `names`: what its
    arguments mean, said at the end of every help."""
    parser.epilog = f"{names}\n{parser.epilog}"
    group = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in texts.items():
        one = group.add_parser(
            action,
            help=text,
            description=text,
            epilog=parser.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
        one.add_argument("--json", action="store_true", help=json_help)
        yield action, one
