"""`static_ipaddress`, `static_routes`, `static_rules`, `track_group` -> Statics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastha.config.addresses import build_addresses
from fastha.config.item import Item
from fastha.config.lines import read_lines
from fastha.config.near import meant
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.config.twice import distinct
from fastha.lean import replace
from fastha.model import Statics, TrackGroup, VirtualAddress
from fastha.model.routes import Route, Rule


def build_statics(
    top: Iterable[Item], default_interface: str, instances: frozenset[str], faults: Faults
) -> tuple[Statics, ...]:
    """None or one. `instances`: names that a track_group may have."""
    addresses: list[VirtualAddress] = []
    routes: list[Route] = []
    rules: list[Rule] = []
    groups: dict[str, TrackGroup] = {}
    order: dict[str, int] = {}
    uses: list[tuple[int, Statement]] = []
    for number, item in enumerate(top):
        block = item.statement.block or []
        match item.name:
            case "static_ipaddress":
                addresses += (replace(a, dev=a.dev or default_interface) for a in build_addresses(block, faults, True))
            case "static_routes":
                routes += read_lines("routes", block, faults)
            case "static_rules":
                rules += read_lines("rules", block, faults)
            case "track_group":
                if (group := _group(item, groups, instances, faults)) is not None:
                    groups[group.name], order[group.name] = group, number
                continue
            case _:
                continue
        uses += [(number, line) for line in block if "track_group" in line.words[1:-1]]
    for number, line in uses:
        _find(line, number, order, groups, faults)
    if not (addresses or routes or rules):
        return ()
    return (Statics(tuple(addresses), distinct(routes), distinct(rules), tuple(groups.values())),)


def _find(line: Statement, number: int, order: dict[str, int], groups: dict[str, Any], faults: Faults) -> None:
    at = line.words.index("track_group") + 1
    name = line.words[at]
    if name not in groups:
        faults.error(
            line.place(at), f"there is no track_group '{shown(name)}'", meant(name[:40], groups, after=len(faults))
        )
    elif order[name] > number:
        faults.warning(
            line.place(at), f"track_group {shown(name)} is defined after its use: keepalived ignores it here"
        )


def _group(item: Item, known: dict[str, Any], instances: frozenset[str], faults: Faults) -> TrackGroup | None:
    statement, name = item.statement, item.statement.words[1]
    if name in known:
        faults.error(statement.place(1), f"track_group {shown(name)} is there already")
        return None
    members: dict[str, None] = {}
    seen: Statement | None = None
    for inner in items(statement.block or [], "track_group", faults):
        if seen is not None:
            faults.error(inner.statement.place(), "group is there already", f"line {seen.line}")
        seen = inner.statement
        if not inner.statement.block:
            faults.warning(inner.statement.place(), "the group is empty")
        for line in inner.statement.block or []:
            for i, member in enumerate(line.words):
                if member not in instances:
                    faults.warning(line.place(i), f"there is no vrrp_instance '{shown(member)}'")
                else:
                    members[member] = None
    return TrackGroup(name, tuple(members))
