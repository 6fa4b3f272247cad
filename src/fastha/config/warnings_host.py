"""Warnings that need a look at the machine: commands, users, interfaces, addresses. Pure over `Host`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from ipaddress import IPv4Interface
from typing import Protocol

from fastha.config.advice import at, warn
from fastha.config.build_vrrp import NOTIFY
from fastha.config.placed import Built
from fastha.config.tree import Faults, Place, Statement
from fastha.config.warnings_lvs import Places
from fastha.model import MiscCheck, Script, VirtualServer, VrrpInstance


class Host(Protocol):
    """What this machine has."""

    def command(self, path: str) -> str:
        """Why `path` cannot be executed; "" if it can."""
        ...

    def user(self, name: str) -> bool: ...
    def interfaces(self) -> Set[str]: ...
    def addresses(self) -> Set[str]: ...
    def promotes_secondaries(self, interface: str) -> bool: ...


def advise(
    instances: Sequence[Built[VrrpInstance]], servers: Sequence[Built[VirtualServer]], host: Host, faults: Faults
) -> None:
    interfaces, addresses = host.interfaces(), host.addresses()
    for built in instances:
        instance, statement = built.value, built.statement
        if instance.interface not in interfaces:
            warn(
                faults, "interface-missing", at(statement, "interface"),
                f"there is no interface {instance.interface} here",
            )  # fmt: skip
        for peer in instance.unicast_peers:
            if peer in addresses and peer != instance.unicast_src:
                place = line_of(statement, "unicast_peer", peer) or at(statement, "unicast_peer")
                warn(faults, "peer-is-here", place, f"{peer} is an address of this machine")
    _secondaries(instances, host, faults)
    for place, script in (*notifications(instances), *scripts(servers)):
        if why := host.command(script.argv[0]):
            warn(faults, "script-missing", place, f"{script.argv[0]}: {why}")
        if script.user and not host.user(script.user):
            warn(faults, "user-missing", place, f"there is no user {script.user} here")


def notifications(instances: Sequence[Built[VrrpInstance]]) -> Iterator[tuple[Place, Script]]:
    """Every command of an instance, and where it is said."""
    for built in instances:
        for keyword, field in NOTIFY.items():
            if (script := getattr(built.value.notify, field)) is not None:
                yield at(built.statement, keyword), script


def scripts(servers: Sequence[Built[VirtualServer]]) -> Iterator[tuple[Place, Script]]:
    """Every command, and where it is said."""
    for built in servers:
        server, statement = built.value, built.statement
        if server.quorum_up:
            yield at(statement, "quorum_up"), server.quorum_up
        if server.quorum_down:
            yield at(statement, "quorum_down"), server.quorum_down
        places = Places(statement)
        for rs in server.real_servers:
            if rs.notify_up:
                yield at(places.of(rs), "notify_up"), rs.notify_up
            if rs.notify_down:
                yield at(places.of(rs), "notify_down"), rs.notify_down
            misc = [inner for inner in places.of(rs).block or [] if inner.words[0] == "MISC_CHECK"] if rs.checks else []
            for check, inner in zip((c for c in rs.checks if isinstance(c, MiscCheck)), misc, strict=False):
                yield at(inner, "misc_path"), check.script


def _secondaries(instances: Sequence[Built[VrrpInstance]], host: Host, faults: Faults) -> None:
    first: dict[tuple[str, str], tuple[str, str, Place]] = {}
    told: set[tuple[str, str]] = set()
    for built in instances:
        instance = built.value
        place = at(built.statement, "virtual_ipaddress")
        for address in instance.carried:
            if ":" in address.ip or address.prefixlen >= 31:
                continue
            network = str(IPv4Interface(str(address)).network)
            key = instance.dev_of(address) if address.vmac else address.dev or instance.interface, network
            if host.promotes_secondaries(key[0]):
                continue
            ip, name, _ = first.setdefault(key, (address.ip, instance.name, place))
            if ip == address.ip or key in told:
                continue
            told.add(key)
            line = line_of(built.statement, "virtual_ipaddress", address.ip) or place
            whose = "" if name == instance.name else f" of {name}"
            warn(
                faults, "secondary-addresses", line,
                f"{address.ip} becomes a secondary address of {network} on {key[0]}, after {ip}{whose}",
            )  # fmt: skip


def line_of(statement: Statement, keyword: str, ip: str) -> Place | None:
    """The line of an address in a block of addresses."""
    for block in statement.block or []:
        if block.words[0] == keyword:
            for line in block.block or []:
                if line.words[0].partition("/")[0] == ip:
                    return line.place()
    return None
