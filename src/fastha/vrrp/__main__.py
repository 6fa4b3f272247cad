"""`python -m fastha.vrrp --channel FD` (under the parent) or `-f FILE` (by hand: only the VRRP half runs)."""

from __future__ import annotations

import argparse
import logging
import socket
import sys

from fastha.channel.endpoint import Endpoint
from fastha.child import log
from fastha.errors import FasthaError
from fastha.vrrp.child import VrrpChild


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m fastha.vrrp", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", metavar="FILE", help="read this keepalived.conf and run its VRRP instances")
    source.add_argument("--channel", metavar="FD", type=int, help="descriptor of the channel to the parent")
    arguments = parser.parse_args(argv)
    log.setup("vrrp")
    if arguments.channel is not None:
        return VrrpChild(Endpoint(socket.socket(fileno=arguments.channel), "up")).run()
    try:
        return by_hand(arguments.f)
    except FasthaError as error:
        logging.getLogger("fastha").error("%s", error)
        return 1


def by_hand(path: str) -> int:
    """Run a configuration file's instances until SIGTERM."""
    from fastha.config.load import load  # the child under a parent never reads files

    vrrp = VrrpChild(None)
    vrrp.begin(load(path).checked())
    return vrrp.run()


if __name__ == "__main__":
    sys.exit(main())
