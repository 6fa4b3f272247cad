"""A VRRP instance as configured (the configuration half; live state is in fastha.vrrp)."""

from __future__ import annotations

from fastha.lean import dataclass, field
from fastha.model.script import Script
from fastha.model.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """One line of `virtual_ipaddress`. `dev` empty: the instance's interface. `scope`: kernel rtm scope number."""

    ip: str
    prefixlen: int = 32
    dev: str = ""
    label: str = ""
    scope: int = 0

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefixlen}"


@dataclass(frozen=True, slots=True)
class Auth:
    """`authentication`: kind "none" or "pass" (RFC 2338 section 5.3.6.2, VRRPv2 only, at most 8 bytes)."""

    kind: str = "none"
    password: str = ""


@dataclass(frozen=True, slots=True)
class Garp:
    """Gratuitous ARP policy. Repeats count frames per address in one block; 0 ns delays mean "no such block"."""

    master_delay_ns: int = 5 * NS_PER_S
    master_repeat: int = 5
    master_refresh_ns: int = 0
    master_refresh_repeat: int = 1
    lower_prio_delay_ns: int = 5 * NS_PER_S
    lower_prio_repeat: int = 5
    interval_ns: int = 0


@dataclass(frozen=True, slots=True)
class TrackVirtualServer:
    """A virtual server (by `VirtualServer.key`) whose quorum an instance needs.

    `weight` 0: losing the quorum is FAULT. Positive: added while it has quorum. Negative: added while it has not.
    """

    key: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Tracker:
    """Something an instance follows: `kind` "interface", "bfd", "script", "file" or "virtual_server", and its `name`.

    `weight` 0: it is down (`reverse`: up) means FAULT. Positive: added while it is up. Negative: added while it is
    down. `reverse`: subtracted instead. A file has a number: it is down if that is not 0, and counts weight times it.
    """

    kind: str
    name: str
    weight: int = 0
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class InstanceNotify:
    """`notify_*`: scripts for each state an instance enters; `any`: `notify`, for all of them."""

    master: Script | None = None
    backup: Script | None = None
    fault: Script | None = None
    stop: Script | None = None
    deleted: Script | None = None
    any: Script | None = None
    rx_lower: Script | None = None  # a master hears a lower priority


@dataclass(frozen=True, slots=True)
class VrrpInstance:
    """One `vrrp_instance`. Identity across reloads is `identity`, not the name."""

    name: str
    interface: str
    vrid: int
    priority: int = 100
    version: int = 2
    advert_int_ns: int = NS_PER_S
    wants_master: bool = False  # `state MASTER`
    preempt: bool = True
    preempt_delay_ns: int = 0
    addresses: tuple[VirtualAddress, ...] = ()
    unicast_src: str = ""
    unicast_peers: tuple[str, ...] = ()
    auth: Auth = field(default_factory=Auth)
    garp: Garp = field(default_factory=Garp)
    down_timer_adverts: int = 3
    track_virtual_servers: tuple[TrackVirtualServer, ...] = ()
    track: tuple[Tracker, ...] = ()  # everything else
    notify: InstanceNotify = InstanceNotify()
    notify_priority: bool = False  # FIFOs are told of another effective priority

    @property
    def unicast(self) -> bool:
        return bool(self.unicast_peers)

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """Everything it follows."""
        servers = (Tracker("virtual_server", t.key, t.weight) for t in self.track_virtual_servers)
        return (*servers, *self.track)

    @property
    def identity(self) -> tuple[int, str, str]:
        """(VRID, interface, unicast source or "" for multicast): what makes it the same virtual router."""
        return self.vrid, self.interface, self.unicast_src if self.unicast else ""
