"""`fastha lab`: the laboratory of `make run`. Exit status 0 only if everything went as it should."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator

import orjson
from rich.console import Console

from fastha.channel.status import Exit
from fastha.lab import plan
from fastha.lab.laboratory import Laboratory, Options
from fastha.lab.signals import signals_unwind
from fastha.lab.story import Outcome, Story
from fastha.lab.view import LiveScreen, PlainScreen, print_outcome

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Two directors, three real servers and a client in network namespaces: things are killed and revived, "
        "and what the client saw is told. Nothing stays behind. Needs root."
    )
    parser.add_argument("--keep", action="store_true", help="after the story everything stays up until Ctrl-C")
    parser.add_argument("--dataplane", choices=("auto", "ipvs", "nft"), default="auto", help="who balances the load")
    parser.add_argument(
        "--director",
        choices=("fastha", "keepalived"),
        default="fastha",
        help="keepalived: the same story with Debian's keepalived (VRRP only where the kernel has no IPVS)",
    )
    parser.add_argument("--rate", type=_rate, default=200.0, metavar="N", help="the client's requests per second (200)")
    parser.add_argument("--json", action="store_true", help="the result as JSON on standard output, progress on stderr")


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 1 <= rate <= 2000:
        raise argparse.ArgumentTypeError("a number from 1 to 2000")
    return rate


def main(options: argparse.Namespace) -> int:
    asked = Options(options.director, options.dataplane, options.rate)
    out = Console(stderr=options.json, highlight=False, soft_wrap=True)
    live = out.is_terminal and not options.json
    try:
        with signals_unwind(), _screen(out, live) as screen, Laboratory(asked, screen) as lab:
            outcome = Story(lab).tell()
            if not outcome.ok:
                print_logs(out, lab)
            if options.keep:
                stay(out, lab, outcome)
    except KeyboardInterrupt:
        out.print("interrupted; everything is removed")
        return INTERRUPTED
    if not options.keep:
        print_outcome(out, outcome)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(outcome.plain(), option=orjson.OPT_INDENT_2) + b"\n")
    out.print("everything went as it should" if outcome.ok else "not everything went as it should")
    return Exit.OK if outcome.ok else Exit.FAILED


@contextlib.contextmanager
def _screen(out: Console, live: bool) -> Iterator[PlainScreen]:
    with LiveScreen(out) if live else PlainScreen(sys.stderr if out.stderr else sys.stdout) as screen:
        yield screen


def stay(out: Console, lab: Laboratory, outcome: Outcome) -> None:
    """Keep looking until Ctrl-C; the story's result is kept for the exit status."""
    print_outcome(out, outcome)
    out.print("\nEverything stays up until Ctrl-C. To look around:")
    for director in lab.directors.values():
        out.print(f"  # {director.name}: configuration {director.conf}, log {director.log}")
        for line in director.looking_around():
            out.print(f"  {line}")
    client = next(namespace for namespace in lab.network.namespaces if namespace.name.endswith("-client"))
    out.print(f"  ip netns exec {client.name} curl -s http://{plan.SERVICE_ADDRESS}/")
    for name, namespace in lab.servers.items():
        out.print(f"  # {name} is in {namespace.name}")
    try:
        while True:
            lab.watch(60)
    except KeyboardInterrupt:
        out.print("removing everything")


def print_logs(out: Console, lab: Laboratory) -> None:
    for director in lab.directors.values():
        out.print(f"last lines of {director.name}'s log:")
        for line in director.last_words():
            out.print(f"    {line}", markup=False)
