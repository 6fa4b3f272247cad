"""What `status` answers, made up: for tests and benchmarks of what is shown of it."""

from __future__ import annotations

from typing import Any

NOW = 1_700_000_000.0


def document(virtual: int = 2, real: int = 3) -> dict[str, Any]:
    """Two instances, one of them beside a second master; a session; `virtual` servers of `real` each, every seventh
    down."""
    return {
        "v": 1, "ok": True, "picture": 17, "now": NOW,
        "daemon": {
            "version": "0.1.0", "pid": 123, "state": "running", "started": NOW - 7000, "uptime_s": 7000.0,
            "dataplane": "auto", "generation": 3, "state_file": "/var/lib/fastha/state.json", "events": 9,
            "config": {"file": "/etc/keepalived/keepalived.conf", "files": [], "loaded": NOW - 50},
            "next_reload": None, "last_reload": {"outcome": "committed", "text": "", "at": NOW - 50},
            "scripts": {"run": 4, "failed": 1, "pending": 0}, "overrides": [],
            "mail": {"sent": 5, "failed": 2, "dropped": 1, "waiting": 3, "recipients": 1},
            "children": {
                "vrrp": {"state": "running", "pid": 4711, "uptime_s": 6000.0, "restarts": 1, "lag_ns": 123_456,
                         "lag": [900, 90, 9, 1, 0, 0], "rss_kb": 30_000, "turns": 12345,
                         "heartbeat_age_ns": 120_000_000, "last_end": ""},
                "checker": {"state": "waiting", "restarts": 3, "last_end": "checker[1] ended (status 4)"},
                "bfd": {"state": "idle", "restarts": 0, "last_end": ""},
            },
        },
        "quorums": {},
        "vrrp": {"instances": {
            "VI_1": {"state": "master", "since": NOW - 700, "why": "no advert", "interface": "eth0", "vrid": 51,
                     "version": 3, "advert_int_ns": 10**9, "priority_base": 150, "priority": 130, "master": "10.0.0.1",
                     "addresses": ["10.0.0.9/24", "10.0.0.10/24"], "holding": False, "faults": [], "sent": 700,
                     "received": 3, "became_master": 2, "discarded": {"ttl": 3, "length": 2, "short": 1},
                     "late_max_ns": 210_000, "late": [690, 9, 1, 0, 0, 0], "send_errors": 0, "last_errno": 0,
                     "zero_received": 1, "addresses_differ": 4, "repaired": 0,
                     "peers": [{"ip": "10.0.0.2", "priority": 100, "received": 5, "heard": NOW - 1}]},
            'VI_"2"': {"state": "backup", "since": NOW - 7, "why": "\\", "interface": "eth1", "vrid": 52, "version": 2,
                       "advert_int_ns": 10**8, "priority_base": 100, "priority": 100, "master": "10.1.0.1",
                       "addresses": ["10.1.0.9/24"], "holding": False, "faults": [], "sent": 0, "received": 5_000_000,
                       "became_master": 0, "discarded": {}, "late_max_ns": 0, "late": [0] * 6, "send_errors": 0,
                       "last_errno": 0, "zero_received": 0, "addresses_differ": 0, "repaired": 0, "peers": []},
        }, "interfaces": {"eth0": {"unknown_vrid": 2, "malformed": 0, "errors": 0}}},
        "bfd": {"sessions": {"gw": {"state": "up", "since": NOW - 60, "became_up": 1, "sent": 10, "received": 9,
                                    "send_errors": 0, "late": [10, 0, 0, 0, 0, 0], "detection_us": 150_000,
                                    "discarded": {"ttl": 1}}}},
        "checker": {
            "virtual_servers": {f"10.0.{v >> 8}.{v & 255}:80/tcp": _virtual(v, real) for v in range(virtual)},
            "dataplane": {"backend": "ipvs", "drift": 1, "operations": 12, "errors": 0, "reconciled": NOW - 3,
                          "differed": []},
            "probes": {"started": 100, "ended": 97, "cancelled": 1, "in_flight": 2, "queued": 0, "waited": 0,
                       "limit": 1000, "most_in_flight": 9, "timers": 7, "resets": 1, "farewells": 2, "late_1ms": 90,
                       "late_10ms": 10, "late_50ms": 0, "late_1s": 0, "later": 0, "ok": 90, "refused": 7},
        },
    }  # fmt: skip


def _virtual(v: int, real: int) -> dict[str, Any]:
    return {
        "up": v != 1, "since": NOW - 100, "quorum": 1, "live_weight": real, "sorry": False, "scheduler": "rr",
        "forward": "NAT", **({"panic": {"since": NOW - 5, "kept": 1}} if v == 1 else {}),
        "real_servers": {f"10.2.{v & 255}.{r & 255}:{8000 + (r >> 8)}": _real(v, r) for r in range(real)},
    }  # fmt: skip


def _real(v: int, r: int) -> dict[str, Any]:
    n = 1000 * v + r
    if n % 7 == 2:
        return {
            "health": "down", "since": NOW - n % 600, "why": "TCP_CHECK: connection refused", "weight": 1,
            "each": [["TCP_CHECK", "down"]], "weight_from": "configured", "checks": 3 * n, "failures": n,
            **({"kept": "panic"} if v == 1 else {}),
        }  # fmt: skip
    decided = {"override": {"mode": "drain", "weight": 0, "deadline": 0, "since": NOW, "by": "uid 0"}, "active": 5}
    return {
        "each": [["HTTP_GET", "unknown"]] if n % 1000 == 1 else [["HTTP_GET", "up"]],
        "health": "unknown" if n % 1000 == 1 else "up", "since": NOW - n % 600, "why": "TCP_CHECK: connected",
        "weight": 1 + n % 3, "weight_from": "configured", "in_table": 1 + n % 3, "checks": 7 * n, "failures": n % 5,
        **({} if n % 1000 == 1 else {"response_ns": 1_234_567 + 7919 * n}), **(decided if r == 4 else {}),
    }  # fmt: skip


def rows(virtual: int = 2, real: int = 3) -> list[list[Any]]:
    """As watch.traffic.read: the counters of an IPVS table with the same servers."""
    out: list[list[Any]] = []
    for v in range(virtual):
        vip = f"10.0.{v >> 8}.{v & 255}:80"
        out.append([vip, "6", "", 10 * real, 11, 12, 13, 14, 0, 0])
        out += [
            [vip, "6", f"10.2.{v & 255}.{r & 255}:{8000 + (r >> 8)}", 10 + r, 100 * r, 90 * r, 10**6 * r, 7 * r, r, 0]
            for r in range(real)
        ]
    return out
