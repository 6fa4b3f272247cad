"""The answer to `status`: everything the parent knows, as plain data.

{"picture": n, "now": wall,
 "daemon": {version, pid, started, state, dataplane, generation, drift-free counters ...,
            config: {file, files, loaded}, last_reload: {at, outcome, text, faults}, scripts: {run, failed, pending},
            children: {role: {state, pid, uptime_s, restarts, lag_ns, lag_max_ns, lag: [counts], rss_kb, turns,
                              heartbeat_age_ns, last_end}}},
 "vrrp": facts, "checker": facts, "bfd": facts}    docs/ARCHITECTURE.md, "Facts: what children report"
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastha.parent.child import Child
from fastha.parent.supervisor import Supervisor


def document(supervisor: Supervisor, daemon: dict[str, Any], now_ns: int) -> dict[str, Any]:
    """`daemon`: what only the daemon knows about itself."""
    return {
        "picture": supervisor.picture.version,
        "daemon": daemon
        | {
            "generation": supervisor.generation,
            "children": {role: of_child(child, now_ns) for role, child in supervisor.children.items()},
        },
        "quorums": supervisor.quorums,
        **supervisor.picture.all(),
    }


def sentence(supervisor: Supervisor) -> str:
    """What runs, for systemd's STATUS=."""
    states = Counter(str(one.get("state")) for one in supervisor.picture.of("vrrp").get("instances", {}).values())
    servers = supervisor.servers.values()
    parts = [f"{count} {state}" for state, count in sorted(states.items())]
    if servers:
        parts.append(f"{sum(bool(one.get('up')) for one in servers)} of {len(servers)} virtual servers up")
    return ", ".join(parts) or "running"


def of_child(child: Child, now_ns: int) -> dict[str, Any]:
    """One child as the parent sees it."""
    if not child.alive:
        return {"state": child.state.value, "restarts": max(0, child.starts - 1), "last_end": child.last_end}
    return {
        "state": child.state.value,
        "pid": child.pid,
        "uptime_s": round((now_ns - child.started_ns) / 1e9, 3),
        "restarts": child.starts - 1,
        "heartbeat_age_ns": now_ns - child.sign_of_life_ns if child.sign_of_life_ns else None,
        "last_end": child.last_end,
        **child.pulse,
    }
