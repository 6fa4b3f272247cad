"""A child as a program: under the parent, or by hand with a configuration file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Protocol

from fastha.channel.endpoint import Endpoint
from fastha.child import log
from fastha.errors import FasthaError
from fastha.model import Config


class Program(Protocol):
    """What runs: `begin` is for by hand alone, and raises a FasthaError if that configuration cannot be run."""

    def begin(self, config: Config) -> None: ...
    def run(self) -> int: ...


def main(
    role: str, what: str, doc: str | None, make: Callable[[Endpoint | None], Program], argv: list[str] | None = None
) -> int:
    """The exit code of `python -m fastha.ROLE`; `what` of a file it runs by hand."""
    parser = argparse.ArgumentParser(prog=f"python -m fastha.{role}", description=doc)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", metavar="FILE", help=f"read this keepalived.conf and run its {what}")
    source.add_argument("--channel", metavar="FD", type=int, help="descriptor of the channel to the parent")
    options = parser.parse_args(argv)
    logger = log.setup(role)
    if options.channel is not None:
        return make(Endpoint.inherited(options.channel)).run()
    try:
        from fastha.config.load import load  # the child under a parent never reads files

        program = make(None)
        program.begin(load(options.f).checked())
        return program.run()
    except FasthaError as error:
        logger.error("%s", error)
        return 1
