"""Model -> keepalived.conf text: the effective configuration. Pure.

`build(read(dump(config)))` gives `config` again, for every configuration that `build` can give; definitions, includes
and inheritance are resolved.
"""

from __future__ import annotations

from fastha.config.build_buffers import SIZED
from fastha.config.build_processes import FIELDS, ROLES
from fastha.config.dump_lvs import dump_group, dump_virtual_server
from fastha.config.dump_mail import dump_mail
from fastha.config.dump_routes import delay_lines, dump_lines, dump_statics
from fastha.config.dump_track import (
    common_ca,
    dump_bfd,
    dump_ssl,
    dump_track_file,
    dump_track_process,
    dump_vrrp_script,
)
from fastha.config.dump_vrrp import dump_instance, dump_sync_group
from fastha.config.dump_words import Page, owner, script, seconds, word
from fastha.model import (
    AdvertBuffers,
    Buffers,
    Config,
    Fifo,
    FirewallDefs,
    GarpGroup,
    GlobalDefs,
    LvsDefs,
    Processes,
    ScriptDefs,
)
from fastha.model.units import NS_PER_S


def dump(config: Config, full: bool = False, secrets: bool = True) -> str:
    """The text. `full`: defaults too; without `secrets` passwords are hidden, and the text reads back without them."""
    page = Page(full, secrets)
    page.ca = common_ca(config)
    _globals(config, page)
    dump_ssl(config, page)
    for track_file in config.track_files:
        page.gap()
        dump_track_file(track_file, page)
    for bfd in config.bfds:
        page.gap()
        dump_bfd(bfd, page)
    for statics in config.statics:
        page.gap()
        dump_statics(statics, page)
    for vrrp_script in config.vrrp_scripts:
        page.gap()
        dump_vrrp_script(vrrp_script, page)
    for track_process in config.processes:
        page.gap()
        dump_track_process(track_process, page)
    for instance in config.instances:
        page.gap()
        dump_instance(instance, config.virtual_servers, page)
    for sync_group in config.sync_groups:
        page.gap()
        dump_sync_group(sync_group, page)
    groups = {server.group: server for server in config.virtual_servers if server.group}
    for name, server in groups.items():
        page.gap()
        dump_group(name, server.members, page)
    for server in config.virtual_servers:
        page.gap()
        dump_virtual_server(server, page)
    return "".join(f"{line}\n" for line in page.lines)


def _globals(config: Config, page: Page) -> None:
    defs = config.globals
    # One interface has one rhythm: it is a word of global_defs alone.
    interval_ns = max((i.garp.interval_ns for i in config.instances), default=0)
    with page.block("global_defs"):
        if defs.router_id:
            page.say("router_id", word(defs.router_id))
        if defs.script_user or defs.script_group:
            page.say("script_user", owner(defs.script_user, defs.script_group, defs.scripts.user_supplementary))
        _scripts(defs.scripts, page)
        _processes(defs.processes, page)
        if defs.address_lease_s:
            page.say("address_lease", defs.address_lease_s)
        for fifo in defs.fifos:
            _fifo(fifo, page)
        if interval_ns:
            page.say("vrrp_garp_interval", seconds(interval_ns))
        if gna_interval_ns := max((i.garp.gna_interval_ns for i in config.instances), default=0):
            page.say("vrrp_gna_interval", seconds(gna_interval_ns))
        if defs.startup_delay_ns:
            page.say("vrrp_startup_delay", seconds(defs.startup_delay_ns))
        if defs.delay_after_boot_ns:
            page.say("vrrp_delay_after_boot", seconds(defs.delay_after_boot_ns))
        prefix = defs.vmac_addr_prefix
        page.unless(GlobalDefs().vmac_addr_prefix, "vmac_addr_prefix", prefix, word(prefix))
        if defs.log_unknown_vrids:
            page.say("log_unknown_vrids")
        _buffers(defs.buffers, page)
        if defs.state_dump_file:
            page.say("state_dump_file", word(defs.state_dump_file))
        page.flag("data_use_instance", defs.data_use_instance)
        page.flag("rs_init_notifies", defs.rs_init_notifies)
        page.unless(1, "json_version", defs.json_version)
        if defs.reload_time_file:
            page.say("reload_time_file", word(defs.reload_time_file))
        if defs.reload_repeat:
            page.say("reload_repeat")
        if defs.reload_file:
            page.say("reload_file", word(defs.reload_file))
        if defs.states_on_reload:
            page.say("fifo_write_vrrp_states_on_reload")
        page.unless(FirewallDefs().table, "nftables", defs.firewall.table)
        page.unless(FirewallDefs().priority, "nftables_priority", defs.firewall.priority)
        if defs.firewall.counters:
            page.say("nftables_counters")
        if not defs.firewall.local_igmp:
            page.say("disable_local_igmp")
        dump_mail(defs.mail, page)
        _balancer(defs.lvs, page)
    if page.lines[-2].endswith("{"):
        del page.lines[-2:]
    _daemon(defs.processes, page)
    for keyword, lines in delay_lines(config):
        page.gap()
        dump_lines(keyword, lines, page)
    for group in defs.garp_groups:
        page.gap()
        dump_garp_group(group, page)


def _buffers(buffers: Buffers, page: Page) -> None:
    for name in SIZED:
        buffer = getattr(buffers, name)
        if buffer.size:
            page.say(f"{name}_rcv_bufs", buffer.size)
        page.flag(f"{name}_rcv_bufs_force", buffer.force)
    adverts = buffers.adverts
    if adverts.policy:
        page.say("vrrp_rx_bufs_policy", adverts.size or adverts.policy.upper())
    page.unless(AdvertBuffers().multiplier, "vrrp_rx_bufs_multiplier", adverts.multiplier)


def dump_garp_group(group: GarpGroup, page: Page) -> None:
    """Both intervals, which might else be those of global_defs."""
    with page.block("garp_group"):
        page.say("garp_interval", seconds(group.interval_ns))
        page.say("gna_interval", seconds(group.gna_interval_ns))
        with page.block("interfaces"):
            for name in group.interfaces:
                page.say(word(name))


def _processes(processes: Processes, page: Page) -> None:
    if processes.name:
        page.say("process_name", word(processes.name))
    if processes.names:
        page.say("process_names")
    for role in ROLES:
        defs = processes.of(role)
        for behind, field in FIELDS.items():
            value = getattr(defs, field)
            if value is True:
                page.say(f"{role}_{behind}")
            elif value:
                text = word(value) if field == "name" else " ".join(map(str, value)) if field == "cpus" else value
                page.say(f"{role}_{behind}", text)
    default = Processes()
    page.unless(default.auto_priority, "max_auto_priority", processes.auto_priority)
    page.unless(default.auto_delay_us, "min_auto_priority_delay", processes.auto_delay_us)
    if processes.umask >= 0:
        page.say("umask", f"0{processes.umask:o}")


def _daemon(processes: Processes, page: Page) -> None:
    """Words of the top level."""
    for keyword, name in (("net_namespace", processes.namespace), ("instance", processes.instance)):
        if name:
            page.say(keyword, word(name))
    if processes.ipvs_namespace is not None:
        page.say("net_namespace_ipvs", word(processes.ipvs_namespace) if processes.ipvs_namespace else "")
    if processes.pid_dir:
        page.say("use_pid_dir")
    page.unless(Processes().child_wait_s, "child_wait_time", processes.child_wait_s)


def _scripts(scripts: ScriptDefs, page: Page) -> None:
    page.flag("set_supplementary_groups", scripts.supplementary)
    if scripts.secure:
        page.say("enable_script_security")
    for name, value, timeout_ns in (
        ("startup_script", scripts.startup, scripts.startup_timeout_ns),
        ("shutdown_script", scripts.shutdown, scripts.shutdown_timeout_ns),
    ):
        if value is not None:
            page.say(name, script(value))
        page.unless(10 * NS_PER_S, f"{name}_timeout", timeout_ns, timeout_ns // NS_PER_S)


def _fifo(fifo: Fifo, page: Page) -> None:
    keyword = {"all": "notify_fifo", "vrrp": "vrrp_notify_fifo", "lvs": "lvs_notify_fifo"}[fifo.what]
    page.say(keyword, word(fifo.path), owner(fifo.user, fifo.group))
    if fifo.script is not None:
        page.say(f"{keyword}_script", script(fifo.script))


def _balancer(lvs: LvsDefs, page: Page) -> None:
    timeouts = {"tcp": lvs.timeout_tcp_s, "tcpfin": lvs.timeout_tcpfin_s, "udp": lvs.timeout_udp_s}
    if any(timeouts.values()):
        page.say("lvs_timeouts", *(f"{name} {value}" for name, value in timeouts.items() if value))
    if lvs.flush:
        page.say("lvs_flush")
    if lvs.flush_on_stop:
        page.say("lvs_flush_on_stop", *(["VS"] if lvs.flush_on_stop == "VS" else []))
    if daemon := lvs.sync_daemon:
        instance = ["inst", word(daemon.instance)] if daemon.instance else []
        numbers = {"maxlen": daemon.maxlen, "port": daemon.port, "ttl": daemon.ttl, "group": daemon.group}
        options = [f"{name} {value}" for name, value in numbers.items() if value]
        page.say("lvs_sync_daemon", word(daemon.interface), *instance, "id", daemon.sync_id, *options)
    if lvs.marks_table:
        page.say("nftables_ipvs", word(lvs.marks_table))
    for keyword, value, default in (
        ("nftables_ipvs_priority", lvs.marks_priority, LvsDefs().marks_priority),
        ("nftables_ipvs_start_fwmark", lvs.marks_start, LvsDefs().marks_start),
    ):
        if value != default or (page.full and lvs.marks_table):
            page.say(keyword, value)
