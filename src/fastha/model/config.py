"""The whole configuration, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from fastha.lean import dataclass, field
from fastha.model.buffers import Buffers
from fastha.model.garp import GarpGroup
from fastha.model.group import SyncGroup
from fastha.model.link import LinkDelay
from fastha.model.lvs import VirtualServer
from fastha.model.mail import MailDefs
from fastha.model.process import Processes
from fastha.model.script import Script
from fastha.model.statics import Statics
from fastha.model.track import BfdInstance, TrackFile, TrackProcess, VrrpScript
from fastha.model.units import NS_PER_S
from fastha.model.vrrp import VrrpInstance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SyncDaemon:
    """`lvs_sync_daemon`: IPVS connection synchronisation. `instance` "": master and backup daemons both run; else the
    one that suits the named instance's state."""

    interface: str
    instance: str = ""
    sync_id: int = 0
    maxlen: int = 0  # 0: the kernel's default
    port: int = 0
    ttl: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class LvsDefs:
    """The `lvs_*` and `nftables_ipvs*` words of global_defs. Timeouts in seconds, 0: leave the kernel's."""

    timeout_tcp_s: int = 0
    timeout_tcpfin_s: int = 0
    timeout_udp_s: int = 0
    flush: bool = False  # at start: everything in the table that is not wanted goes, foreign rows included
    flush_on_stop: str = ""  # "", "all" (foreign rows too) or "VS"
    sync_daemon: SyncDaemon | None = None
    marks_table: str = ""  # nftables_ipvs: the nft table that marks the traffic of groups; "": no mapping
    marks_priority: int = -1
    marks_start: int = 1000


@dataclass(frozen=True, slots=True)
class ScriptDefs:
    """What global_defs says of scripts besides script_user. `supplementary`: all groups of their users, for every
    script (`user_supplementary`: for those of script_user); `secure`: not as root if others could change the file."""

    supplementary: bool = False
    user_supplementary: bool = False
    secure: bool = False
    startup: Script | None = None
    startup_timeout_ns: int = 10 * NS_PER_S
    shutdown: Script | None = None
    shutdown_timeout_ns: int = 10 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Fifo:
    """A notify FIFO. `what`: "all", "lvs" (virtual and real servers) or "vrrp" (instances and groups); `user`, `group`:
    its owner, "" ours; `script`: reads it, and is given its path as last argument."""

    what: str
    path: str
    user: str = ""
    group: str = ""
    script: Script | None = None


@dataclass(frozen=True, slots=True)
class FirewallDefs:
    """`nftables*` without `nftables_ipvs*`: the table for instances that do not accept packets, and for VMACs.
    `local_igmp` False: `disable_local_igmp`, membership of link-local groups is reported by nobody here."""

    table: str = "keepalived"
    priority: int = -1
    counters: bool = False
    local_igmp: bool = True


@dataclass(frozen=True, slots=True)
class GlobalDefs:
    """`global_defs` and the single-line roots that have meaning so far."""

    router_id: str = ""
    script_user: str = ""
    script_group: str = ""
    lvs: LvsDefs = LvsDefs()
    scripts: ScriptDefs = ScriptDefs()
    fifos: tuple[Fifo, ...] = ()
    reload_time_file: str = ""
    reload_repeat: bool = False
    reload_file: str = ""  # a path; "": none
    states_on_reload: bool = False  # FIFOs are told all states of instances and groups after a reload
    processes: Processes = Processes()
    address_lease_s: int = 0  # 0: none
    firewall: FirewallDefs = FirewallDefs()
    startup_delay_ns: int = 0  # of VRRP, from its start
    delay_after_boot_ns: int = 0  # the same, from the start of the machine
    log_unknown_vrids: bool = False
    buffers: Buffers = Buffers()
    mail: MailDefs = MailDefs()
    vmac_addr_prefix: str = "vrrp"  # of the names of VMACs of addresses
    garp_groups: tuple[GarpGroup, ...] = ()
    state_dump_file: str = ""  # of fastha-keepalived: NAME, DIRECTORY/ or a path; "": as usual
    data_use_instance: bool = False  # its name has that of the daemon in it
    json_version: int = 1  # shape of the JSON dump of fastha-keepalived
    rs_init_notifies: bool = False  # scripts and FIFOs are told of real servers that begin as up
    link_delays: tuple[LinkDelay, ...] = ()  # one for each interface


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the operator wants. Order is file order."""

    globals: GlobalDefs = field(default_factory=GlobalDefs)
    instances: tuple[VrrpInstance, ...] = ()
    virtual_servers: tuple[VirtualServer, ...] = ()
    track_files: tuple[TrackFile, ...] = ()
    bfds: tuple[BfdInstance, ...] = ()
    statics: tuple[Statics, ...] = ()  # none or one
    sync_groups: tuple[SyncGroup, ...] = ()
    vrrp_scripts: tuple[VrrpScript, ...] = ()
    processes: tuple[TrackProcess, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff(Generic[T]):
    """What changes between two sequences of objects with the same kind of identity."""

    added: tuple[T, ...]
    removed: tuple[T, ...]
    changed: tuple[tuple[T, T], ...]  # (old, new): same identity, other values
    unchanged: tuple[T, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff(old: Iterable[tuple[Hashable, T]], new: Iterable[tuple[Hashable, T]]) -> Diff[T]:
    """Compare two (identity, value) sequences in O(n); results keep the order of their source."""
    before, after = dict(old), dict(new)
    both = [(before[k], v) for k, v in after.items() if k in before]
    return Diff(
        added=tuple(v for k, v in after.items() if k not in before),
        removed=tuple(v for k, v in before.items() if k not in after),
        changed=tuple((a, b) for a, b in both if a != b),
        unchanged=tuple(b for a, b in both if a == b),
    )
