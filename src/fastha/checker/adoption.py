"""What a starting checker takes over: health its predecessor reported, or what the kernel's table tells. Pure.

docs/ARCHITECTURE.md, "Starting again: adoption".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastha.checker import drain, plan
from fastha.checker.drain import Rulings
from fastha.dataplane.rows import DestKey, ServiceKey, ServiceRow, Table
from fastha.model import GroupMember, VirtualServer

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Adopted:
    """Of one virtual server: {real server key: up}, for those that are known; and whether it had quorum."""

    up: Mapping[str, bool] = field(default_factory=dict)
    quorum: bool | None = None
    kept: frozenset[str] = frozenset()  # down by their checks and still in the set (guard.py)
    panic: bool = False
    weights: Mapping[str, int] = field(default_factory=dict)  # that checks had made of the configured ones


def adopted(server: VirtualServer, previous: Facts, kernel: Table, rulings: Rulings = (), mark: int = 0) -> Adopted:
    """From the `previous` facts if they know this virtual server, else from its row in the kernel, else nothing."""
    facts = previous.get("virtual_servers", {}).get(server.key)
    if facts is not None:
        known = {key: _reported(rs) for key, rs in facts.get("real_servers", {}).items()}
        servers = facts.get("real_servers", {})
        kept = frozenset(key for key, rs in servers.items() if rs.get("kept"))
        weights = {key: rs["weight"] for key, rs in servers.items() if rs.get("weight_from") == "check"}
        ups = {key: up for key, up in known.items() if up is not None}
        return Adopted(ups, facts.get("up"), kept, bool(facts.get("panic")), weights)
    # Of a group any service will do: the first that is there.
    row = next((kernel[key] for key in plan.keys(server, mark) if key in kernel), None)
    if row is None:
        return Adopted()
    up = {}
    for index, rs in enumerate(server.real_servers):
        dest = row.dests.get(DestKey(rs.ip, rs.port))
        # Weight 0 is how a failed server with inhibit_on_failure looks; one that shall have weight 0 is there for good.
        wanted = drain.weight(rulings[index] if rulings else None, rs.weight)
        up[rs.key] = dest is not None and (dest.weight > 0 or wanted == 0)
    return Adopted(up, not _sorry_serves(server, row))


def _reported(rs: Facts) -> bool | None:
    """What the facts of a real server say. One without an answer yet begins anew, unless it was kept out of the table:
    then it has to prove itself."""
    if rs.get("health") in ("up", "down"):
        return bool(rs["health"] == "up")
    in_table = rs.get("in_table")
    return None if in_table is not None and (in_table > 0 or rs.get("weight") == 0) else False


def _sorry_serves(server: VirtualServer, row: ServiceRow) -> bool:
    sorry = server.sorry_server
    if sorry is None or any((rs.ip, rs.port) == (sorry.ip, sorry.port) for rs in server.real_servers):
        return False
    dest = row.dests.get(DestKey(sorry.ip, sorry.port))
    return dest is not None and dest.weight > 0


def once_ours(previous: Facts, kernel: Table) -> set[ServiceKey]:
    """Services in the kernel that a predecessor reported as its own, or that the parent remembers as such."""
    wards = previous.get("virtual_servers", {})
    names = {*wards, *previous.get("owned_services", ())}
    keys = {key for key in kernel if str(key) in names}
    for name, facts in wards.items():
        if "members" in facts:
            members = tuple(GroupMember(*member) for member in facts["members"])
            protocol = name.rpartition("/")[2].upper()
            group = VirtualServer(group=name, protocol=protocol, members=members)
            keys.update(key for key in plan.keys(group, facts.get("mark", 0)) if key in kernel)
    return keys


def marks(previous: Facts) -> dict[str, int]:
    """{virtual server key: mark} as a predecessor reported them."""
    wards = previous.get("virtual_servers", {})
    return {name: facts["mark"] for name, facts in wards.items() if facts.get("mark")}
