"""`fastha vs`: virtual servers, one on each line, or one of them with everything that is known of it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.actions import actions
from fastha.cli.client import NoAnswer, ask
from fastha.cli.commands import names
from fastha.cli.connections import Connections
from fastha.cli.layout import INDENT, Cell, Line, duration, short_ns, table
from fastha.cli.picture import COLOURS, virtual_servers
from fastha.cli.screen import json_text, write
from fastha.cli.select import means

ACTIONS = {
    "list": "one line for each virtual server",
    "show": "everything about virtual servers: services, quorum, real servers and their checks",
}
NAMES = """\
VS is the name of a virtual server as `fastha status` prints it (10.0.0.1:80/tcp, fwmark 7/inet, group web/tcp), its
beginning, or a shell pattern in quotes.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    for action, one in actions(parser, ACTIONS, NAMES, "as one JSON object"):
        count = "*" if action == "list" else "+"
        words = one.add_argument("virtual_servers", metavar="VS", nargs=count, help="only these: names or patterns")
        names(words, "virtual_server")


def main(options: argparse.Namespace) -> int:
    answer = Connections().add(ask(options.control, "status", fields={"only": ["daemon", "checker"]}))
    facts = answer.get("checker", {}).get("virtual_servers", {})
    for word in options.virtual_servers:
        if not any(means([word], key) for key in facts):
            raise NoAnswer(f"no virtual server is called {word!r}", Exit.REFUSED)
    wanted = {k: one for k, one in facts.items() if not options.virtual_servers or means(options.virtual_servers, k)}
    if options.json:
        sys.stdout.write(json_text({"virtual_servers": wanted if options.action == "show" else _brief(wanted)}))
    elif options.action == "list":
        write(listing(wanted, time.time()))
    else:
        for number, (key, one) in enumerate(wanted.items()):
            write([[], *whole(key, one, time.time())] if number else whole(key, one, time.time()))
    return Exit.OK


def _brief(servers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {name: value for name, value in one.items() if name != "real_servers"} | {"real_servers": counts(one)}
        for key, one in servers.items()
    }


def counts(one: Mapping[str, Any]) -> dict[str, int]:
    """{total, up, in_table, decided: about which an operator has decided something}."""
    real = one.get("real_servers", {}).values()
    return {
        "total": len(real),
        "up": sum(rs.get("health") == "up" for rs in real),
        "in_table": sum(bool(rs.get("in_table")) for rs in real),
        "decided": sum("override" in rs for rs in real),
    }


def listing(servers: Mapping[str, Any], now: float) -> list[Line]:
    rows: list[list[Cell]] = []
    for key, one in servers.items():
        up, n = one.get("up"), counts(one)
        health = "-" if up is None else "up" if up else "down"
        rows.append(
            [
                (key, "bold"),
                (health, COLOURS.get(health, "")),
                duration(now - one["since"]) if one.get("since") else "-",
                f"{one.get('live_weight', '-')}/{one.get('quorum', '-')}",
                f"{n['up']}/{n['total']}",
                str(n["in_table"]),
                str(n["decided"] or ""),
                _remarks(one),
            ]
        )
    head = ["SERVER", "HEALTH", "SINCE", "WEIGHT/QUORUM", "UP", "IN TABLE", "DECIDED", ""]
    return table(head, rows, None)


def _remarks(one: Mapping[str, Any]) -> str:
    words = [f"{one.get('scheduler', '')} {one.get('forward', '')}".strip()]
    words += ["sorry server in use"] if one.get("sorry") else []
    words += [f"PANIC: {one['panic']['kept']} kept though down"] if one.get("panic") else []
    words += ["suspended"] if one.get("suspended") else []
    return "; ".join(filter(None, words))


def _each(rs: Mapping[str, Any]) -> list[Line]:
    """A line for each of several checks."""
    checks = rs.get("each", ())
    if len(checks) < 2:
        return []
    return [
        [(f"{INDENT}{kind} ", ""), (health, COLOURS.get(health, "")), (f": {why}", "")] for kind, health, why in checks
    ]


def whole(key: str, one: Mapping[str, Any], now: float) -> list[Line]:
    """Everything about one virtual server."""
    lines = virtual_servers({key: one}, now, None)
    lines.append([])
    n = counts(one)
    lines.append(
        [(f"{n['total']} real servers: {n['up']} up, {n['in_table']} in the table, {n['decided']} decided about", "")]
    )
    if one.get("mark"):
        lines.append([(f"the addresses of the group are marked {one['mark']} by nftables", "")])
    if members := one.get("members"):
        lines.append([(f"{one.get('services', len(members))} services:", "")])
        for first, last, port, fwmark, _family in members:
            text = f"fwmark {fwmark}" if fwmark else f"{first}-{last}:{port}" if first != last else f"{first}:{port}"
            lines.append([(INDENT + text, "")])
    if real := one.get("real_servers"):
        rows: list[list[Cell]] = [
            [
                name,
                str(rs.get("checks", "-")),
                str(rs.get("failures", "-")),
                short_ns(rs.get("response_ns")),
                f"{rs.get('weight', '-')} ({rs.get('weight_from', '-')})",
                str(rs.get("active", "")),
                str(rs.get("why", "")),
            ]
            for name, rs in real.items()
        ]
        head = ["CHECKS OF", "ASKED", "FAILED", "RESPONSE", "WEIGHT", "ACTIVE", "LAST"]
        lines += [[], *table(head, rows, None, [_each(rs) for rs in real.values()])]
    return lines
