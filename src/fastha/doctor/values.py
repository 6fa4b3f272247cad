"""What the rules look at and what they say. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastha.model import Config

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` for programs; `what` is wrong, `why` it bites, `mend`: the command that mends it ("" if there is none)."""

    code: str
    severity: str
    what: str
    why: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A snapshot. What could not be read is absent, and no rule speaks of it.

    `sysctl`: name with slashes (net/ipv4/ip_forward) -> text. `interfaces`: names that exist. `programs`: comm of all
    processes -> pids. `children`: role -> {"caps": mask, "files": soft limit of descriptors} of the daemon's processes.
    `ipvs`: {"version", "bits": of its connection table, "services", "destinations", "connections"}; None: not there.
    `managed`: interface -> who manages it (NetworkManager, systemd-networkd). `kernel`: (major, minor).
    """

    kernel: tuple[int, int] = (0, 0)
    sysctl: Mapping[str, str] = field(default_factory=dict)
    interfaces: tuple[str, ...] = ()
    programs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    children: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ipvs: Mapping[str, Any] | None = None
    schedulers: tuple[str, ...] = ()  # modules ip_vs_* that are loaded
    clock: str = ""
    clocks: tuple[str, ...] = ()  # that the kernel has
    managed: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, Any] | None = None  # the daemon's picture; None: nobody answers
    no_answer: str = ""  # why
    unseen: str = ""  # the network namespace that could not be looked into, and why

    def number(self, name: str) -> int | None:
        """A sysctl that is a number."""
        text = self.sysctl.get(name, "").strip()
        return int(text) if text.lstrip("-").isdecimal() else None


@dataclass(frozen=True, slots=True)
class Wants:
    """What the configuration asks of the host. `subnets`: (interface, address, prefix length) of service addresses."""

    interfaces: frozenset[str] = frozenset()
    addresses: tuple[tuple[str, str, int], ...] = ()
    vrids: tuple[tuple[str, int, str], ...] = ()  # (interface, VRID, instance)
    forwards: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    schedulers: frozenset[str] = frozenset()
    persistent: bool = False
    udp: bool = False
    services: int = 0
    destinations: int = 0
    checks: int = 0
    namespace: str = ""  # net_namespace; "": where we are
    ipvs_namespace: str | None = None  # net_namespace_ipvs; None: the same

    @property
    def of_ipvs(self) -> str:
        """The network namespace of IPVS; "": where we are."""
        return self.namespace if self.ipvs_namespace is None else self.ipvs_namespace


def wants_of(config: Config) -> Wants:
    """A configuration as demands."""
    servers = config.virtual_servers
    services = [max(1, len(vs.members)) for vs in servers]
    return Wants(
        interfaces=frozenset(
            name for i in config.instances for name in (i.interface, *(a.dev for a in i.addresses)) if name
        ),
        addresses=tuple((a.dev or i.interface, a.ip, a.prefixlen) for i in config.instances for a in i.addresses),
        vrids=tuple((i.interface, i.vrid, i.name) for i in config.instances),
        forwards=frozenset(rs.forward for vs in servers for rs in vs.real_servers),
        families=frozenset(vs.family for vs in servers),
        schedulers=frozenset(vs.scheduler for vs in servers),
        persistent=any(vs.persistence_timeout_s for vs in servers),
        udp=any(vs.protocol == "UDP" for vs in servers),
        services=sum(services),
        destinations=sum(n * len(vs.real_servers) for n, vs in zip(services, servers, strict=True)),
        checks=sum(len(rs.checks) for vs in servers for rs in vs.real_servers),
        namespace=config.globals.processes.namespace,
        ipvs_namespace=config.globals.processes.ipvs_namespace,
    )


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(findings, key=lambda one: SEVERITIES.index(one.severity))
