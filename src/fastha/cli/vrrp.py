"""`fastha vrrp`: what an operator decides about instances at run time. It acts, waits, and says what has happened."""

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
from fastha.cli.screen import json_text
from fastha.model.override import VrrpOverride
from fastha.parent.vrrp_overrides import describe
from fastha.safe import SAFE

LOOK_S = 0.1
WAIT_S = 15.0
ACTIONS = {
    "failover": "a master gives up, and stays away until it is needed again",
    "hold": "never become master; a master gives up first",
    "priority": "use this priority instead of the configured one; tracking still adds to it",
    "release": "remove what was decided: the configuration rules again",
    "list": "every decision that is in force",
}
NAMES = """\
INSTANCE is the name of a vrrp_instance or of a vrrp_sync_group (all its members), or a pattern in quotes. All that
are named are changed, or none; failover concerns those of them that are master. Decisions are kept over reloads and
restarts until they are released; a failover is over when the instance becomes master again because it hears no other.
What takes mastership from an instance for which no other router was ever heard is refused without --force.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    for action, one in actions(parser, ACTIONS, NAMES, "the answer as one JSON object"):
        one.set_defaults(parser=one, forget=False, force=False)
        if action == "list":
            continue
        words = "INSTANCE [INSTANCE ...] N" if action == "priority" else "INSTANCE"
        names(one.add_argument("instances", metavar=words, nargs="+", help="instances: names or patterns"), "instance")
        one.add_argument("-n", "--dry-run", action="store_true", help="say what would change, and change nothing")
        one.add_argument(
            "--timeout",
            type=_seconds,
            default=WAIT_S,
            metavar="S",
            help=f"wait so long for the new state ({WAIT_S:g}; 0: do not wait)",
        )
        if action in ("hold", "priority"):
            one.add_argument("--forget", action="store_true", help="remove this decision instead of making it")
        if action in ("failover", "hold"):
            one.add_argument("--force", action="store_true", help="even if no other router was ever heard")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError("a number of seconds")
    return seconds


def main(options: argparse.Namespace) -> int:
    if options.action == "list":
        return _list(options)
    answer = ask(options.control, "vrrp", 10.0, _request(options))
    changes = answer["changes"]
    if not options.json:
        for change in changes:
            print(_change(change, answer["dry_run"]).translate(SAFE))
    if options.timeout and not answer["dry_run"]:
        answer["outcomes"] = _wait(options, changes)
    if options.json:
        sys.stdout.write(json_text(answer))
    else:
        for one in answer.get("outcomes", ()):
            print(f"{one['instance']}: {one['outcome']}".translate(SAFE))
    return Exit.OK if all(one["done"] for one in answer.get("outcomes", ())) else Exit.FAILED


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of the `vrrp` command."""
    instances, action = list(options.instances), options.action
    fields: dict[str, Any] = {"dry_run": options.dry_run}
    if action == "priority" and not options.forget:
        if len(instances) < 2 or not instances[-1].isdecimal():
            options.parser.error("priority takes INSTANCE [INSTANCE ...] N, N a whole number from 1 to 254")
        fields["priority"] = int(instances.pop())
    if options.forget:
        action = {"hold": "unhold", "priority": "unset"}[action]
    if options.force:
        fields["force"] = True
    return fields | {"action": action, "instances": instances}


def _change(change: Mapping[str, Any], dry_run: bool) -> str:
    before, after = (describe(VrrpOverride(**one) if one else None) for one in (change["before"], change["after"]))
    if change["before"] == change["after"]:
        return f"{change['instance']}: {after}, nothing to change"
    would = "would be " if dry_run else ""
    return f"{change['instance']}: {would}{before} -> {after}"


# -- what came of it --


def _wait(options: argparse.Namespace, changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The outcome for each of the changes, at the latest when the time is over."""
    end = time.monotonic() + options.timeout
    outcomes: dict[str, dict[str, Any]] = {}
    while True:
        facts = ask(options.control, "status", fields={"only": ["vrrp"]}).get("vrrp", {}).get("instances", {})
        late = time.monotonic() >= end
        for change in changes:
            name = change["instance"]
            if name not in outcomes and (found := outcome(options.action, change["after"], facts.get(name), late)):
                outcomes[name] = {"instance": name, **found}
        if len(outcomes) == len(changes):
            return [outcomes[change["instance"]] for change in changes]
        time.sleep(LOOK_S)


def outcome(
    action: str, after: Mapping[str, Any] | None, facts: Mapping[str, Any] | None, late: bool
) -> dict[str, Any] | None:
    """{done, outcome: for people} for one instance; None: not yet. `facts`: what vrrp reports of it now."""
    if facts is None:
        return {"done": False, "outcome": "vrrp does not report it"} if late else None
    state, told = facts["state"], facts.get("override")
    where = f"{state}, priority {facts['priority']}"
    if state == "master":
        where += f", since {duration(time.time() - facts['since'])}"
    elif facts.get("master"):
        where += f", {facts['master']} is master"
    if told != after:
        if action == "failover" and after and state == "master" and facts["since"] >= after["since"]:
            return {"done": False, "outcome": f"nobody took over: {where} again"}
        return {"done": False, "outcome": f"not carried out: {where}"} if late else None
    if action in ("failover", "hold") and after and (after["failover"] or after["hold"]):
        if state == "backup" and facts.get("master"):
            return {"done": True, "outcome": where}
        if state in ("init", "fault"):
            return {"done": True, "outcome": f"{where}: {facts.get('why', '')}"}
        return {"done": False, "outcome": f"{where}, and nobody is heard to be master"} if late else None
    return {"done": True, "outcome": where}


# -- list --


def _list(options: argparse.Namespace) -> int:
    answer = ask(options.control, "overrides")
    rows = answer["vrrp"]
    if options.json:
        sys.stdout.write(json_text({"vrrp": rows}))
    elif not rows:
        print("no decisions: the configuration rules")
    else:
        now = time.time()
        for line in table(
            ["INSTANCE", "DECISION", "SINCE", "BY", "STATE"],
            [[one["instance"], _what(one), duration(now - one["since"]), one["by"], _state(one)] for one in rows],
            None,
        ):
            print("".join(text for text, _style in line).rstrip().translate(SAFE))
    return Exit.OK


def _what(one: Mapping[str, Any]) -> str:
    return describe(VrrpOverride(hold=one["hold"], failover=one["failover"], priority=one["priority"]))


def _state(one: Mapping[str, Any]) -> str:
    if not one["known"]:
        return "not configured; kept until it is released"
    return str(one["state"]) if one["in_force"] else "not carried out yet"
