"""Which operations on the load balancer's table a reload amounts to, by the rules that the checker itself goes by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from fastha.checker import plan
from fastha.dataplane.reconcile import reconcile
from fastha.dataplane.rows import DestKey, Op, ServiceKey, Table, Verb
from fastha.model import Check, Config, RealServer, VirtualServer

WORDS = {
    Verb.NEW_SERVICE: "service added",
    Verb.SET_SERVICE: "service set",
    Verb.DEL_SERVICE: "service removed",
    Verb.NEW_DEST: "destination added",
    Verb.SET_DEST: "destination set",
    Verb.DEL_DEST: "destination removed",
}
Facts = Mapping[str, Any]
Health = dict[tuple[str, str], bool]  # by keys of virtual and real server


def operations(old: Config, new: Config, facts: Facts | None = None) -> list[Op]:
    """In order. `facts`: what the checker reports (status --json, "checker"); None: every real server counts as up.
    Servers that an operator has decided about are left out: their rows follow the decision."""
    told: Facts | None = None if facts is None else facts.get("virtual_servers", {})
    choice = facts is None or facts.get("dataplane", {}).get("backend") == "nft"
    health = _health(old, told or {})
    answers = _answers(old.virtual_servers, health)
    before, quorums = _table(old, told, health, answers, choice, {})
    after, _ = _table(new, told, health, answers, choice, quorums)
    told = told or {}
    decided = _decided(old, told) | _decided(new, told)
    return [op for op in reconcile(after, before, before) if (op.key, op.dest_key) not in decided]


def counted(ops: list[Op]) -> dict[str, int]:
    """`{"service added": 1, ...}`."""
    return {WORDS[verb]: count for verb, count in sorted(Counter(op.verb for op in ops).items())}


def _table(
    config: Config,
    told: Facts | None,
    health: Health,
    answers: Mapping[Check, bool],
    choice: bool,
    quorums: Mapping[str, bool],
) -> tuple[Table, dict[str, bool]]:
    """The wanted rows, and which virtual servers have quorum. `choice`: the dataplane can do without masquerading."""
    table: Table = {}
    found: dict[str, bool] = {}
    for configured in config.virtual_servers:
        server = configured if choice else replace(configured, masquerade=True)
        known: Facts = {} if told is None else told.get(server.key, {})
        up = [
            # One without checks is always up; one that is new counts as its checks say.
            told is None or not rs.checks or health.get((server.key, rs.key), _at_first(rs, answers))
            for rs in server.real_servers
        ]
        had = True if told is None else quorums.get(server.key, known.get("up"))
        servers: Facts = known.get("real_servers", {})
        facts_of = [servers.get(rs.key, {}) for rs in server.real_servers]
        weights = [fact.get("weight") if fact.get("weight_from") == "check" else None for fact in facts_of]
        one = plan.start(server, up, had, (), weights)
        found[server.key] = one.quorum
        table.update(plan.rows(one, plan.keys(server, _mark(config, server, known))))
    return table, found


def _at_first(rs: RealServer, answers: Mapping[Check, bool] = MappingProxyType({})) -> bool:
    """How a new one begins: by the answers that others have had to the same questions, else as its checks say."""
    return all(answers.get(check, not check.alpha) for check in rs.checks)


def _answers(servers: Iterable[VirtualServer], health: Health) -> dict[Check, bool]:
    """What is known of single checks: of servers that are up, and of those that have but one."""
    out: dict[Check, bool] = {}
    for server in servers:
        for rs in server.real_servers:
            up = health.get((server.key, rs.key))
            if up is not None and (up or len(set(rs.checks)) == 1):
                out.update(dict.fromkeys(rs.checks, up))
    return out


def _health(config: Config, told: Facts) -> Health:
    """Which real servers count as up in the configuration that runs: those that no check has answered for yet, as
    their rows say; where rows say nothing (no weight, or the sorry server has taken over), as at their beginning."""
    out: Health = {}
    for server in config.virtual_servers:
        known: Facts = told.get(server.key, {})
        for rs in server.real_servers:
            fact = known.get("real_servers", {}).get(rs.key)
            if fact is None:
                continue
            if fact.get("in_table", 0) > 0:
                up = True  # also one that is down and kept by panic_threshold or removal_limit
            elif fact["health"] != "unknown":
                up = fact["health"] == "up"
            elif known.get("sorry") or (rs.weight == 0 and rs.inhibit_on_failure):
                up = _at_first(rs)
            else:
                up = rs.weight == 0 and "in_table" in fact
            out[server.key, rs.key] = up
    return out


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
