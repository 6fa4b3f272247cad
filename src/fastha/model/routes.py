"""Routes, routing rules, and what is static: kept while the daemon runs, whoever is master."""

from __future__ import annotations

from fastha.lean import dataclass

KEEPALIVED = 18  # RTPROT_KEEPALIVED: what we watch
AUTOMATIC = -1  # a number that the kernel or the kind of route decides


@dataclass(frozen=True, slots=True)
class Encap:
    """A light-weight tunnel. `kind`: ip, ip6, mpls (`labels`) or ila (`locator`); `flags` of the tunnel header."""

    kind: str
    tunnel_id: int = AUTOMATIC
    dst: str = ""
    src: str = ""
    tos: int = AUTOMATIC
    ttl: int = AUTOMATIC
    flags: int = AUTOMATIC
    labels: tuple[int, ...] = ()
    locator: str = ""


@dataclass(frozen=True, slots=True)
class Nexthop:
    """One way of several; `realms`: (source << 16) | destination."""

    via: str = ""
    dev: str = ""
    weight: int = 1
    onlink: bool = False
    realms: int = 0
    encap: Encap | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of the route's own TCP settings, as the kernel has it; `lock`: the kernel does not learn better."""

    name: str
    value: int
    lock: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `dest`: ADDR/LEN; `operation`: "" (replace), add, append or prepend; `via` may be of another family.

    `table` 0: that of its kind, or of `vrf`. `expires_s` 0: never. `tracked`: it is watched, and its `dev` too.
    """

    __apart__ = ("dest", "via", "dev")  # what mostly differs from one to another: see fastha.lean

    family: int
    dest: str
    kind: str = "unicast"
    via: str = ""
    dev: str = ""
    src: str = ""
    source: str = ""  # `from`, IPv6
    tos: int = 0
    table: int = 0
    vrf: str = ""
    protocol: int = KEEPALIVED
    scope: int = AUTOMATIC
    metric: int = AUTOMATIC
    onlink: bool = False
    metrics: tuple[Metric, ...] = ()
    congctl: str = ""
    congctl_lock: bool = False
    expires_s: int = 0
    realms: int = 0
    pref: str = ""
    ttl_propagate: str = ""
    encap: Encap | None = None
    nexthops: tuple[Nexthop, ...] = ()
    operation: str = ""
    tracked: bool = True
    track_group: str = ""

    @property
    def devs(self) -> tuple[str, ...]:
        """Interfaces without which it cannot be."""
        return tuple(dict.fromkeys(dev for dev in (self.dev, *(n.dev for n in self.nexthops), self.vrf) if dev))

    @property
    def watched_devs(self) -> tuple[str, ...]:
        """Interfaces that must be up."""
        return (self.dev,) if self.tracked and self.dev else ()

    def __str__(self) -> str:
        table = f" table {self.table}" if self.table else ""
        return f"route {self.dest}{f' dev {self.dev}' if self.dev else ''}{table}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One routing rule. `action`: table, l3mdev, goto (`target`), nop, blackhole, unreachable or prohibit; AUTOMATIC
    numbers are not said. Ranges are (first, last); `src`, `dst`: ADDR/LEN or ""."""

    __apart__ = ("preference", "src", "dst", "table")

    family: int
    action: str
    table: int = 0
    target: int = 0
    preference: int = AUTOMATIC
    src: str = ""
    dst: str = ""
    inverted: bool = False
    tos: int = 0
    fwmark: int = AUTOMATIC
    fwmask: int = AUTOMATIC
    realms: int = 0
    suppress_prefixlength: int = AUTOMATIC
    suppress_group: int = AUTOMATIC
    iif: str = ""
    oif: str = ""
    tunnel_id: int = 0
    uids: tuple[int, ...] = ()
    protocol: int = KEEPALIVED
    ipproto: int = 0
    sports: tuple[int, ...] = ()
    dports: tuple[int, ...] = ()
    tracked: bool = True
    track_group: str = ""

    @property
    def devs(self) -> tuple[str, ...]:
        return ()  # a rule may name an interface that is not there

    @property
    def watched_devs(self) -> tuple[str, ...]:
        """Interfaces that must be up."""
        return tuple(dict.fromkeys(dev for dev in (self.iif, self.oif) if dev and self.tracked and dev != "lo"))

    def __str__(self) -> str:
        preference = "" if self.preference == AUTOMATIC else f" preference {self.preference}"
        return f"rule{preference} {self.action}{f' {self.table}' if self.table else ''}"


Belonging = Route | Rule
