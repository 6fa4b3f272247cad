"""The parent's picture as lines for people. Pure: the answer to `status` and a time in, lines out.

A field that a child has not reported is "-": an older or younger child must not break the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastha.cli.layout import INDENT, Cell, Line, duration, paragraph, short_kb, short_ns, table

COLOURS = {
    "master": "bold green", "backup": "cyan", "fault": "bold red", "init": "yellow",
    "up": "green", "down": "bold red", "unknown": "yellow",
    "admin-down": "yellow",
    "running": "green", "held": "bold red", "waiting": "bold red",
}  # fmt: skip

Doc = Mapping[str, Any]


def render(doc: Doc, now: float, width: int | None) -> list[Line]:
    """Every section that has something to say, an empty line between them."""
    checker = doc.get("checker", {})
    sections = [
        daemon(doc["daemon"], now, width),
        children(doc["daemon"].get("children", {}), width),
        instances(doc.get("vrrp", {}).get("instances", {}), now, width),
        groups(doc.get("vrrp", {}).get("groups", {}), now, width),
        sessions(doc.get("bfd", {}).get("sessions", {}), now, width),
        virtual_servers(checker.get("virtual_servers", {}), now, width),
        strangers(doc["daemon"].get("overrides", ()), width),
        dataplane(checker.get("dataplane", {}), now, width),
    ]
    lines: list[Line] = []
    for section in filter(None, sections):
        lines += [[], *section] if lines else section
    return lines


def daemon(about: Doc, now: float, width: int | None) -> list[Line]:
    config = about["config"]
    text = (
        f"fastha {about['version']}  {about['state']}  pid {about['pid']}  up {duration(about['uptime_s'])}  "
        f"config {config['file']}"
    )
    if config["loaded"]:
        text += f" (loaded {duration(now - config['loaded'])} ago)"
    lines = paragraph(text, "", width, "bold")
    last = about.get("last_reload")
    if last and last["outcome"] == "refused":
        lines += paragraph(
            f"last reload, {duration(now - last['at'])} ago, was refused: {last['text']}", "", width, "bold red"
        )
        for fault in last["faults"]:
            lines += paragraph(fault, INDENT, width, "red")
    return lines


def children(by_role: Doc, width: int | None) -> list[Line]:
    rows: list[list[Cell]] = []
    for role, child in by_role.items():
        if child["state"] == "idle" and not child.get("last_end"):
            continue  # it has nothing to do
        uptime = child.get("uptime_s")
        rows.append(
            [
                role,
                _coloured(child["state"]),
                str(child.get("pid", "-")),
                "-" if uptime is None else duration(uptime),
                str(child.get("restarts", "-")),
                short_ns(child.get("lag_ns")),
                short_ns(child.get("lag_max_ns")),
                short_kb(child.get("rss_kb")),
                f"last end: {child['last_end']}" if child.get("last_end") else "",
            ]
        )
    return table(["CHILD", "STATE", "PID", "UP", "RESTARTS", "LAG", "WORST", "RSS", ""], rows, width) if rows else []


def instances(by_name: Doc, now: float, width: int | None) -> list[Line]:
    if not by_name:
        return []
    head = ["INSTANCE", "STATE", "SINCE", "PRIO", "MASTER", "SENT", "RECV", "LATE", "WHY"]
    rows: list[list[Cell]] = []
    below: list[list[Line]] = []
    for name, instance in by_name.items():
        base, priority = instance.get("priority_base"), instance.get("priority", "-")
        rows.append(
            [
                name,
                _coloured(instance.get("state", "-")),
                _since(instance, now),
                f"{priority}" if base in (None, priority) else f"{priority} ({base})",
                str(instance.get("master") or "-"),
                str(instance.get("sent", "-")),
                str(instance.get("received", "-")),
                short_ns(instance.get("late_max_ns")),
                str(instance.get("why", "")),
            ]
        )
        below.append(_below_instance(instance, now, width))
    return table(head, rows, width, below)


def groups(by_name: Doc, now: float, width: int | None) -> list[Line]:
    if not by_name:
        return []
    rows: list[list[Cell]] = [
        [
            name,
            _coloured(group.get("state", "-")),
            _since(group, now),
            " ".join(group.get("members", ())),
            str(group.get("why", "")),
        ]
        for name, group in by_name.items()
    ]
    return table(["SYNC GROUP", "STATE", "SINCE", "MEMBERS", "WHY"], rows, width)


def _below_instance(instance: Doc, now: float, width: int | None) -> list[Line]:
    about = [f"{instance['interface']} vrid {instance.get('vrid', '-')}"] if "interface" in instance else []
    if "version" in instance:
        about.append(f"v{instance['version']}")
    if "advert_int_ns" in instance:
        about.append(f"advert {instance['advert_int_ns'] / 1e9:g}s")
    about += map(str, instance.get("addresses", ()))
    if instance.get("holding"):
        about.append("(held over from its predecessor)")
    lines = paragraph(" ".join(about), INDENT, width) if about else []
    if override := instance.get("override"):
        lines += paragraph(
            f"{_ordered(override)}, by {override['by']} {_since(override, now)} ago", INDENT, width, "bold"
        )
    if parts := [one for one in instance.get("priority_from", ()) if one["weight"]]:
        text = ", ".join(f"{one['kind']} {one['name']} {one['weight']:+}" for one in parts)
        lines += paragraph(
            f"priority: base {(override or {}).get('priority') or instance.get('priority_base')}, {text}", INDENT, width
        )
    if peers := instance.get("peers"):
        text = ", ".join(f"{one['ip']} ({one['priority']}, {duration(now - one['heard'])} ago)" for one in peers)
        lines += paragraph(f"heard: {text}", INDENT, width)
    for fault in instance.get("faults", ()):
        if fault != instance.get("why"):
            lines += paragraph(f"fault: {fault}", INDENT, width, "red")
    if discarded := {reason: n for reason, n in instance.get("discarded", {}).items() if n}:
        counts = ", ".join(f"{reason} {n}" for reason, n in discarded.items())
        lines += paragraph(f"discarded: {counts}", INDENT, width, "yellow")
    return lines


def _ordered(override: Doc) -> str:
    """What an operator has decided about an instance."""
    words = ["HELD"] if override["hold"] else []
    words += ["FAILED OVER"] if override["failover"] else []
    words += [f"PRIORITY {override['priority']}"] if override["priority"] else []
    return ", ".join(words)


def sessions(by_name: Doc, now: float, width: int | None) -> list[Line]:
    """BFD."""
    if not by_name:
        return []
    head = ["BFD", "STATE", "SINCE", "NEIGHBOUR", "REMOTE", "SENT", "RECV", "LATE", "WHY"]
    rows: list[list[Cell]] = []
    below: list[list[Line]] = []
    for name, session in by_name.items():
        rows.append(
            [
                name,
                _coloured(session.get("state", "-")),
                _since(session, now),
                str(session.get("neighbor", "-")),
                str(session.get("remote_state", "-")) if session.get("remote_discriminator") else "-",
                str(session.get("sent", "-")),
                str(session.get("received", "-")),
                short_ns(session.get("late_max_ns")),
                str(session.get("why", "")),
            ]
        )
        below.append(_below_session(session, width))
    return table(head, rows, width, below)


def _below_session(session: Doc, width: int | None) -> list[Line]:
    about = ["multihop"] if session.get("multihop") else []
    about += ["passive"] if session.get("passive") else []
    if tx_us := session.get("tx_us"):
        about.append(f"sends every {short_ns(tx_us * 1000)}")
    if detection_us := session.get("detection_us"):
        about.append(f"waits {short_ns(detection_us * 1000)}")
    about += [
        f"{whose} {session[key]}" for whose, key in (("diag", "diag"), ("its diag", "remote_diag")) if session.get(key)
    ]
    lines = paragraph(", ".join(about), INDENT, width) if about else []
    if discarded := {reason: n for reason, n in session.get("discarded", {}).items() if n}:
        counts = ", ".join(f"{reason} {n}" for reason, n in discarded.items())
        lines += paragraph(f"discarded: {counts}", INDENT, width, "yellow")
    return lines


def virtual_servers(by_key: Doc, now: float, width: int | None) -> list[Line]:
    if not by_key:
        return []
    head = ["SERVER", "HEALTH", "SINCE", "WEIGHT", "IN TABLE", "ACTIVE", "RESPONSE", "WHY"]
    rows: list[list[Cell]] = []
    for key, server in by_key.items():
        up = server.get("up")
        health = "-" if up is None else "up" if up else "down"
        facts = [
            f"{server.get('scheduler', '')} {server.get('forward', '')}".strip(),
            f"live weight {server.get('live_weight', '-')}, quorum {server.get('quorum', '-')}",
            "sorry server in use" if server.get("sorry") else "",
            f"PANIC: {server['panic']['kept']} kept though down" if server.get("panic") else "",
        ]
        # The long text of a virtual server starts where its real servers' why does.
        rows.append(
            [(key, "bold"), _coloured(health), _since(server, now), "", "", "", "", "; ".join(filter(None, facts))]
        )
        for real_key, real in server.get("real_servers", {}).items():
            in_table = real.get("in_table")
            rows.append(
                [
                    f"  {real_key}",
                    _coloured(real.get("health", "-")),
                    _since(real, now),
                    _weight(real),
                    "no" if in_table is None else str(in_table),
                    str(real.get("active", "-")),
                    short_ns(real.get("response_ns")),
                    "; ".join(filter(None, (_decision(real, now), str(real.get("why", "")), _each(real)))),
                ]
            )
    return table(head, rows, width)


def _each(real: Doc) -> str:
    """`1 of 2 checks up: HTTP_GET up, TCP_CHECK down`; of one check its server's health says everything."""
    checks = real.get("each", ())
    if len(checks) < 2:
        return ""
    words = ", ".join(f"{one[0]} {one[1]}" for one in checks)
    return f"{sum(one[1] == 'up' for one in checks)} of {len(checks)} checks up: {words}"


def _weight(real: Doc) -> str:
    weight = str(real.get("weight", "-"))
    source = {"override": " (set)", "check": " (check)"}.get(real.get("weight_from", ""), "")
    return f"{weight}{source}"


def _decision(real: Doc, now: float) -> str:
    """What an operator has decided about it: `DRAINING, 3 active, 40s left, by uid 0 20s ago`."""
    override = real.get("override")
    if not override:
        return ""
    words = [f"weight {override.get('weight')}" if override["mode"] == "weight" else override["mode"].upper()]
    if override.get("state") == "draining":
        words = ["DRAINING", f"{real.get('active', '?')} active"]
        if left := override.get("deadline"):
            words.append(f"{duration(max(0.0, left - now))} left")
    elif override.get("state") == "drained":
        words = ["DRAINED"]
    return ", ".join([*words, f"by {override.get('by') or '?'} {_since(override, now)} ago"])


def strangers(decisions: Sequence[Doc], width: int | None) -> list[Line]:
    """Decisions about servers that the configuration does not have."""
    unknown = [one for one in decisions if not one["known"]]
    lines = []
    for one in unknown:
        text = (
            f"decided, but not in the configuration: {one['virtual_server']} {one['real_server']}: {one['mode']} "
            "(fastha rs forget removes it)"
        )
        lines += paragraph(text, "", width, "yellow")
    return lines


def dataplane(facts: Doc, now: float, width: int | None) -> list[Line]:
    if not facts:
        return []
    at = facts.get("reconciled")
    text = (
        f"dataplane {facts.get('backend', '-')}: {facts.get('operations', '-')} operations, "
        f"{facts.get('errors', '-')} errors, drift repaired {facts.get('drift', '-')}"
    )
    if at:
        text += f", compared with the kernel {duration(now - at)} ago"
    lines = paragraph(text, "", width, "bold red" if facts.get("errors") else "")
    for one in facts.get("differed", ()):
        lines += paragraph(f"differed {duration(now - one['at'])} ago: {one['text']}", INDENT, width, "yellow")
    return lines


def _coloured(word: str) -> Cell:
    return word, COLOURS.get(word, "")


def _since(facts: Doc, now: float) -> str:
    since = facts.get("since")
    return "-" if not since else duration(now - since)
