"""The checker's facts: docs/ARCHITECTURE.md, "Facts: what children report"."""

from __future__ import annotations

from typing import Any

from fastha.checker import drain
from fastha.checker.engine import Engines
from fastha.checker.roster import Roster
from fastha.checker.table import TableKeeper
from fastha.checker.wards import Server, Ward
from fastha.dataplane.rows import DestKey, ServiceRow

Facts = dict[str, Any]


def real_server(roster: Roster, server: Server, row: ServiceRow) -> Facts:
    """Everything about one real server. `in_table`: its weight in the wanted row, None if it is not there (None in a
    merge patch deletes: the reader finds the key absent, RFC 7396)."""
    checks, failures, took = roster.stats(server)
    dest = row.dests.get(DestKey(server.config.ip, server.config.port))
    ruling = server.ward.plan.ruling(server.index)
    return {
        "health": server.health.value,
        "since": server.since,
        "why": server.why,
        "weight": drain.weight(ruling, server.ward.plan.weight(server.index)),
        "weight_from": _weight_from(server),
        "kept": server.kept or None,
        "override": drain.facts(ruling),
        "active": ruling.active if ruling is not None else None,
        "in_table": dest.weight if dest else None,
        "response_ns": took,
        "checks": checks,
        "failures": failures,
        "each": each(server),
    }


def each(server: Server) -> list[list[str]] | None:
    """[keyword, health] of its one check; of several [keyword, health, what it found last] in their order."""
    watches = server.watches
    if len(watches) == 1:
        return [[watches[0].check.kind, watches[0].verdict.health.value]]
    return [[w.check.kind, w.verdict.health.value, w.why] for w in watches] or None


def virtual_server(ward: Ward) -> Facts:
    """Everything about one virtual server but its real servers."""
    config = ward.plan.server
    return _group(ward) | {
        "up": ward.plan.quorum,
        "since": ward.since,
        "quorum": config.quorum,
        "live_weight": ward.plan.live_weight,
        "sorry": ward.plan.sorry,
        "scheduler": config.scheduler,
        "forward": config.forward,
        "suspended": ward.suspended or None,
        "panic": panic(ward),
    }


def panic(ward: Ward) -> Facts | None:
    """None while there is none."""
    return {"since": ward.panic_since, "kept": len(ward.guard.kept)} if ward.guard.panic else None


def _weight_from(server: Server) -> str:
    plan = server.ward.plan
    ruling = plan.ruling(server.index)
    if ruling is not None and ruling.counts:
        return "override"
    return "check" if plan.weights and plan.weights[server.index] is not None else "configured"


def _group(ward: Ward) -> Facts:
    """What only groups have: how many services, of which members (a successor knows by them what is ours), and the
    mark that nftables gives their traffic."""
    config = ward.plan.server
    if not config.group:
        return {}
    members = [[m.first_ip, m.last_ip, m.port, m.fwmark, m.family] for m in config.members]
    return {"services": len(ward.keys), "members": members, "mark": ward.mark or None}


def ward_facts(roster: Roster, ward: Ward, row: ServiceRow) -> Facts:
    """One virtual server with all its real servers."""
    return virtual_server(ward) | {"real_servers": {s.config.key: real_server(roster, s, row) for s in ward.servers}}


def probes(engines: Engines) -> Facts:
    """The engines' counters: started == ended + cancelled + in_flight; and how probes ended."""
    return engines.counters()


def dataplane(table: TableKeeper) -> Facts:
    return {
        "backend": table.backend.name,
        "namespace": table.where or None,
        "drift": table.drift,
        "operations": table.operations,
        "errors": table.errors,
        "reconciled": table.reconciled,
        "differed": list(table.differed),
    }
