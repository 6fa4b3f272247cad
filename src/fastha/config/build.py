"""Statement tree -> model. Reports every fault it can find; the model holds what could be built.

Order in the file does not matter: `global_defs` counts for every instance, and a virtual server may be tracked before
it is defined. A model that comes with an ERROR is for showing, never for running.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from fastha.config import iproute
from fastha.config.alike import Alike
from fastha.config.build_balancer import settle_balancer
from fastha.config.build_bfd import build_bfds, check_bfd_checks
from fastha.config.build_delays import build_link_delays
from fastha.config.build_file import build_track_files
from fastha.config.build_garp import build_garp_groups
from fastha.config.build_globals import Globals, build_globals
from fastha.config.build_group import build_groups, warn_unused
from fastha.config.build_lvs import build_virtual_server
from fastha.config.build_processes import KNOWN, read_process
from fastha.config.build_scripts import build_vrrp_scripts
from fastha.config.build_statics import build_statics
from fastha.config.build_sync import build_sync_groups
from fastha.config.build_tls import build_ssl_block, with_material
from fastha.config.build_track_process import build_track_processes
from fastha.config.build_trackers import Known
from fastha.config.build_vmac import with_names
from fastha.config.build_vrrp import build_instance
from fastha.config.crosscheck import check_instances, check_services, check_sync, check_virtual_servers
from fastha.config.inherit import Timing
from fastha.config.mould import Cast, CastValues
from fastha.config.placed import Built
from fastha.config.references import check_references
from fastha.config.top import Top
from fastha.config.tree import EnoughFaults, Faults, Tree
from fastha.config.warnings import advise
from fastha.errors import Fault
from fastha.model import Config, Tls

if TYPE_CHECKING:
    from fastha.config.warnings_host import Host


def build(tree: Tree, host: Host | None = None, *, values: CastValues = Cast) -> tuple[Config, tuple[Fault, ...]]:
    """The configuration that `tree` means, and all faults: those of reading first, then in file order of the blocks.
    `host`: also compare it with this machine. `values`: what makes values that are like others (config.mould)."""
    faults, config = Faults(tree.faults), Config()
    if tree.complete:
        with suppress(EnoughFaults):
            config = _build(tree, host, values, faults)
    return config, in_order(faults, tree.files)


def _build(tree: Tree, host: Host | None, values: CastValues, faults: Faults) -> Config:
    top = Top(tree.statements, faults)
    globals_ = Globals()
    for item in top:
        if item.name == "global_defs":
            build_globals(item.statement.block or [], globals_, faults)
        elif item.name in KNOWN:
            globals_.processes = read_process(item, globals_.processes, faults)
    with iproute.folders(globals_.iproute_usr_dir, globals_.iproute_etc_dir):
        return _config(tree, top, globals_, host, values, faults)


def _config(tree: Tree, top: Top, globals_: Globals, host: Host | None, values: CastValues, faults: Faults) -> Config:
    """All of it, `global_defs` being known."""
    files = build_track_files(top.named("track_file"), faults)
    above = Timing(log_all_failures=globals_.log_all_failures, files=files)
    bfds = build_bfds(top.named("bfd_instance"), faults)
    groups = build_groups(top.named("virtual_server_group"), faults)
    alike = Alike(values)
    drafts = (
        build_virtual_server(item, groups, globals_.masquerade, globals_.mail, faults, alike, above)
        for item in top.named("virtual_server")
    )
    built = [b for b in drafts if b]
    warn_unused(groups, faults)
    ssl = build_ssl_block(top.named("SSL"), faults)
    if ssl != Tls():
        built = [Built(with_material(b.value, ssl), b.spot) for b in built]
    servers = check_virtual_servers(built, faults)
    check_bfd_checks(built, bfds, faults)
    valid = [b for b in built if servers[b.value.key] is b.value]
    check_services(valid, bool(globals_.balancer.defs.marks_table), faults)
    scripts = build_vrrp_scripts(top.named("vrrp_script"), faults)
    processes = build_track_processes(top.named("vrrp_track_process"), faults)
    known = Known(bfds, scripts, files, processes)
    instances = [
        i for item in top.named("vrrp_instance") if (i := build_instance(item, globals_, servers, known, faults))
    ]
    instances = with_names(instances, globals_.vmac_prefix, globals_.vmac_addr_prefix or globals_.vmac_prefix, faults)
    sync_groups = build_sync_groups(top.named("vrrp_sync_group"), instances, known, globals_.mail, faults)
    check_instances(instances, faults)
    check_references(tree.statements, faults)
    advise(tree.statements, instances, valid, faults)
    if host is not None:
        from fastha.config import warnings_host

        warnings_host.advise(instances, valid, host, faults)
    lvs = settle_balancer(globals_.balancer, [i.value for i in instances], faults)
    if globals_.balancer.daemon_at is not None and lvs.sync_daemon is not None:
        check_sync(globals_.balancer.daemon_at.place(), servers.values(), faults)
    statics = build_statics(top, globals_.default_interface, frozenset(i.value.name for i in instances), faults)
    garp_groups = build_garp_groups(
        top.named("garp_group"), globals_.garp_interval_ns, globals_.gna_interval_ns, faults
    )
    delays = build_link_delays(top.named("interface_up_down_delays"), instances, faults)
    defs = globals_.defs(lvs, globals_.notify.settle(faults), globals_.mail.settle(faults), garp_groups, delays)
    return Config(
        globals=defs,
        instances=tuple(i.value for i in instances),
        virtual_servers=tuple(servers.values()),
        track_files=tuple(files.values()),
        bfds=tuple(bfds.values()),
        statics=statics,
        sync_groups=sync_groups,
        vrrp_scripts=tuple(scripts.values()),
        processes=tuple(processes.values()),
    )


def in_order(faults: Faults, files: list[str]) -> tuple[Fault, ...]:
    """Faults in the order of the text: by file as read, then line and column."""
    rank = {name: i for i, name in reversed(list(enumerate(files)))}
    unknown = len(rank)
    out = faults.told()
    # Three times, and each keeps the order of the one before: no tuple for each of them.
    out.sort(key=lambda f: f.column)
    out.sort(key=lambda f: f.line)
    out.sort(key=lambda f: rank.get(f.file, unknown))
    places = groupby(out, key=lambda f: (f.file, f.line, f.column))
    return tuple(fault for _, here in places for fault in dict.fromkeys(here))
