"""Which operations on the load balancer's table a reload amounts to, by the rules that the checker itself goes by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastha.checker import plan
from fastha.dataplane.reconcile import reconcile
from fastha.dataplane.rows import DestKey, Op, ServiceKey, Table, Verb
from fastha.model import Config, RealServer, VirtualServer

WORDS = {
    Verb.NEW_SERVICE: "service added",
    Verb.SET_SERVICE: "service set",
    Verb.DEL_SERVICE: "service removed",
    Verb.NEW_DEST: "destination added",
    Verb.SET_DEST: "destination set",
    Verb.DEL_DEST: "destination removed",
}
Facts = Mapping[str, Any]


def operations(old: Config, new: Config, facts: Facts | None = None) -> list[Op]:
    """In order. `facts`: what the checker reports (status --json, "checker"); None: every real server counts as up.
    Servers that an operator has decided about are left out: their rows follow the decision."""
    told: Facts | None = None if facts is None else facts.get("virtual_servers", {})
    choice = facts is None or facts.get("dataplane", {}).get("backend") == "nft"
    before, quorums = _table(old, told, choice, {})
    after, _ = _table(new, told, choice, quorums)
    told = told or {}
    decided = _decided(old, told) | _decided(new, told)
    return [op for op in reconcile(after, before, before) if (op.key, op.dest_key) not in decided]


def counted(ops: list[Op]) -> dict[str, int]:
    """`{"service added": 1, ...}`."""
    return {WORDS[verb]: count for verb, count in sorted(Counter(op.verb for op in ops).items())}


def _table(
    config: Config, told: Facts | None, choice: bool, quorums: Mapping[str, bool]
) -> tuple[Table, dict[str, bool]]:
    """The wanted rows, and which virtual servers have quorum. `choice`: the dataplane can do without masquerading."""
    table: Table = {}
    found: dict[str, bool] = {}
    for configured in config.virtual_servers:
        server = configured if choice else replace(configured, masquerade=True)
        known: Facts = {} if told is None else told.get(server.key, {})
        servers: Facts = known.get("real_servers", {})
        up = [told is None or _up(servers.get(rs.key), rs) for rs in server.real_servers]
        had = True if told is None else quorums.get(server.key, known.get("up"))
        one = plan.start(server, up, had)
        found[server.key] = one.quorum
        table.update(plan.rows(one, plan.keys(server, _mark(config, server, known))))
    return table, found


def _up(fact: Facts | None, rs: RealServer) -> bool:
    """Whether a real server counts as up: by its health; one that is new, as at its beginning."""
    if fact is None:
        return not any(check.alpha for check in rs.checks)
    return fact["health"] == "up" or (fact["health"] == "unknown" and "in_table" in fact)


def _mark(config: Config, server: VirtualServer, known: Facts) -> int:
    """The mark that nftables gives a group: known of one that runs; of a new one, one of its own."""
    if not (config.globals.lvs.marks_table and server.group):
        return 0
    return int(known.get("mark") or config.globals.lvs.marks_start + 1_000_000 + hash(server.key) % 1_000_000)


def _decided(config: Config, told: Facts) -> set[tuple[ServiceKey, DestKey | None]]:
    out: set[tuple[ServiceKey, DestKey | None]] = set()
    for server in config.virtual_servers:
        known: Facts = told.get(server.key, {})
        for rs in server.real_servers:
            if "override" in known.get("real_servers", {}).get(rs.key, {}):
                keys = plan.keys(server, _mark(config, server, known))
                out.update((key, DestKey(rs.ip, rs.port)) for key in keys)
    return out
