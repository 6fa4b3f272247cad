"""Warnings about virtual and real servers."""

from __future__ import annotations

from collections.abc import Sequence

from fastha.config.advice import at, says, warn
from fastha.config.placed import Built
from fastha.config.tree import Faults, Statement
from fastha.model import Networked, RealServer, VirtualServer
from fastha.model.units import NS_PER_S

STICKY = frozenset({"sh", "dh", "mh"})  # they choose by the client's address
WEIGHTLESS = {"rr": "wrr", "lc": "wlc"}
CHECKS_PER_S = 20_000


def advise(servers: Sequence[Built[VirtualServer]], carried: set[str], has_instances: bool, faults: Faults) -> None:
    """`carried`: addresses that some block gives to an interface; `has_instances`: whether VRRP is in this file."""
    virtual = {b.value.ip for b in servers if b.value.ip} | {
        m.first_ip for b in servers for m in b.value.members if m.first_ip == m.last_ip and m.first_ip
    }
    load = 0.0
    for built in servers:
        _persistence(built, faults)
        _weights(built, faults)
        _sorry(built, faults)
        _suspend(built, carried if has_instances else None, faults)
        load += _real_servers(built, virtual, faults)
    if load > CHECKS_PER_S:
        warn(faults, "check-load", servers[0].place, f"all checks together are {load:.0f} a second")


def _persistence(built: Built[VirtualServer], faults: Faults) -> None:
    server, statement = built.value, built.statement
    if server.persistence_timeout_s:
        place = at(statement, "persistence_timeout")
        if server.scheduler in STICKY:
            warn(
                faults, "sticky-twice", place,
                f"persistence with scheduler {server.scheduler}, which goes by the client's address itself",
            )  # fmt: skip
        if "ops" in server.scheduler_flags:
            warn(faults, "ops-persistence", place, "persistence_timeout and ops contradict each other")
        return
    for keyword, said in (
        ("persistence_granularity", server.persistence_prefix),
        ("persistence_engine", server.persistence_engine),
    ):
        if said:
            warn(faults, "persistence-off", at(statement, keyword), f"{keyword} without persistence_timeout")


def _weights(built: Built[VirtualServer], faults: Faults) -> None:
    server = built.value
    better = WEIGHTLESS.get(server.scheduler)
    weights = {rs.weight for rs in server.real_servers} - {0}
    if better and len(weights) > 1:
        warn(
            faults, "weights-ignored", at(built.statement, "lvs_sched", "lb_algo"),
            f"scheduler {server.scheduler} gives all real servers the same, whatever their weights",
        )  # fmt: skip


def _sorry(built: Built[VirtualServer], faults: Faults) -> None:
    server = built.value
    sorry = server.sorry_server
    if sorry and any(rs.key == sorry.key for rs in server.real_servers):
        warn(
            faults, "sorry-is-real", at(built.statement, "sorry_server"),
            f"sorry_server {sorry.key} is one of the real servers",
        )  # fmt: skip


def _suspend(built: Built[VirtualServer], carried: set[str] | None, faults: Faults) -> None:
    server = built.value
    if server.ha_suspend and carried is not None and server.ip not in carried:
        warn(
            faults, "ha-suspend-unowned", at(built.statement, "ha_suspend"),
            f"ha_suspend: no instance of this configuration carries {server.ip}",
        )  # fmt: skip


def _real_servers(built: Built[VirtualServer], virtual: set[str], faults: Faults) -> float:
    """Warnings about them; how many checks a second they have."""
    server = built.value
    checked = any(rs.checks for rs in server.real_servers)
    load, places = 0.0, Places(built.statement)
    for rs in server.real_servers:
        for check in rs.checks:
            load += NS_PER_S / check.delay_ns
            if isinstance(check, Networked) and check.timeout_ns > check.delay_ns:
                _slow(places.of(rs), check.kind, check.timeout_ns, check.delay_ns, faults)
        if rs.ip in virtual:
            warn(faults, "real-is-virtual", places.of(rs).place(1), f"{rs.ip} is an address of a virtual_server")
        if not rs.checks and checked and not says(places.of(rs), "MISC_CHECK"):
            warn(faults, "unchecked-server", places.of(rs).place(1), f"real_server {rs.key} has no check")
        if not rs.checks and says(places.of(rs), "alpha"):
            warn(faults, "alpha-unchecked", at(places.of(rs), "alpha"), f"alpha: real_server {rs.key} has no check")
        if rs.lthreshold > rs.uthreshold:
            warn(
                faults, "thresholds", at(places.of(rs), "lthreshold"),
                f"lthreshold {rs.lthreshold} is above uthreshold {rs.uthreshold}",
            )  # fmt: skip
    return load


def _slow(statement: Statement, kind: str, timeout_ns: int, delay_ns: int, faults: Faults) -> None:
    place = next((inner.place() for inner in statement.block or [] if inner.words[0] == kind), statement.place(1))
    warn(
        faults, "slow-timeout", place,
        f"{kind} may take {_s(timeout_ns)} and is repeated every {_s(delay_ns)}",
    )  # fmt: skip


def _s(ns: int) -> str:
    return f"{ns / NS_PER_S:g} s"


class Places:
    """The statements of real servers, looked for when the first of them has a warning."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._found: dict[tuple[str, str], Statement] | None = None

    def of(self, rs: RealServer) -> Statement:
        if self._found is None:
            self._found = {}
            for inner in self._statement.block or []:
                words = inner.words
                if words[0] == "real_server" and len(words) > 1:
                    self._found.setdefault((words[1], words[2] if len(words) > 2 else ""), inner)
                    self._found.setdefault((words[1], ""), inner)
        return self._found.get((rs.ip, str(rs.port))) or self._found.get((rs.ip, "")) or self._statement
