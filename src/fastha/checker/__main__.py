"""`python -m fastha.checker`: under the parent with `--channel FD`, or by hand with `-f FILE` (Ctrl-C stops it)."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from fastha.channel.endpoint import Endpoint
from fastha.checker.child import Checker
from fastha.child import Child
from fastha.child.log import setup
from fastha.dataplane.choose import NAMES
from fastha.errors import FasthaError
from fastha.model import Config

EXIT_FAULT = 1
EXIT_USAGE = 2


def main(argv: list[str] | None = None) -> int:
    """Run until stopped; the exit status."""
    options = _options(argv)
    log = setup("checker")
    endpoint = Endpoint.inherited(options.channel) if options.channel is not None else None
    child = Child("checker", endpoint)
    checker = Checker(child)
    try:
        if endpoint is None:
            checker.begin(_load(options.file, log), options.dataplane)
        return child.run()
    except FasthaError as error:
        log.error("%s", error)
        return EXIT_FAULT
    finally:
        checker.close()
        child.close()


def _load(path: str, log: logging.Logger) -> Config:
    """The configuration, its findings logged. ConfigError if one of them is an error."""
    from fastha.config.load import load  # under the parent the configuration comes through the channel

    loaded = load(path)
    config = loaded.checked()
    for fault in loaded.faults:
        log.warning("%s", fault)
    return config


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastha.checker", description=__doc__)
    parser.add_argument("-f", "--file", metavar="FILE", help="keepalived.conf to run by hand")
    parser.add_argument("--channel", metavar="FD", type=int, help="descriptor of the channel to the parent")
    parser.add_argument("--dataplane", choices=NAMES, default="auto", help="with -f (default: %(default)s)")
    options = parser.parse_args(argv)
    if (options.file is None) == (options.channel is None):
        parser.error("give either -f FILE or --channel FD")
    return options


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # to free the objects of ten thousand servers one by one takes longer than their removal
