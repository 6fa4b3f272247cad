"""Warnings about virtual and real servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastha.config.advice import at, says, warn
from fastha.config.placed import Built
from fastha.config.tree import Faults, Marks, Statement
from fastha.model import Networked, RealServer, VirtualServer
from fastha.model.units import NS_PER_S

STICKY = frozenset({"sh", "dh", "mh"})  # they choose by the client's address
WEIGHTLESS = {"rr": "wrr", "lc": "wlc"}
CHECKS_PER_S = 20_000


def advise(
    servers: Sequence[Built[VirtualServer]], carried: Callable[[], set[str]], has_instances: bool, faults: Faults
) -> None:
    """`carried`: addresses that some block gives to an interface; `has_instances`: whether VRRP is in this file."""
    given = carried() if has_instances and any(b.value.ha_suspend for b in servers) else None
    virtual = {b.value.ip for b in servers if b.value.ip} | {
        m.first_ip for b in servers for m in b.value.members if m.first_ip == m.last_ip and m.first_ip
    }
    load = 0.0
    for built in servers:
        _persistence(built, faults)
        _weights(built, faults)
        _sorry(built, faults)
        _suspend(built, given, faults)
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
        if not rs.checks and checked and not _asks(places.of(rs)):
            warn(faults, "unchecked-server", places.of(rs).place(1), f"real_server {rs.key} has no check")
        if not rs.checks and rs.alpha and says(places.of(rs), "alpha") and not _asks(places.of(rs)):
            warn(faults, "alpha-unchecked", at(places.of(rs), "alpha"), f"alpha: real_server {rs.key} has no check")
        if rs.lthreshold > rs.uthreshold:
            warn(
                faults, "thresholds", at(places.of(rs), "lthreshold"),
                f"lthreshold {rs.lthreshold} is above uthreshold {rs.uthreshold}",
            )  # fmt: skip
    return load


def _asks(statement: Statement) -> bool:
    """Whether there is a check, even one that could not be built."""
    return any(inner.block is not None for inner in statement.block or [])


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
        self._marks = Marks()
        self._found: dict[str, dict[str, int]] = {}  # port, "" for the first with any -> address -> index of its mark

    def of(self, rs: RealServer) -> Statement:
        if not self._found:
            self._look()
        index = self._found.get(str(rs.port), {}).get(rs.ip, self._found[""].get(rs.ip))
        return self._statement if index is None else self._marks.statement(index)

    def _look(self) -> None:
        self._found[""] = {}
        for index, inner in enumerate(s for s in self._statement.block or [] if s.words[0] == "real_server"):
            self._marks.add(inner)
            for ip, port in [inner.words[1:3]] if len(inner.words) > 2 else []:
                self._found.setdefault(port, {}).setdefault(ip, index)
            self._found[""].setdefault("".join(inner.words[1:2]), index)
