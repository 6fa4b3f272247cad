"""What a starting checker takes over: health its predecessor reported, or what the kernel's table tells. Pure.

docs/ARCHITECTURE.md, "Starting again: adoption".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastha.checker import drain, plan
from fastha.checker.drain import Rulings
from fastha.dataplane.rows import DestKey, ServiceKey, Table
from fastha.model import VirtualServer

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Adopted:
    """Of one virtual server: {real server key: up}, for those that are known; and whether it had quorum."""

    up: Mapping[str, bool] = field(default_factory=dict)
    quorum: bool | None = None


def adopted(server: VirtualServer, previous: Facts, kernel: Table, rulings: Rulings = ()) -> Adopted:
    """From the `previous` facts if they know this virtual server, else from its row in the kernel, else nothing."""
    facts = previous.get("virtual_servers", {}).get(server.key)
    if facts is not None:
        known = {key: _reported(rs) for key, rs in facts.get("real_servers", {}).items()}
        return Adopted({key: up for key, up in known.items() if up is not None}, facts.get("up"))
    row = kernel.get(plan.key(server))
    if row is None:
        return Adopted()
    up = {}
    for index, rs in enumerate(server.real_servers):
        dest = row.dests.get(DestKey(rs.ip, rs.port))
        # Weight 0 is how a failed server with inhibit_on_failure looks; one that shall have weight 0 is there for good.
        wanted = drain.weight(rulings[index] if rulings else None, rs.weight)
        up[rs.key] = dest is not None and (dest.weight > 0 or wanted == 0)
    return Adopted(up, not _sorry_serves(server, kernel))


def _reported(rs: Facts) -> bool | None:
    """What the facts of a real server say. One without an answer yet begins anew, unless it was kept out of the table:
    then it has to prove itself."""
    if rs.get("health") in ("up", "down"):
        return bool(rs["health"] == "up")
    in_table = rs.get("in_table")
    return None if in_table is not None and (in_table > 0 or rs.get("weight") == 0) else False


def _sorry_serves(server: VirtualServer, kernel: Table) -> bool:
    sorry = server.sorry_server
    if sorry is None or any((rs.ip, rs.port) == (sorry.ip, sorry.port) for rs in server.real_servers):
        return False
    dest = kernel[plan.key(server)].dests.get(DestKey(sorry.ip, sorry.port))
    return dest is not None and dest.weight > 0


def once_ours(previous: Facts, kernel: Table) -> set[ServiceKey]:
    """Services in the kernel that a predecessor reported as its own, or that the parent remembers as such."""
    names = {*previous.get("virtual_servers", ()), *previous.get("owned_services", ())}
    return {key for key in kernel if str(key) in names}
