"""What the things an instance follows do to it: priority, FAULT, or waiting. Pure; keepalived's arithmetic.

`States` says of each thing whether it is up; of a file, the number in it. One that nobody has spoken about adds nothing
to the priority either way; without weight it makes the instance wait, because an election it would have to give up a
moment later helps nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastha.child.filevalue import priority_change
from fastha.model import Tracker, VrrpInstance
from fastha.vrrp.rules import OWNER

States: TypeAlias = Mapping[tuple[str, str], int]  # (kind, name) -> is it up; a file's number

DOWN = {
    "virtual_server": "virtual server {} has lost its quorum",
    "bfd": "BFD session {} is down",
    "interface": "tracked interface {} is down",
    "script": "script {} fails",
    "file": "track_file {} is not 0",
    "process": "process {} has no quorum",
}
UP = {
    "virtual_server": "virtual server {} has its quorum",
    "bfd": "BFD session {} is up",
    "interface": "tracked interface {} is up",
    "script": "script {} succeeds",
    "file": "track_file {} is 0",
    "process": "process {} has its quorum",
}
NAMES = {
    "virtual_server": "virtual server",
    "bfd": "BFD session",
    "interface": "interface",
    "script": "script",
    "file": "track_file",
    "process": "process",
}


def contribution(tracker: Tracker, up: int) -> int:
    """What it adds: a positive weight while it is up, a negative one while it is down; `reverse` turns the sign. A
    file adds its number times the weight."""
    if tracker.kind == "file":
        return priority_change(up, tracker.weight, tracker.reverse) or 0
    counts = up if tracker.weight > 0 else not up
    return (-tracker.weight if tracker.reverse else tracker.weight) if counts else 0


def effective_priority(instance: VrrpInstance, states: States, base: int = 0) -> int:
    """Base priority (`base`, where an operator has set one) plus what everything it follows adds, held within 1..254
    at the end; an owner's never changes."""
    if instance.priority == OWNER:
        return OWNER
    known = [(t, up) for t in instance.trackers if (up := states.get((t.kind, t.name))) is not None]
    return min(max((base or instance.priority) + sum(contribution(t, up) for t, up in known), 1), 254)


def parts(instance: VrrpInstance, states: States) -> list[dict[str, object]]:
    """What the effective priority is made of besides the base: [{kind, name, up, weight: what it adds now}], of all
    that it follows with a weight; up is absent where nobody has spoken about it. A file has a `value` instead."""
    if instance.priority == OWNER:
        return []
    out: list[dict[str, object]] = []
    for t in instance.trackers:
        if t.weight:
            up = states.get((t.kind, t.name))
            known = {} if up is None else {"value" if t.kind == "file" else "up": up}
            out.append({"kind": t.kind, "name": t.name, **known, "weight": 0 if up is None else contribution(t, up)})
    return out


def told(instance: VrrpInstance, states: States, base: int = 0) -> str:
    """`base 100, interface eth1 is down -20`: what the effective priority is made of."""
    words = [f"set to {base}" if base else f"base {instance.priority}"]
    for one in parts(instance, states):
        if one["weight"]:
            state = one["value"] if "value" in one else "up" if one.get("up") else "down"
            words.append(f"{NAMES[str(one['kind'])]} {one['name']} is {state} {one['weight']:+}")
    return ", ".join(words)


def faults(instance: VrrpInstance, states: States) -> list[str]:
    """Why it cannot take part: things without weight that are down (`reverse`: up), a file that takes all priority."""
    return [
        (UP if t.reverse and not t.weight else DOWN)[t.kind].format(t.name)
        for t in instance.trackers
        if _is_fault(t, states.get((t.kind, t.name)))
    ]


def _is_fault(tracker: Tracker, state: int | None) -> bool:
    if state is None:
        return False
    if tracker.kind == "file":
        return priority_change(state, tracker.weight, tracker.reverse) is None
    return tracker.weight == 0 and bool(state) is tracker.reverse


def unknown(instance: VrrpInstance, states: States) -> list[str]:
    """What it waits for: things without weight that nobody has spoken about."""
    return [f"{NAMES[t.kind]} {t.name}" for t in instance.trackers if t.weight == 0 and (t.kind, t.name) not in states]
