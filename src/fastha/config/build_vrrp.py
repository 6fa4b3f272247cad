"""`vrrp_instance` -> VrrpInstance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastha.config import values
from fastha.config.addresses import build_addresses, build_peers
from fastha.config.build_answers import FLAGS, read_flag, rival_priority
from fastha.config.build_auth import build_authentication, build_hmac, settled_hmac
from fastha.config.build_globals import GARP, Globals, read_garp
from fastha.config.build_strict import settle_strict
from fastha.config.build_track import build_track_virtual_servers
from fastha.config.build_trackers import LISTS, Known, build_trackers, without_own
from fastha.config.build_vmac import WORDS as VMAC_WORDS
from fastha.config.build_vmac import check_device, device_of, read_vmac, with_vmacs
from fastha.config.build_wire import WORDS as WIRE_WORDS
from fastha.config.build_wire import read_wire, wire_of
from fastha.config.draft import Draft
from fastha.config.item import Item
from fastha.config.lines import read_lines
from fastha.config.placed import Built
from fastha.config.shape import items
from fastha.config.tree import Faults, Place, Statement, shown
from fastha.config.twice import distinct
from fastha.errors import Severity
from fastha.model import (
    Auth,
    InstanceNotify,
    VirtualServer,
    VrrpInstance,
)
from fastha.model.units import NS_PER_CS, NS_PER_S

ADVERT_INT_US = 10_000, 255_000_000
V3_MAX_CS = 4095  # RFC 9568 section 5.2.7: Max Advertise Interval is 12 bits of centiseconds
MAX_ADDRESSES = 255  # RFC 9568 section 5.2.5: the count is one byte


# keyword -> field of InstanceNotify
NOTIFY = {
    "notify_master": "master",
    "notify_backup": "backup",
    "notify_fault": "fault",
    "notify_stop": "stop",
    "notify_deleted": "deleted",
    "notify": "any",
    "notify_master_rx_lower_pri": "rx_lower",
}
NOBODY = InstanceNotify()  # what is mostly said is one object


def build_instance(
    item: Item,
    globals_: Globals,
    servers: Mapping[str, VirtualServer],
    known: Known,
    faults: Faults,
) -> Built[VrrpInstance] | None:
    """The instance of one block; None if it could not even be shown."""
    statement = item.statement
    name = statement.words[1]
    draft = Draft()
    before = len(faults)
    tracked: list[Sequence[Statement]] = []  # blocks of track_interface
    for inner in items(statement.block or [], "vrrp_instance", faults):
        if inner.name in LISTS:
            block = inner.statement.block or []
            draft.trackers += build_trackers(inner.name, block, known, faults)
            tracked += [block] if inner.name == "track_interface" else []
        else:
            _keyword(inner, draft, servers, faults)
        draft.said[inner.name] = inner
    vrf = _settle_vrf(draft, faults)
    draft.trackers = without_own(draft.trackers, draft.interface, tracked, faults)
    if not draft.interface and "interface" not in draft.said and "vrf" not in draft.said:
        faults.error(statement.place(1), f"{shown(name)}: no interface")
    if draft.vrid is None and "virtual_router_id" not in draft.said:
        faults.error(statement.place(1), f"{shown(name)}: no virtual_router_id")
    draft.family = _family(draft)
    version = _version(draft, globals_, statement, faults)
    strict = globals_.strict if draft.strict is None else draft.strict

    def at(keyword: str) -> Place:
        return draft.said[keyword].statement.place() if keyword in draft.said else statement.place(1)

    clean = not any(f.severity is Severity.ERROR for f in faults[before:])
    if strict:
        settle_strict(draft, globals_, version, at, faults)
    _settle(draft, version, strict, name, statement, faults, clean)
    if not draft.interface or draft.vrid is None:
        return None
    wire = wire_of(
        draft.wire,
        globals_.wire,
        draft.unicast_peers,
        draft.bounds,
        draft.family,
        version,
        draft.hmac is not None,
        bool(draft.unicast_src),
        at,
        faults,
    )
    # Without `state`, priority 255 makes it the owner, who wants to be master (RFC 9568 section 6.1).
    wants_master = draft.state == "MASTER" or (not draft.state and draft.priority == 255)
    default_priority = 255 if draft.state == "MASTER" else 100
    instance = VrrpInstance(
        name=name,
        interface=draft.interface,
        vrid=draft.vrid,
        priority=default_priority if draft.priority is None else draft.priority,
        version=version,
        advert_int_ns=draft.advert_int_ns,
        wants_master=wants_master,
        preempt=draft.preempt,
        preempt_delay_ns=draft.preempt_delay_ns,
        addresses=with_vmacs(draft.addresses, draft.vmac, draft.interface, draft.family),
        excluded=with_vmacs(draft.excluded, draft.vmac, draft.interface, draft.family),
        family=draft.family,
        unicast_src=draft.unicast_src if draft.unicast_peers else "",
        unicast_peers=tuple(draft.unicast_peers),
        auth=draft.auth,
        hmac=settled_hmac(draft.hmac, draft.advert_int_ns),
        garp=globals_.garp_with(draft.garp),
        down_timer_adverts=draft.down_timer_adverts or globals_.down_timer_adverts,
        track_virtual_servers=tuple(draft.track),
        track=tuple(draft.trackers),
        notify=InstanceNotify(**draft.notify, says_deleted=draft.says_deleted)
        if draft.notify or draft.says_deleted
        else NOBODY,
        smtp_alert=globals_.mail.alerts(draft.smtp_alert, "vrrp"),
        notify_priority=globals_.notify_priority if draft.notify_priority is None else draft.notify_priority,
        vrf=vrf,
        accept=draft.accept is not False,
        strict_mode=strict,
        routes=distinct(draft.routes),
        rules=distinct(draft.rules),
        promote_secondaries=draft.promote_secondaries,
        timer_expired_priority=draft.rival_priority,
        kernel_rx_buf_size=draft.kernel_rx_buf_size,
        **(globals_.answers | draft.answers),
        vmac=device_of(draft.vmac, draft.interface, draft.vrid, draft.family == 6),
        address_vmacs=(),  # with_names gives them
        wire=wire,
    )
    return Built(instance, statement.spot())


def _keyword(item: Item, draft: Draft, servers: Mapping[str, VirtualServer], faults: Faults) -> None:
    statement = item.statement
    match item.name:
        case "interface":
            draft.interface = values.interface(statement, 1, faults) or ""
            if draft.interface == "lo":
                faults.error(statement.place(1), "the loopback interface cannot carry VRRP")
        case "vrf":
            draft.vrf = values.interface(statement, 1, faults) or ""
        case "virtual_router_id":
            draft.vrid = values.number(item, faults)
        case "state":
            draft.state = statement.words[1]
            if draft.state not in ("MASTER", "BACKUP"):
                faults.error(statement.place(1), f"state '{shown(draft.state)}' is neither MASTER nor BACKUP")
        case "priority":
            draft.priority = values.number(item, faults)
        case "version":
            draft.version = values.number(item, faults)
        case "advert_int":
            draft.advert_int_ns = values.seconds_ns(item, faults, *ADVERT_INT_US, "0.01 to 255 s") or NS_PER_S
        case "preempt" | "nopreempt":
            draft.preempt = item.name == "preempt"
        case "preempt_delay":
            draft.preempt_delay_ns = values.seconds_ns(item, faults, 0, 1_000_000_000) or 0
        case "down_timer_adverts":
            draft.down_timer_adverts = values.number(item, faults)
        case "virtual_ipaddress":
            draft.addresses += build_addresses(statement.block or [], faults)
        case "virtual_routes":
            draft.routes += read_lines("virtual_routes", statement.block or [], faults)
        case "virtual_rules":
            draft.rules += read_lines("virtual_rules", statement.block or [], faults)
        case "kernel_rx_buf_size":
            draft.kernel_rx_buf_size = values.number(item, faults) or 0
        case "promote_secondaries":
            draft.promote_secondaries = True
        case "virtual_ipaddress_excluded":
            draft.excluded += build_addresses(statement.block or [], faults)
        case "unicast_src_ip":
            _unicast_src(statement, draft, faults)
        case "unicast_peer":
            peers, bounds = build_peers(statement.block or [], faults)
            draft.unicast_peers += peers
            draft.bounds += bounds
        case "accept" | "no_accept":
            draft.accept = item.name == "accept"
        case "strict_mode":
            draft.strict = values.boolean(item, faults)
        case "native_ipv6":
            draft.ipv6 = True
        case "no_virtual_ipaddress":
            draft.no_addresses = True
        case name if name in WIRE_WORDS:
            read_wire(item, draft.wire, faults)
        case "timer_expired_backup":
            draft.rival_priority = rival_priority(item, faults)
        case name if name in FLAGS:
            read_flag(item, draft.answers, faults)
        case name if name in VMAC_WORDS:
            read_vmac(item, draft.vmac, faults)
        case "notify_deleted" if len(item.statement.words) == 1:
            draft.says_deleted = True
        case name if name in NOTIFY:
            if (script := values.script(item, faults)) is not None:
                draft.notify[NOTIFY[name]] = script
        case "smtp_alert":
            draft.smtp_alert = values.boolean(item, faults)
        case "notify_priority_changes":
            draft.notify_priority = values.boolean(item, faults)
        case "authentication":
            draft.auth = build_authentication(statement, faults)
        case "auth_hmac":
            draft.hmac = build_hmac(statement, faults)
        case "track_virtual_server":
            draft.track += build_track_virtual_servers(statement.block or [], servers, faults)
        case name:
            assert name in GARP or name == "garp_extra_if", name
            read_garp(item, draft.garp, faults)


def _settle_vrf(draft: Draft, faults: Faults) -> bool:
    """`vrf` in place of `interface`: adverts go to the peers by whatever interface of the VRF leads there."""
    if not draft.vrf or draft.interface or "interface" in draft.said:
        return False  # config.references says that it has no effect with interface
    draft.interface = draft.vrf
    at = draft.said["vrf"].statement.place(1)
    if not draft.unicast_peers:
        faults.error(at, "vrf is for unicast: multicast needs an interface")
    if draft.vmac.used or draft.vmac.ipvlan:
        faults.error(at, "use_vmac and use_ipvlan need an interface, which a VRF is not")
    for address in (*draft.addresses, *draft.excluded):
        if not address.dev:
            faults.warning(at, f"{address.ip} has no dev: it is on the VRF itself, where nobody asks for it by ARP")
            break
    return True


def _unicast_src(statement: Statement, draft: Draft, faults: Faults) -> None:
    found = values.address(statement, 1, faults)
    if found is not None:
        draft.unicast_src = str(found)


def _family(draft: Draft) -> int:
    """What VRRP speaks: the family of its addresses, which adverts carry; without any, that of its peers or its own."""
    wire = draft.wire
    said = (*(a.ip for a in draft.addresses), *draft.unicast_peers, draft.unicast_src, wire.source, wire.group)
    return 6 if draft.ipv6 or ":" in next(filter(None, said), "") else 4


def _version(draft: Draft, globals_: Globals, statement: Statement, faults: Faults) -> int:
    """IPv6 has version 3 alone, RFC 9568 section 1."""
    if draft.family == 4:
        return draft.version or globals_.version
    if draft.version == 2:
        faults.warning(draft.said["version"].statement.place(1), "VRRP over IPv6 is version 3, which is used")
    return 3


def _one_family(draft: Draft, faults: Faults) -> None:
    """Adverts carry addresses of one family, between peers of the same."""
    family = draft.family
    for keyword, ips in (
        ("virtual_ipaddress", [a.ip for a in draft.addresses]),
        ("unicast_peer", draft.unicast_peers),
        ("unicast_src_ip", [draft.unicast_src] if draft.unicast_src else []),
    ):
        if other := [ip for ip in ips if (":" in ip) != (family == 6)]:
            hint = "virtual_ipaddress_excluded takes both" if keyword == "virtual_ipaddress" else ""
            place = _where(draft.said[keyword].statement, other[0])
            faults.error(place, f"{other[0]} is not IPv{family}, which this instance speaks", hint)


def _where(statement: Statement, ip: str) -> tuple[str, int, int]:
    """The place of an address in a block; that of the block's keyword if it is written in another way."""
    for line in statement.block or ():
        for index, word in enumerate(line.words):
            if word.partition("/")[0] == ip:
                return line.place(index)
    return statement.place()


def _settle(
    draft: Draft, version: int, strict: bool, name: str, statement: Statement, faults: Faults, clean: bool
) -> None:
    """What keywords mean together. `clean`: nothing was wrong so far, so a missing thing really is missing."""
    said = draft.said

    def at(keyword: str) -> tuple[str, int, int]:
        return said[keyword].statement.place() if keyword in said else statement.place(1)

    owner = draft.priority == 255 or (draft.state == "MASTER" and draft.priority is None)
    if owner:
        weighted = {(f"track_{t.kind}", t.name) for t in draft.trackers if t.weight}
        for word in LISTS:
            for line in said[word].statement.block or () if word in said else ():
                if (word, line.words[0]) in weighted:
                    faults.warning(line.place(), f"the weight of {shown(line.words[0])} is ignored: 255 never changes")
    wants_master = draft.state == "MASTER" or (not draft.state and owner)
    if not draft.preempt and (wants_master or owner):
        faults.warning(
            at("nopreempt"), "nopreempt has no effect with state MASTER or priority 255", code="master-nopreempt"
        )
        draft.preempt = True
    if draft.preempt_delay_ns and (wants_master or not draft.preempt):
        why = "nopreempt" if not draft.preempt else "state MASTER or priority 255"
        faults.warning(at("preempt_delay"), f"preempt_delay has no effect with {why}")
        draft.preempt_delay_ns = 0
    if draft.rival_priority and draft.preempt:
        faults.warning(at("timer_expired_backup"), "timer_expired_backup has no effect without nopreempt")
        draft.rival_priority = 0
    _one_family(draft, faults)
    check_device(draft.vmac, draft.family, at, faults)
    draft.advert_int_ns = _rounded_interval(draft.advert_int_ns, version, at("advert_int"), faults)
    if draft.hmac is not None and draft.auth.kind != "none":
        faults.warning(at("authentication"), "authentication has no effect with auth_hmac")
        draft.auth = Auth()
    if draft.auth.kind == "ah" and draft.state == "MASTER":
        faults.warning(at("state"), "state MASTER has no effect with auth_type AH")
        draft.priority = 255 if draft.priority is None else draft.priority
        draft.state = "BACKUP"
    if version == 3 and draft.auth.kind != "none":
        faults.warning(
            at("authentication"), "VRRP version 3 has no authentication; it is ignored"
        )  # RFC 9568 section 9
        draft.auth = Auth()
    if draft.unicast_src and not draft.unicast_peers and "unicast_peer" not in said:
        faults.warning(at("unicast_src_ip"), "unicast_src_ip without unicast_peer has no effect: multicast is used")
    if "unicast_peer" in said and not draft.unicast_peers and not draft.wire.needs_peer:
        faults.warning(at("unicast_peer"), "unicast_peer names no peer: multicast is used")
    if draft.unicast_src in draft.unicast_peers:
        faults.warning(
            at("unicast_peer"), f"unicast_peer names this director itself ({draft.unicast_src})", code="own-peer"
        )
    if not draft.addresses and clean and not draft.no_addresses:
        needed = version == 3 or strict  # RFC 9568 section 5.2.5: at least one in version 3
        report = faults.error if needed else faults.warning
        report(statement.place(1), f"{shown(name)}: no virtual_ipaddress", "" if strict else "no_virtual_ipaddress")
    if len(draft.addresses) > MAX_ADDRESSES:
        faults.error(at("virtual_ipaddress"), f"{len(draft.addresses)} addresses; adverts carry {MAX_ADDRESSES}")


def _rounded_interval(interval_ns: int, version: int, place: tuple[str, int, int], faults: Faults) -> int:
    """The advert interval as the protocol can say it."""
    if version == 2:  # RFC 3768 section 5.3.7: whole seconds
        rounded = max(1, (interval_ns + NS_PER_S // 2) // NS_PER_S) * NS_PER_S
        if rounded != interval_ns:
            faults.warning(place, f"VRRP version 2 has whole seconds: {rounded // NS_PER_S} s is used", "version 3")
        return rounded
    cs = (interval_ns + NS_PER_CS // 2) // NS_PER_CS
    if cs > V3_MAX_CS:
        faults.warning(place, f"VRRP version 3 has at most {V3_MAX_CS / 100} s, which is used")
        return V3_MAX_CS * NS_PER_CS
    if cs * NS_PER_CS != interval_ns:
        faults.warning(place, f"VRRP version 3 has steps of 10 ms: {cs * 10} ms is used")
    return cs * NS_PER_CS
