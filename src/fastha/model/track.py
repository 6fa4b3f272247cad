"""Things outside that others follow: files with a number in them, scripts, BFD sessions."""

from __future__ import annotations

from fastha.lean import dataclass
from fastha.model.script import Script
from fastha.model.units import NS_PER_MS, NS_PER_S


@dataclass(frozen=True, slots=True)
class TrackFile:
    """`track_file`: a file with one signed integer. `init`: None, or the value the file is made with at start if it is
    missing (`overwrite`: also if it is there)."""

    __apart__ = ("name", "path")  # what mostly differs from one to another: see fastha.lean

    name: str
    path: str
    weight: int = 0
    reverse: bool = False
    init: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VrrpScript:
    """`vrrp_script`: a command whose exit status says whether something is well. `rise`, `fall`: results in a row that
    change its state. `init_fail`: failed until it has succeeded `rise` times."""

    __apart__ = ("name", "script")

    name: str
    script: Script
    interval_ns: int = 1 * NS_PER_S
    timeout_ns: int = 1 * NS_PER_S
    rise: int = 1
    fall: int = 1
    weight: int = 0  # default of track_script
    reverse: bool = False
    init_fail: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackProcess:
    """`vrrp_track_process`: processes of this host, by name. It is up while `quorum` to `quorum_max` of them run
    (None: any number from `quorum` on). `match`: "" (the arguments are those of `argv`, if it has some), "exact",
    "partial" (they begin with those), "initial" (and the last of those may be the beginning of one)."""

    __apart__ = ("name", "argv")

    name: str
    argv: tuple[str, ...]
    match: str = ""
    full_command: bool = False  # argv[0] is compared with that of the process, not with the kernel's short name
    quorum: int = 1
    quorum_max: int | None = None
    terminate_delay_ns: int = 0  # from the loss of the quorum until it counts
    fork_delay_ns: int = 0  # from the gain
    weight: int = 0  # default of track_process
    reverse: bool = False

    @property
    def by_command(self) -> bool:
        """Whether the command line says it."""
        return self.full_command or bool(self.match) or len(self.argv) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdInstance:
    """`bfd_instance`: one session of RFC 5880 (asynchronous; RFC 5881 single hop, RFC 5883 multihop)."""

    __apart__ = ("name", "neighbor_ip", "source_ip")

    name: str
    neighbor_ip: str
    source_ip: str = ""
    min_rx_ns: int = 10 * NS_PER_MS
    min_tx_ns: int = 10 * NS_PER_MS
    idle_tx_ns: int = 1 * NS_PER_S  # between packets while not Up
    multiplier: int = 5
    ttl: int = 255
    max_hops: int = 0  # a packet is accepted if its TTL + max_hops >= ttl; 255: any
    multihop: bool = False
    passive: bool = False
    weight: int = 0  # default of track_bfd
    reverse: bool = False
    vrrp: bool = True  # who is told
    checker: bool = True
