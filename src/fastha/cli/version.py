"""`fastha version`."""

from __future__ import annotations

import argparse
import sys

import fastha
from fastha.channel.status import Exit
from fastha.parent.protocol import VERSION


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(options: argparse.Namespace) -> int:
    if options.json:
        from fastha.cli.screen import json_text

        sys.stdout.write(json_text({"version": fastha.__version__, "protocol": VERSION}))
        return Exit.OK
    print(f"fastha {fastha.__version__}")
    return Exit.OK
