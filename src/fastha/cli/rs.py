"""`fastha rs`: what an operator decides about real servers at run time."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.actions import actions
from fastha.cli.client import ask
from fastha.cli.commands import names
from fastha.cli.layout import duration, table
from fastha.cli.progress import say
from fastha.cli.screen import json_text
from fastha.model.override import Override
from fastha.parent.overrides import describe
from fastha.safe import SAFE

LOOK_S = 0.5
ANSWER_S = 30.0
ACTIONS = {
    "drain": "no new connections; out of the table when none is active any more, or at the timeout",
    "enable": "back in service: forget a drain or a disable",
    "disable": "out of the table now, connections or not",
    "weight": "use this weight instead of the configured one, while it is up",
    "forget": "remove the decision: configuration and checks rule again",
    "list": "every decision that is in force",
}
NAMES = """\
VS and RS are names as `fastha status` prints them (10.0.0.1:80/tcp, 10.2.0.11:8080), their beginning if only one
begins so (10.0.0.1:80, 10.2.0.11), or shell patterns in quotes ('*' '10.2.0.11:*'). All servers that are named are
changed, or none. Decisions are kept over reloads and restarts until they are forgotten. A decision that would take
away the quorum of a virtual server is refused without --force.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    for action, one in actions(parser, ACTIONS, NAMES, "the answer as one JSON object"):
        one.set_defaults(parser=one, virtual_server="", real_servers=[], forget=False, wait=False)
        if action == "list":
            continue
        names(
            one.add_argument("virtual_server", metavar="VS", help="virtual server: name or pattern"), "virtual_server"
        )
        words = "RS [RS ...] N" if action == "weight" else "RS"
        names(
            one.add_argument("real_servers", metavar=words, nargs="+", help="real servers: names or patterns"),
            "real_server",
        )
        one.add_argument("-n", "--dry-run", action="store_true", help="say what would change, and change nothing")
        if action != "forget":
            one.add_argument("--forget", action="store_true", help="remove the decision instead of making it")
            one.add_argument("--force", action="store_true", help="even if a virtual server loses its quorum")
        if action == "drain":
            one.add_argument("--timeout", type=_seconds, metavar="S", help="out after so many seconds at the latest")
            one.add_argument("--wait", action="store_true", help="return when all of them are out of the table")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e8:
        raise argparse.ArgumentTypeError("a number of seconds above 0")
    return seconds


def main(options: argparse.Namespace) -> int:
    if options.action == "list":
        return _list(options)
    answer = ask(options.control, "override", ANSWER_S, _request(options))
    changes = answer["changes"]
    if not options.json:
        _print_changes(changes, answer["dry_run"])
    if options.wait and not answer["dry_run"] and not options.forget:
        answer["outcomes"] = _wait(options, changes)
    if options.json:
        _print_json(answer)
    elif "outcomes" in answer:
        for one in answer["outcomes"]:
            print(f"{one['virtual_server']} {one['real_server']}: {one['outcome']}".translate(SAFE))
    return Exit.OK if all(one["drained"] for one in answer.get("outcomes", ())) else Exit.FAILED


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of the `override` command."""
    real_servers = list(options.real_servers)
    fields: dict[str, Any] = {"action": "forget" if options.forget else options.action, "dry_run": options.dry_run}
    if fields["action"] == "weight":
        if len(real_servers) < 2 or not real_servers[-1].isdecimal():
            options.parser.error("weight takes VS RS [RS ...] N, N a whole number from 0 to 65535")
        fields["weight"] = int(real_servers.pop())
    if fields["action"] == "drain" and options.timeout is not None:
        fields["timeout_s"] = options.timeout
    if getattr(options, "force", False):
        fields["force"] = True
    return fields | {"virtual_servers": [options.virtual_server], "real_servers": real_servers}


def _print_changes(changes: Sequence[Mapping[str, Any]], dry_run: bool) -> None:
    for change in changes:
        before, after = (describe(Override(**one) if one else None) for one in (change["before"], change["after"]))
        same = change["before"] == change["after"]
        text = f"{after}, nothing to change" if same else f"{before} -> {after}"
        would = "would be " if dry_run and not same else ""
        print(f"{change['virtual_server']} {change['real_server']}: {would}{text}".translate(SAFE))


# -- waiting for a drain --


def _wait(options: argparse.Namespace, changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How each of the drains ended. Ctrl-C ends the waiting, not the drain."""
    outcomes: dict[tuple[str, str], dict[str, Any]] = {}
    mine = {(c["virtual_server"], c["real_server"]): c["after"] for c in changes}
    screen = sys.stderr.isatty()
    while True:
        now = {(o["virtual_server"], o["real_server"]): o for o in ask(options.control, "overrides")["overrides"]}
        active: list[int | None] = []
        for pair, decision in mine.items():
            if pair not in outcomes and (outcome := _outcome(decision, now.get(pair))) is not None:
                outcomes[pair] = {"virtual_server": pair[0], "real_server": pair[1], **outcome}
            elif pair not in outcomes:
                active.append(now[pair].get("active"))
        if not active:
            break
        known = [n for n in active if n is not None]
        text = f"draining {len(active)} of {len(mine)}: {sum(known) if known else '?'} active connections"
        if screen:
            say(text)
        time.sleep(LOOK_S)
    if screen:
        say("")
    return [outcomes[pair] for pair in mine]


def _outcome(decision: Mapping[str, Any], now: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """None while it drains."""
    if now is None or any(now[key] != decision[key] for key in ("mode", "since", "deadline")):
        return {"drained": False, "outcome": "somebody has decided otherwise meanwhile"}
    if not now["known"]:
        return {"drained": False, "outcome": "it is not in the configuration any more"}
    if now.get("state") == "drained":
        return {"drained": True, "outcome": f"drained, out of the table: {now.get('ended', 'it is out')}"}
    return None


# -- list --


def _list(options: argparse.Namespace) -> int:
    answer = ask(options.control, "overrides")
    if options.json:
        _print_json(answer)
        return Exit.OK
    now = time.time()
    rows = [
        [
            one["virtual_server"],
            one["real_server"],
            _what(one, now),
            duration(now - one["since"]),
            one["by"],
            _state(one),
        ]
        for one in answer["overrides"]
    ]
    if not rows:
        print("no decisions: configuration and checks rule")
    else:
        for line in table(["VIRTUAL SERVER", "REAL SERVER", "DECISION", "SINCE", "BY", "STATE"], rows, None):
            print("".join(text for text, _style in line).rstrip().translate(SAFE))
    return Exit.OK


def _what(one: Mapping[str, Any], now: float) -> str:
    if one["mode"] == "weight":
        return f"weight {one['weight']}"
    if one["mode"] == "drain" and one["deadline"] > now and one.get("state") != "drained":
        return f"drain, {duration(one['deadline'] - now)} left"
    return str(one["mode"])


def _state(one: Mapping[str, Any]) -> str:
    if not one["known"]:
        return "not configured; kept until it is forgotten"
    if not one["in_force"]:
        return "not carried out yet"
    if one.get("state") == "draining":
        return f"draining, {one.get('active', '?')} active"
    if one.get("state") == "drained":
        return f"drained: {one.get('ended', '')}"
    return "in force"


def _print_json(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json_text(answer))
