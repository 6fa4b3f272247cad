"""VrrpInstance -> `vrrp_instance`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from fastha.config.build_vrrp import NOTIFY
from fastha.config.dump_words import Page, script, seconds, word
from fastha.config.line import SCOPES
from fastha.model import Garp, SyncGroup, Tracker, TrackVirtualServer, VirtualAddress, VirtualServer, VrrpInstance
from fastha.model.units import NS_PER_S

SCOPE_NAMES = {number: name for name, number in reversed(SCOPES.items())}


def dump_instance(instance: VrrpInstance, servers: Iterable[VirtualServer], page: Page) -> None:
    with page.block("vrrp_instance", word(instance.name)):
        page.say("state", "MASTER" if instance.wants_master else "BACKUP")
        page.say("interface", word(instance.interface))
        page.say("virtual_router_id", instance.vrid)
        page.say("priority", instance.priority)
        page.say("version", instance.version)
        page.say("advert_int", seconds(instance.advert_int_ns))
        if not instance.preempt:
            page.say("nopreempt")
        if instance.preempt_delay_ns:
            page.say("preempt_delay", seconds(instance.preempt_delay_ns))
        page.unless(3, "down_timer_adverts", instance.down_timer_adverts)
        _garp(instance.garp, page)
        if instance.unicast_src:
            page.say("unicast_src_ip", instance.unicast_src)
        if instance.unicast_peers:
            with page.block("unicast_peer"):
                for peer in instance.unicast_peers:
                    page.say(peer)
        if instance.auth.kind == "pass":
            with page.block("authentication"):
                page.say("auth_type", "PASS")
                page.secret("auth_pass", instance.auth.password)
        if instance.track_virtual_servers:
            by_key = {server.key: server for server in servers}
            with page.block("track_virtual_server"):
                for tracked in instance.track_virtual_servers:
                    page.say(_tracked(tracked, by_key.get(tracked.key)))
        _track(instance.track, page)
        for keyword, field in NOTIFY.items():
            if (command := getattr(instance.notify, field)) is not None:
                page.say(keyword, script(command))
        page.flag("notify_priority_changes", instance.notify_priority)
        if instance.addresses:
            with page.block("virtual_ipaddress"):
                for address in instance.addresses:
                    page.say(_address(address))


def dump_sync_group(group: SyncGroup, page: Page) -> None:
    """What it tracks is said by its members."""
    with page.block("vrrp_sync_group", word(group.name)):
        with page.block("group"):
            for member in group.members:
                page.say(word(member))
        if group.tracking_weight:
            page.say("sync_group_tracking_weight")
        for keyword, field in NOTIFY.items():
            if (command := getattr(group.notify, field)) is not None:
                page.say(keyword, script(command))


def _track(trackers: tuple[Tracker, ...], page: Page) -> None:
    """Other things it follows, in their order; what has no weight of its own would take that of the definition."""
    for kind, group in groupby(trackers, key=lambda tracker: tracker.kind):
        with page.block(f"track_{kind}"):
            for tracker in group:
                page.say(word(tracker.name), "weight", tracker.weight, *(["reverse"] if tracker.reverse else []))


def _garp(garp: Garp, page: Page) -> None:
    default = Garp()
    for keyword, value, normal in (
        ("garp_master_delay", garp.master_delay_ns, default.master_delay_ns),
        ("garp_master_refresh", garp.master_refresh_ns, default.master_refresh_ns),
        ("garp_lower_prio_delay", garp.lower_prio_delay_ns, default.lower_prio_delay_ns),
    ):
        page.unless(normal, keyword, value, value // NS_PER_S)
    page.unless(default.master_repeat, "garp_master_repeat", garp.master_repeat)
    page.unless(default.master_refresh_repeat, "garp_master_refresh_repeat", garp.master_refresh_repeat)
    page.unless(default.lower_prio_repeat, "garp_lower_prio_repeat", garp.lower_prio_repeat)


def _address(address: VirtualAddress) -> str:
    dev = f" dev {word(address.dev)}" if address.dev else ""
    label = f" label {word(address.label)}" if address.label else ""
    scope = f" scope {SCOPE_NAMES.get(address.scope, address.scope)}" if address.scope else ""
    return f"{address}{dev}{label}{scope}"


def _tracked(tracked: TrackVirtualServer, server: VirtualServer | None) -> str:
    weight = f" weight {tracked.weight}" if tracked.weight else ""
    if server is None:  # cannot be in a configuration that runs
        return f"{tracked.key}{weight}"
    if server.group:
        return f"group {word(server.group)} {server.protocol}{weight}"
    if server.fwmark:
        return f"fwmark {server.fwmark} {server.family}{weight}"
    return f"{server.ip} {server.port} {server.protocol}{weight}"
