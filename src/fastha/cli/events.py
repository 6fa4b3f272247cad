"""`fastha events`: what happened, in order, with the cause of each; `--follow` goes on and misses nothing."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.client import NoAnswer, ask
from fastha.cli.commands import names
from fastha.parent.protocol import CONTROL_PATH
from fastha.safe import SAFE

WAIT_S = 25.0
AGAIN_S = 1.0  # between two attempts to reach a daemon that is away
AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])$")
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M")
EPILOG = """\
SINCE is the number of an event (what came after it), a time (2026-01-31 12:00:00, 12:00) or an age (90s, 15m, 2h, 1d).
The daemon keeps the last 10000 events. What it no longer has is told as one line; so is a daemon that was started again
meanwhile, which counts from 1.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{EPILOG}\n{parser.epilog}"
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what happens from now on")
    parser.add_argument("--since", type=_since, metavar="SINCE", help="only what came after: number, time or age")
    parser.add_argument("-n", "--lines", type=int, metavar="N", help="only the last N of them")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND", help="only this kind (or a pattern)")
    names(
        parser.add_argument(
            "--name", action="append", default=[], metavar="NAME", help="only about this instance or server, or pattern"
        ),
        "subject",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on each line")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def _since(text: str) -> dict[str, Any]:
    """Fields of the request."""
    if text.isdecimal():
        return {"since": int(text)}
    if match := AGO.match(text):
        return {"after": time.time() - float(match[1]) * UNIT_S[match[2]]}
    for form in FORMATS:
        try:
            found = time.strptime(text, form)
        except ValueError:
            continue
        if "%Y" not in form:
            today = time.localtime()
            found = time.struct_time((*today[:3], *found[3:6], *today[6:8], -1))
        return {"after": time.mktime(found)}
    raise argparse.ArgumentTypeError(f"{text!r} is no number of an event, no time and no age")


def main(options: argparse.Namespace) -> int:
    filters = {"kinds": options.kind, "subjects": options.name}
    fields: dict[str, Any] = dict(options.since or {})
    found = _all(options.control, fields, filters)
    shown = found["events"]
    if options.lines is not None:
        shown = shown[max(0, len(shown) - max(0, options.lines)) :]
    _write(_about(found, fields), options.json)
    _write(shown, options.json)
    while options.follow:
        try:
            found = ask(
                options.control,
                "events",
                WAIT_S + 5,
                {"stream": found["stream"], "since": found["last"], "wait_s": WAIT_S, **filters},
            )
        except NoAnswer as error:
            if error.status is not Exit.NO_DAEMON:
                raise
            time.sleep(AGAIN_S)  # it comes back, and then nothing that it still has is missed
            continue
        _write(_about(found, {"since": 0}), options.json)
        _write(found["events"], options.json)
    return Exit.OK


def _all(control: str, fields: Mapping[str, Any], filters: Mapping[str, Any]) -> dict[str, Any]:
    """Every answer until there is no more."""
    found = ask(control, "events", fields={**fields, **filters})
    while found["more"]:
        more = ask(control, "events", fields={"stream": found["stream"], "since": found["last"], **filters})
        more["events"] = found["events"] + more["events"]
        more["lost"] += found["lost"]
        found = more
    return found


def _about(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """What is missing. Who asked for everything misses nothing."""
    if found["restarted"]:
        yield {"restarted": True, "text": "the daemon was started again: its events count from 1"}
    if found["lost"] and asked:
        yield {"lost": found["lost"], "text": f"{found['lost']} events are lost: the daemon no longer has them"}


def _write(events: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        import orjson

        for event in events:
            sys.stdout.write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE).decode())
    else:
        for event in events:
            sys.stdout.write(line(event).translate(SAFE) + "\n")
    sys.stdout.flush()


def line(event: Mapping[str, Any]) -> str:
    """`12  2026-01-31 12:00:00.123  vrrp state  vi: backup -> master: no master heard`."""
    if "number" not in event:
        return f"-- {event['text']}"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["wall"]))
    subject = f"{event['subject']}: " if event["subject"] and event["subject"] not in event["text"] else ""
    cause = "" if event["cause"] in event["text"] else f" ({event['cause']})"
    return (
        f"{event['number']:>6}  {at}.{int(event['wall'] % 1 * 1000):03}  {event['source']} {event['kind']}  "
        f"{subject}{event['text']}{cause}"
    )
