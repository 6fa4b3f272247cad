"""`global_defs` -> what the daemon and the instances take from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastha.config import values
from fastha.config.build_answers import GLOBAL_FLAGS, read_flag
from fastha.config.build_balancer import WORDS, Balancer, read_balancer
from fastha.config.build_buffers import BUFFER_WORDS, read_buffers
from fastha.config.build_mail import MAIL_WORDS, Mail, read_mail
from fastha.config.build_notify import NOTIFY_WORDS, Notify, read_notify
from fastha.config.build_processes import KNOWN, read_process
from fastha.config.build_wire import GLOBAL_WORDS, GlobalWire, read_global_wire
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.config.words import check_words
from fastha.lean import dataclass, field, replace
from fastha.model import (
    Buffers,
    Fifo,
    FirewallDefs,
    Garp,
    GarpGroup,
    GlobalDefs,
    LinkDelay,
    LvsDefs,
    MailDefs,
    Processes,
)
from fastha.model.units import NS_PER_S

# keyword (without the vrrp_ of global_defs) -> field of Garp, how it is read
GARP = {
    "garp_master_delay": ("master_delay_ns", values.whole_seconds_ns),
    "garp_master_repeat": ("master_repeat", values.number),
    "garp_master_refresh": ("master_refresh_ns", values.whole_seconds_ns),
    "garp_master_refresh_repeat": ("master_refresh_repeat", values.number),
    "garp_lower_prio_delay": ("lower_prio_delay_ns", values.whole_seconds_ns),
    "garp_lower_prio_repeat": ("lower_prio_repeat", values.number),
}
TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_/\\.-]{0,250}")
RELOAD_FILE = "/run/fastha/keepalived.reload"  # of `reload_file` without a path
# What vrrp_min_garp makes of fields that global_defs does not set.
MIN_GARP = {"master_delay_ns": 0, "master_repeat": 1, "master_refresh_ns": 0, "master_refresh_repeat": 1}


@dataclass(slots=True)
class Globals:
    """`global_defs` as far as it has meaning. `garp` holds only the fields that are set."""

    router_id: str = ""
    script_user: str = ""
    script_group: str = ""
    version: int = 2
    down_timer_adverts: int = 3
    min_garp: bool = False
    garp_interval_ns: int = 0
    gna_interval_ns: int = 0
    garp: dict[str, int] | None = None
    masquerade: bool = True
    vmac_prefix: str = "vrrp"
    vmac_addr_prefix: str = ""  # as vmac_prefix
    firewall: FirewallDefs = FirewallDefs()
    reload_time_file: str = ""
    reload_repeat: bool = False
    reload_file: str = ""
    log_all_failures: bool = False
    notify_priority: bool = False
    states_on_reload: bool = False
    default_interface: str = "eth0"
    processes: Processes = Processes()
    address_lease_s: int = 0
    wire: GlobalWire = field(default_factory=GlobalWire)
    balancer: Balancer = field(default_factory=Balancer)
    notify: Notify = field(default_factory=Notify)
    answers: dict[str, bool] = field(default_factory=dict)  # what is set, without vrrp_
    startup_delay_ns: int = 0
    delay_after_boot_ns: int = 0
    log_unknown_vrids: bool = False
    strict: bool = False
    iproute_usr_dir: str = ""
    iproute_etc_dir: str = ""
    buffers: Buffers = Buffers()
    mail: Mail = field(default_factory=Mail)
    state_dump_file: str = ""
    data_use_instance: bool = False
    json_version: int = 1
    rs_init_notifies: bool = False

    def defs(
        self,
        lvs: LvsDefs,
        fifos: tuple[Fifo, ...],
        mail: MailDefs,
        garp_groups: tuple[GarpGroup, ...],
        link_delays: tuple[LinkDelay, ...],
    ) -> GlobalDefs:
        return GlobalDefs(
            self.router_id,
            self.script_user,
            self.script_group,
            lvs,
            self.notify.defs,
            fifos,
            self.reload_time_file,
            self.reload_repeat,
            self.reload_file,
            self.states_on_reload,
            self.processes,
            self.address_lease_s,
            self.firewall,
            self.startup_delay_ns,
            self.delay_after_boot_ns,
            self.log_unknown_vrids,
            self.buffers,
            mail,
            self.vmac_addr_prefix or self.vmac_prefix,
            garp_groups,
            self.state_dump_file,
            self.data_use_instance,
            self.json_version,
            self.rs_init_notifies,
            link_delays,
        )

    def garp_with(self, own: dict[str, int]) -> Garp:
        """An instance's policy: its own settings over these. Lower-priority values that nothing sets follow the global
        master values, not the instance's own (as keepalived, observed)."""
        fields: dict[str, Any] = dict(MIN_GARP) if self.min_garp else {}
        fields |= self.garp or {}
        for name in ("delay_ns", "repeat"):
            if f"master_{name}" in fields:
                fields.setdefault(f"lower_prio_{name}", fields[f"master_{name}"])
        return Garp(interval_ns=self.garp_interval_ns, gna_interval_ns=self.gna_interval_ns, **(fields | own))


def build_globals(block: Sequence[Statement], into: Globals, faults: Faults) -> None:
    """Read one `global_defs`; several add up."""
    for item in items(block, "global_defs", faults):
        words = item.statement.words
        match item.name:
            case "router_id":
                into.router_id = words[1]
            case "script_user":
                into.script_user, into.script_group, wide = values.owner_and_groups(words[1:])
                into.notify.defs = replace(into.notify.defs, user_supplementary=wide)
            case "vrrp_version":
                into.version = values.number(item, faults) or into.version
            case "address_lease":
                into.address_lease_s = values.number(item, faults) or 0
            case "default_interface":
                into.default_interface = values.interface(item.statement, 1, faults) or into.default_interface
            case "vrrp_down_timer_adverts":
                into.down_timer_adverts = values.number(item, faults) or into.down_timer_adverts
            case "vrrp_garp_interval":
                into.garp_interval_ns = values.seconds_ns(item, faults) or 0
            case "vrrp_gna_interval":
                into.gna_interval_ns = values.seconds_ns(item, faults) or 0
            case "vrrp_startup_delay":
                into.startup_delay_ns = values.seconds_ns(item, faults) or 0
            case "vrrp_delay_after_boot":
                into.delay_after_boot_ns = values.seconds_ns(item, faults) or 0
            case "log_unknown_vrids":
                into.log_unknown_vrids = True
            case "iproute_usr_dir" | "iproute_etc_dir":
                setattr(into, item.name, words[1])
            case "json_version":
                into.json_version = values.number(item, faults) or 1
            case "disable_local_igmp":
                into.firewall = replace(into.firewall, local_igmp=False)
            case "state_dump_file":
                into.state_dump_file = words[1]
            case "data_use_instance":
                into.data_use_instance = bool(values.boolean(item, faults))
            case "rs_init_notifies":
                into.rs_init_notifies = bool(values.boolean(item, faults))
            case "vrrp_strict":
                into.strict = bool(values.boolean(item, faults))
            case name if name in BUFFER_WORDS:
                into.buffers = read_buffers(item, into.buffers, faults)
            case name if name in GLOBAL_FLAGS:
                read_flag(item, into.answers, faults)
            case "vrrp_min_garp":
                into.min_garp = bool(values.boolean(item, faults))
            case "vrrp_notify_priority_changes":
                into.notify_priority = bool(values.boolean(item, faults))
            case "fifo_write_vrrp_states_on_reload":
                into.states_on_reload = True
            case "checker_log_all_failures":
                into.log_all_failures = bool(values.boolean(item, faults))
            case "include_check" | "random_seed":
                check_words(item, faults)  # the reader has obeyed it
            case "nft_masquerade":
                into.masquerade = values.boolean(item, faults) is not False
            case "nftables" | "nftables_priority" | "nftables_counters":
                into.firewall = _firewall(item, into.firewall, faults)
            case "vmac_prefix":
                into.vmac_prefix = words[1]
            case "vmac_addr_prefix":
                into.vmac_addr_prefix = words[1]
            case "reload_time_file":
                into.reload_time_file = words[1]
            case "reload_repeat":
                into.reload_repeat = True
            case "reload_file":
                into.reload_file = words[1] if len(words) > 1 else RELOAD_FILE
            case name if name in KNOWN:
                into.processes = read_process(item, into.processes, faults)
            case name if name in NOTIFY_WORDS:
                read_notify(item, into.notify, faults)
            case name if name in MAIL_WORDS:
                read_mail(item, into.mail, faults)
            case name if name in GLOBAL_WORDS:
                read_global_wire(item, into.wire, faults)
            case name if name in WORDS:
                read_balancer(item, into.balancer, faults)
            case _:
                into.garp = into.garp or {}
                read_garp(item, into.garp, faults)


def _firewall(item: Item, before: FirewallDefs, faults: Faults) -> FirewallDefs:
    statement = item.statement
    match item.name:
        case "nftables_counters":
            return replace(before, counters=True)
        case "nftables_priority":
            priority = values.number(item, faults)
            return before if priority is None else replace(before, priority=priority)
    name = statement.words[1] if len(statement.words) > 1 else before.table
    if not TABLE_NAME.fullmatch(name):
        faults.error(statement.place(1), f"'{shown(name)}' is not a name for a table of nftables")
        return before
    return replace(before, table=name)


def read_garp(item: Item, into: dict[str, int], faults: Faults) -> None:
    """One garp_* keyword, of an instance or (with vrrp_ before it) of global_defs."""
    if item.name.endswith("garp_extra_if"):
        _garp_extra(item, into, faults)
        return
    field, read = GARP[item.name.removeprefix("vrrp_")]
    value = read(item, faults)
    if value is not None:
        into[field] = value


def _garp_extra(item: Item, into: dict[str, int], faults: Faults) -> None:
    """[all] SECONDS; 0: never."""
    before = len(faults)
    check_words(item, faults)
    if len(faults) == before:
        words = item.statement.words
        into["extra_ns"] = int(words[-1]) * NS_PER_S
        into["extra_all"] = words[1] == "all" and into["extra_ns"] > 0
