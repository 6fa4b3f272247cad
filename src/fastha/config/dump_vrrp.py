"""VrrpInstance -> `vrrp_instance`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from fastha.config.build_answers import FLAGS
from fastha.config.build_strict import ANSWERS, LOWER
from fastha.config.build_vmac import virtual_mac
from fastha.config.build_vrrp import NOTIFY
from fastha.config.dump_routes import address_line, dump_lines, route_line, rule_line
from fastha.config.dump_words import HIDDEN, Page, script, seconds, word
from fastha.model import Garp, Hmac, SyncGroup, Tracker, TrackVirtualServer, VirtualServer, VrrpInstance
from fastha.model.units import NS_PER_S
from fastha.model.wire import TTL, PeerTtl, Wire


def dump_instance(instance: VrrpInstance, servers: Iterable[VirtualServer], page: Page) -> None:
    with page.block("vrrp_instance", word(instance.name)):
        page.say("state", "MASTER" if instance.wants_master else "BACKUP")
        page.say("vrf" if instance.vrf else "interface", word(instance.interface))
        page.say("virtual_router_id", instance.vrid)
        page.say("priority", instance.priority)
        page.say("version", instance.version)
        page.say("advert_int", seconds(instance.advert_int_ns))
        if not instance.preempt:
            page.say("nopreempt")
        if instance.preempt_delay_ns:
            page.say("preempt_delay", seconds(instance.preempt_delay_ns))
        page.unless(3, "down_timer_adverts", instance.down_timer_adverts)
        if instance.timer_expired_priority:
            page.say("timer_expired_backup", instance.timer_expired_priority)
        page.flag("strict_mode", instance.strict_mode)
        for keyword in FLAGS:
            if not (instance.strict_mode and keyword in ANSWERS):
                page.flag(keyword, getattr(instance, keyword))
        _garp(instance.garp, page, instance.strict_mode)
        if instance.accept is not (not instance.strict_mode or instance.priority == 255):
            page.say("accept" if instance.accept else "no_accept")
        if (vmac := instance.vmac) is not None:
            group = ["group", vmac.group] if vmac.group >= 0 else []
            mac = [vmac.mac] if vmac.mac not in ("", virtual_mac(instance.vrid, vmac.ipv6)) else []
            if vmac.ipvlan:
                own = [vmac.own] if vmac.own else []
                page.say("use_ipvlan", "name", word(vmac.name), *own, vmac.ipvlan, *group)
            else:
                page.say("use_vmac", "name", word(vmac.name), *mac, *group)
            if vmac.xmit_base:
                page.say("vmac_xmit_base")
            if vmac.staged:
                page.say("staged_addresses")
        if instance.unicast_src:
            page.say("unicast_src_ip", instance.unicast_src)
        if instance.unicast_peers:
            with page.block("unicast_peer"):
                bounds = {one.ip: one for one in instance.wire.bounds}
                for peer in instance.unicast_peers:
                    page.say(peer, *_bounds(bounds.get(peer)))
        if instance.unicast:
            page.unless(TTL, "unicast_ttl", instance.wire.ttl)
        _wire(instance.wire, page)
        if instance.hmac is not None:
            _hmac(instance.hmac, page)
        if instance.auth.kind != "none":
            with page.block("authentication"):
                page.say("auth_type", instance.auth.kind.upper())
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
        if instance.notify.says_deleted and instance.notify.deleted is None:
            page.say("notify_deleted")
        page.flag("smtp_alert", instance.smtp_alert)
        page.flag("notify_priority_changes", instance.notify_priority)
        if not instance.addresses:
            page.say("no_virtual_ipaddress")
            if instance.family == 6:
                page.say("native_ipv6")
        else:
            with page.block("virtual_ipaddress"):
                for address in instance.addresses:
                    page.say(address_line(address))
        if instance.excluded:
            with page.block("virtual_ipaddress_excluded"):
                for address in instance.excluded:
                    page.say(address_line(address))
        page.unless(0, "kernel_rx_buf_size", instance.kernel_rx_buf_size)
        if instance.promote_secondaries:
            page.say("promote_secondaries")
        dump_lines("virtual_routes", [route_line(route) for route in instance.routes], page)
        dump_lines("virtual_rules", [rule_line(rule) for rule in instance.rules], page)


def _bounds(bounds: PeerTtl | None) -> list[str | int]:
    if bounds is None:
        return []
    low: list[str | int] = ["min_ttl", bounds.low] if bounds.low else []
    return [*low, "max_ttl", bounds.high]


def _wire(wire: Wire, page: Page) -> None:
    for keyword, ip in (("mcast_src_ip", wire.source), ("mcast_dst_ip", wire.group)):
        if ip:
            page.say(keyword, ip)
    for keyword, said in (
        ("check_unicast_src", wire.listed and not wire.bounds),
        ("unicast_fault_no_peer", wire.lacks_peer),
        ("skip_check_adv_addr", wire.trusting),
        ("v3_checksum_as_v2", wire.plain_sum),
        ("old_unicast_checksum", wire.old_sum),
        ("track_src_ip", wire.track_source),
        ("dont_track_primary", not wire.track_primary),
    ):
        if said:
            page.say(keyword)


def _hmac(hmac: Hmac, page: Page) -> None:
    with page.block("auth_hmac"):
        for key in hmac.keys:  # what is hidden has the length of a key, so that it reads back
            page.say("key", key.number, f"hex:{key.value}" if page.secrets else 4 * HIDDEN)
        page.say("active_key", hmac.active)
        page.unless("enforce", "mode", hmac.mode)
        if hmac.window_s:
            page.say("time_window", hmac.window_s)
        else:
            page.say("anti_replay", "monotonic")


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
        page.flag("smtp_alert", group.smtp_alert)


def _track(trackers: tuple[Tracker, ...], page: Page) -> None:
    """Other things it follows, in their order; what has no weight of its own would take that of the definition."""
    for kind, group in groupby(trackers, key=lambda tracker: tracker.kind):
        with page.block(f"track_{kind}"):
            for tracker in group:
                page.say(word(tracker.name), "weight", tracker.weight, *(["reverse"] if tracker.reverse else []))


def _garp(garp: Garp, page: Page, strict: bool) -> None:
    default = Garp()
    for keyword, value, normal in (
        ("garp_master_delay", garp.master_delay_ns, default.master_delay_ns),
        ("garp_master_refresh", garp.master_refresh_ns, default.master_refresh_ns),
        ("garp_lower_prio_delay", garp.lower_prio_delay_ns, default.lower_prio_delay_ns),
    ):
        if not (strict and keyword in LOWER):
            page.unless(normal, keyword, value, value // NS_PER_S)
    page.unless(default.master_repeat, "garp_master_repeat", garp.master_repeat)
    page.unless(default.master_refresh_repeat, "garp_master_refresh_repeat", garp.master_refresh_repeat)
    if not strict:
        page.unless(default.lower_prio_repeat, "garp_lower_prio_repeat", garp.lower_prio_repeat)
    extra = f"{'all ' if garp.extra_all else ''}{garp.extra_ns // NS_PER_S}"
    page.unless(default.extra_ns, "garp_extra_if", garp.extra_ns, extra)


def _tracked(tracked: TrackVirtualServer, server: VirtualServer | None) -> str:
    weight = f" weight {tracked.weight}" if tracked.weight else ""
    if server is None:  # cannot be in a configuration that runs
        return f"{tracked.key}{weight}"
    if server.group:
        return f"group {word(server.group)} {server.protocol}{weight}"
    if server.fwmark:
        return f"fwmark {server.fwmark} {server.family}{weight}"
    return f"{server.ip} {server.port} {server.protocol}{weight}"
