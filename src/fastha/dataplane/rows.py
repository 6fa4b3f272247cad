"""The load balancer's table as values: services, destinations, operations. Kernel words (ip_vs.h).

A Table is what some backend holds or should hold. Everything is hashable and compares by value, so a row is
right exactly when it is equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple


class Forward(IntEnum):
    """How packets reach a destination: the kernel's IP_VS_CONN_F_* forwarding methods (linux/ip_vs.h).

    LOCAL and BYPASS are never wanted; foreign rows of a dump may have them.
    """

    NAT = 0  # masquerade
    LOCAL = 1
    TUN = 2
    DR = 3
    BYPASS = 4


class ServiceFlag(IntFlag):
    """The IP_VS_SVC_F_* bits that are ours to set (linux/ip_vs.h); the kernel keeps others in the same word."""

    PERSISTENT = 0x01
    ONEPACKET = 0x04  # ops: each UDP datagram is scheduled anew
    SCHED1 = 0x08  # sh-fallback, mh-fallback, flag-1
    SCHED2 = 0x10  # sh-port, mh-port, flag-2
    SCHED3 = 0x20  # flag-3


OUR_FLAGS = 0x3D  # every ServiceFlag


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What identifies a service in the kernel: (protocol, ip, port), or a firewall mark with a family."""

    family: int  # socket.AF_INET, AF_INET6
    protocol: int  # IPPROTO_TCP, _UDP, _SCTP; 0 with a fwmark
    ip: str = ""
    port: int = 0
    fwmark: int = 0

    def __str__(self) -> str:
        if self.fwmark:
            return f"fwmark {self.fwmark}/{'inet6' if self.family == 10 else 'inet'}"
        name = {6: "tcp", 17: "udp", 132: "sctp"}.get(self.protocol, str(self.protocol))
        return f"[{self.ip}]:{self.port}/{name}" if ":" in self.ip else f"{self.ip}:{self.port}/{name}"


@dataclass(frozen=True, slots=True)
class Service:
    """A service's settable half. `flags`: IP_VS_SVC_F_* bits that are ours to set; `netmask`: prefix length.

    `masquerade`: destinations see the director's address and not the client's; nft alone has the choice, elsewhere it
    stays True and means nothing.
    """

    scheduler: str
    flags: int = 0
    timeout_s: int = 0
    netmask: int = 32
    pe_name: str = ""
    masquerade: bool = True


class DestKey(NamedTuple):
    """What identifies a destination within its service. A tuple: a row of 50 000 is looked into by them again and
    again, and a dataclass hashes in Python."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class TunnelType(IntEnum):
    """IP_VS_CONN_F_TUNNEL_TYPE_* (linux/ip_vs.h)."""

    IPIP = 0
    GUE = 1
    GRE = 2


@dataclass(frozen=True, slots=True)
class Dest:
    """A destination's settable half. The tun_* fields matter with Forward.TUN alone; `tun_flags`:
    IP_VS_TUNNEL_ENCAP_FLAG_* (0 NOCSUM, 1 CSUM, 2 REMCSUM)."""

    forward: Forward
    weight: int
    uthreshold: int = 0
    lthreshold: int = 0
    tun_type: TunnelType = TunnelType.IPIP
    tun_port: int = 0
    tun_flags: int = 0


@dataclass(slots=True)
class ServiceRow:
    """One service with its destinations."""

    service: Service
    dests: dict[DestKey, Dest]


Table = dict[ServiceKey, ServiceRow]


class Verb(IntEnum):
    """Operations on the table; numbers are the kernel's IPVS_CMD_* (linux/ip_vs.h)."""

    NEW_SERVICE = 1
    SET_SERVICE = 2
    DEL_SERVICE = 3
    NEW_DEST = 5
    SET_DEST = 6
    DEL_DEST = 7


class Op(NamedTuple):
    """One change. `service` is set for NEW/SET_SERVICE; `dest_key` and `dest` for the dest verbs. A tuple, because ten
    thousand of them are made at once: a frozen dataclass takes more than twice as long."""

    verb: Verb
    key: ServiceKey
    service: Service | None = None
    dest_key: DestKey | None = None
    dest: Dest | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """IPVS connection timeouts in seconds; 0 on setting: leave as it is."""

    tcp_s: int = 0
    tcpfin_s: int = 0
    udp_s: int = 0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A connection synchronisation daemon of the kernel. `state`: 1 IP_VS_STATE_MASTER, 2 IP_VS_STATE_BACKUP.

    0 and "" mean the kernel's default when starting one.
    """

    state: int
    interface: str
    sync_id: int = 0
    maxlen: int = 0
    port: int = 0
    ttl: int = 0
    group: str = ""
