"""`fastha metrics`: what the daemon does, as Prometheus and OpenMetrics read it."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from fastha.channel.status import Exit
from fastha.cli.client import ask
from fastha.parent.protocol import CONTROL_PATH

PORT = 9650
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        help=f"serve scrapes at /metrics there, as an ordinary user: 127.0.0.1:{PORT}, [::1]:{PORT} or unix:/PATH; "
        "without it: print one scrape",
    )
    parser.add_argument("--user", default="", metavar="NAME", help="whom to serve as (fastha-watch, else nobody)")
    parser.add_argument("--openmetrics", action="store_true", help="print in OpenMetrics' format")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def main(options: argparse.Namespace) -> int:
    from fastha.watch import address, metrics

    question = partial(ask, options.control, "status")
    if options.listen is None:
        if options.openmetrics:
            sys.stdout.buffer.write(metrics.once(question, OPEN_METRICS))
        else:
            sys.stdout.buffer.write(metrics.once(question))
        return Exit.OK
    try:
        where = address.parse(options.listen)
    except ValueError as error:
        print(f"fastha metrics: {options.listen}: {error}", file=sys.stderr)
        return Exit.REFUSED
    sock = address.listen(where)
    metrics.say(f"metrics at {where if where.path else f'{where}metrics'}")
    metrics.serve(question, sock, options.user)
    return Exit.OK
