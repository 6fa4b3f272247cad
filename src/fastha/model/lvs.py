"""Virtual and real servers as configured."""

from __future__ import annotations

from fastha.lean import dataclass
from fastha.model.checks import Check
from fastha.model.script import Script


def host_port(ip: str, port: int) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`: how servers are written in keys, logs and status."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How TUN encapsulates (`type` of lvs_method): "ipip", "gue" (needs `port`) or "gre"; `checksum`: "nocsum",
    "csum" or "remcsum" (gue and gre; the kernel's IP_VS_TUNNEL_ENCAP_FLAG_*)."""

    kind: str = "ipip"
    port: int = 0
    checksum: str = "nocsum"


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One line of a virtual_server_group: a range of addresses with a port (0: any), or a firewall mark.

    `first_ip`..`last_ip` are of one family and both included; empty for a mark.
    """

    __apart__ = ("first_ip", "last_ip", "fwmark")

    first_ip: str = ""
    last_ip: str = ""
    port: int = 0
    fwmark: int = 0
    family: str = "inet"  # inet, inet6


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer:
    """One `real_server`. `forward`: "NAT", "DR" or "TUN"."""

    __apart__ = ("ip", "port", "checks")  # what mostly differs from one to another: see fastha.lean

    ip: str
    port: int
    weight: int = 1
    forward: str = "NAT"
    tunnel: Tunnel = Tunnel()
    inhibit_on_failure: bool = False
    alpha: bool = False
    uthreshold: int = 0
    lthreshold: int = 0
    checks: tuple[Check, ...] = ()
    notify_up: Script | None = None
    notify_down: Script | None = None
    smtp_alert: bool = True  # mail on changes

    @property
    def key(self) -> str:
        return host_port(self.ip, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class SorryServer:
    """Takes the traffic while the virtual server has lost its quorum."""

    ip: str
    port: int
    forward: str = "NAT"
    tunnel: Tunnel = Tunnel()
    inhibit: bool = False

    @property
    def key(self) -> str:
        return host_port(self.ip, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualServer:
    """One `virtual_server`: by address (`ip`, `port`, `protocol`), by `fwmark`, or for a `group` with its `members`
    (ip empty, port 0): then every member is a service of its own with the same destinations."""

    __apart__ = ("ip", "port", "protocol", "fwmark", "group", "members", "family", "real_servers")

    ip: str = ""
    port: int = 0
    protocol: str = "TCP"  # TCP, UDP, SCTP
    fwmark: int = 0
    group: str = ""
    members: tuple[GroupMember, ...] = ()
    family: str = "inet"  # inet, inet6
    scheduler: str = "wlc"
    scheduler_flags: tuple[str, ...] = ()  # keywords: ops sh-port sh-fallback mh-port mh-fallback flag-1..3
    forward: str = "NAT"
    masquerade: bool = True  # nft: real servers see the director's address; IPVS always shows them the client's
    persistence_timeout_s: int = 0
    persistence_prefix: int = 0  # granularity as prefix length; 0 = whole address
    persistence_engine: str = ""
    quorum: int = 1
    hysteresis: int = 0
    alpha: bool = False
    omega: bool = False
    ha_suspend: bool = False  # check only while this host has the address
    quorum_up: Script | None = None
    quorum_down: Script | None = None
    smtp_alert: bool = False  # mail when the quorum is gained or lost
    panic_percent: int = 0  # keep the last good set when more than this share would fall within one interval; 0: off
    removal_limit: int = 0  # real servers that may fall within one interval, the others wait for the next; 0: any
    sorry_server: SorryServer | None = None
    real_servers: tuple[RealServer, ...] = ()

    @property
    def key(self) -> str:
        """`10.0.0.1:80/tcp`, `fwmark 7/inet` or `group web/tcp`: identity across reloads, and the name in status."""
        if self.group:
            return f"group {self.group}/{self.protocol.lower()}"
        if self.fwmark:
            return f"fwmark {self.fwmark}/{self.family}"
        return f"{host_port(self.ip, self.port)}/{self.protocol.lower()}"
