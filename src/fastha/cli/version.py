"""`fastha version`."""

from __future__ import annotations

import argparse

import fastha
from fastha.channel.status import Exit


def arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none."""


def main(_options: argparse.Namespace) -> int:
    print(f"fastha {fastha.__version__}")
    return Exit.OK
