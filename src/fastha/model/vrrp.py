"""A VRRP instance as configured (the configuration half; live state is in fastha.vrrp)."""

from __future__ import annotations

from fastha.lean import dataclass, field
from fastha.model.device import Device
from fastha.model.routes import Belonging, Route, Rule
from fastha.model.script import Script
from fastha.model.units import NS_PER_S
from fastha.model.wire import Wire

NOT_SAID, FOREVER = -1, (1 << 32) - 1
GROUPS = {4: "224.0.0.18", 6: "ff02::12"}
SOMEBODY = {4: "0.0.0.0", 6: "::"}  # the interface's own address, whatever it is


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """One line of `virtual_ipaddress` or `static_ipaddress`. `dev` empty: the instance's interface. `scope`: kernel rtm
    scope number. `prefixlen` is the peer's where there is one; `flags`: of home, nodad, mngtmpaddr, noprefixroute,
    autojoin; `preferred_s`: how long it is preferred as a source, NOT_SAID: as is usual, FOREVER. `vmac`: it is on a
    VMAC of its interface and family, VrrpInstance.dev_of says which."""

    __apart__ = ("ip",)  # what mostly differs from one to another: see fastha.lean

    ip: str
    prefixlen: int = 32
    dev: str = ""
    label: str = ""
    scope: int = 0
    broadcast: str = ""
    peer: str = ""
    flags: tuple[str, ...] = ()
    preferred_s: int = NOT_SAID
    tracked: bool = True
    track_group: str = ""
    vmac: bool = False

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefixlen}"


@dataclass(frozen=True, slots=True)
class Auth:
    """`authentication`: kind "none", "pass" (RFC 2338 section 5.3.6.2) or "ah" (5.3.6.3); VRRPv2 only, at most 8
    bytes."""

    kind: str = "none"
    password: str = ""


@dataclass(frozen=True, slots=True)
class HmacKey:
    """One `key` of `auth_hmac`: its number on the wire and its 32 to 64 bytes in hex."""

    number: int
    value: str


@dataclass(frozen=True, slots=True)
class Hmac:
    """`auth_hmac`. `active`: the number of the key that signs. `mode`: "enforce", "permissive" (what is unsigned counts
    too) or "receive-only" (the same, and nothing is signed). `window_s` 0: `anti_replay monotonic`."""

    keys: tuple[HmacKey, ...]
    active: int
    mode: str = "enforce"
    window_s: int = 5


@dataclass(frozen=True, slots=True)
class Garp:
    """Policy of gratuitous ARP and neighbour advertisements. Repeats count frames per address in one block; 0 ns delays
    mean "no such block". Every `extra_ns` one frame goes out on each VMAC whose address adverts do not show, so that
    switches keep it; `extra_all`: on all other interfaces of addresses, too."""

    master_delay_ns: int = 5 * NS_PER_S
    master_repeat: int = 5
    master_refresh_ns: int = 0
    master_refresh_repeat: int = 1
    lower_prio_delay_ns: int = 5 * NS_PER_S
    lower_prio_repeat: int = 5
    interval_ns: int = 0
    gna_interval_ns: int = 0
    extra_ns: int = 0
    extra_all: bool = False


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

    __apart__ = ("name",)

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
    says_deleted: bool = False  # notify_deleted without a script: what a reload removes is DELETED, not in FAULT


@dataclass(frozen=True, slots=True)
class VrrpInstance:
    """One `vrrp_instance`. Identity across reloads is `identity`, not the name."""

    __apart__ = (
        "name", "interface", "vrid", "priority", "addresses", "excluded", "unicast_src", "unicast_peers", "auth",
        "track_virtual_servers", "track", "notify", "routes", "rules", "vmac", "address_vmacs",
    )  # fmt: skip

    name: str
    interface: str
    vrid: int
    priority: int = 100
    version: int = 2
    advert_int_ns: int = NS_PER_S
    wants_master: bool = False  # `state MASTER`
    preempt: bool = True
    preempt_delay_ns: int = 0
    addresses: tuple[VirtualAddress, ...] = ()  # in adverts, all of `family`
    excluded: tuple[VirtualAddress, ...] = ()  # `virtual_ipaddress_excluded`: of any family
    family: int = 4  # that VRRP speaks: 4 or 6
    unicast_src: str = ""
    unicast_peers: tuple[str, ...] = ()
    auth: Auth = field(default_factory=Auth)
    hmac: Hmac | None = None
    garp: Garp = field(default_factory=Garp)
    down_timer_adverts: int = 3
    track_virtual_servers: tuple[TrackVirtualServer, ...] = ()
    track: tuple[Tracker, ...] = ()  # everything else
    notify: InstanceNotify = InstanceNotify()
    smtp_alert: bool = False  # mail on changes
    notify_priority: bool = False  # FIFOs are told of another effective priority
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    promote_secondaries: bool = False
    lower_prio_no_advert: bool = False  # a master leaves adverts of lower priority unanswered
    higher_prio_send_advert: bool = False  # a master speaks once more before it yields
    owner_ignore_adverts: bool = False  # with priority 255
    kernel_rx_buf_size: int = 0  # bytes for its adverts, 0: as `vrrp_rx_bufs_policy` says
    timer_expired_priority: int = 0  # `timer_expired_backup`: the highest of the others; 0: not said

    @property
    def belongings(self) -> tuple[Belonging, ...]:
        """Routes and rules, in the order they are added."""
        return (*self.routes, *self.rules)

    vmac: Device | None = None
    address_vmacs: tuple[Device, ...] = ()  # of addresses with a VMAC of their own, one for each base and family
    vrf: bool = False  # `vrf`: `interface` is that of a VRF, for unicast
    accept: bool = True  # packets to the addresses; an owner always does
    strict_mode: bool = False  # it was held to the RFC; what that means is in the other fields
    wire: Wire = Wire()

    @property
    def carrier(self) -> str:
        """The interface of the addresses that name none: an ipvlan has its own alone, as with keepalived."""
        return self.interface if self.vmac is None or self.vmac.ipvlan else self.vmac.name

    @property
    def devices(self) -> tuple[Device, ...]:
        """All interfaces it makes."""
        return self.address_vmacs if self.vmac is None else (self.vmac, *self.address_vmacs)

    @property
    def heard_on(self) -> tuple[str, ...]:
        """Interfaces where adverts may come in."""
        return (self.interface,) if self.vmac is None else (self.interface, self.vmac.name)

    def apart(self, address: VirtualAddress) -> bool:
        """Whether an address needs a VMAC that is not that of the instance, for its interface or its family."""
        if not address.vmac or self.vmac is None or (address.dev or self.interface) != self.interface:
            return address.vmac
        # A macvlan and an ipvlan cannot be on the same interface.
        return not self.vmac.ipvlan and self.vmac.ipv6 != (":" in address.ip)

    def dev_of(self, address: VirtualAddress) -> str:
        """The interface that an address is on."""
        base = address.dev or self.interface
        if self.address_vmacs and self.apart(address):
            six = ":" in address.ip
            return next((one.name for one in self.address_vmacs if (one.base, one.ipv6) == (base, six)), base)
        return self.carrier if base == self.interface else base

    @property
    def unicast(self) -> bool:
        return bool(self.unicast_peers)

    @property
    def carried(self) -> tuple[VirtualAddress, ...]:
        """Every address a master holds."""
        return (*self.addresses, *self.excluded)

    @property
    def group(self) -> str:
        """Where multicast adverts go, RFC 9568 sections 5.1.1.2 and 5.1.2.2."""
        return self.wire.group or GROUPS[self.family]

    def longest_down_ns(self, interval_ns: int) -> int:
        """How long a link that is down may count as up while the master speaks every `interval_ns`: who hears nobody
        must be in FAULT before it would be master (keepalived.md 1.4)."""
        return max((self.down_timer_adverts - 1) * interval_ns - interval_ns // 256, 0)

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """Everything it follows."""
        servers = (Tracker("virtual_server", t.key, t.weight) for t in self.track_virtual_servers)
        return (*servers, *self.track)

    @property
    def identity(self) -> tuple[int, str, str]:
        """(VRID, interface, unicast source or the multicast group): what makes it the same virtual router. Those of
        IPv4 and IPv6 are two, RFC 9568 section 5.2.3."""
        return self.vrid, self.interface, self.unicast_src or SOMEBODY[self.family] if self.unicast else self.group
