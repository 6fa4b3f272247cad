"""Words of `vrrp_instance` and `global_defs` that change what is on the wire, or who is believed -> Wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults
from fastha.config.words import check_words
from fastha.lean import dataclass, field
from fastha.model.vrrp import GROUPS
from fastha.model.wire import TTL, PeerTtl, Wire

LINK_LOCAL_SCOPE = 2  # RFC 4291 section 2.7
GLOBAL_WORDS = frozenset((
    "v3_checksum_as_v2", "vrrp_mcast_group4", "vrrp_mcast_group6", "vrrp_check_unicast_src", "vrrp_skip_check_adv_addr",
))  # fmt: skip
WORDS = frozenset((
    "unicast_ttl", "unicast_fault_no_peer", "check_unicast_src", "mcast_src_ip", "mcast_dst_ip", "v3_checksum_as_v2",
    "old_unicast_checksum", "skip_check_adv_addr", "track_src_ip", "dont_track_primary",
))  # fmt: skip


@dataclass(slots=True)
class GlobalWire:
    """What instances that say nothing take."""

    groups: dict[int, str] = field(default_factory=dict)  # by family
    listed: bool = False
    trusting: bool = False
    plain_sum: bool = False


@dataclass(slots=True)
class WireDraft:
    """Of an instance; None: not said."""

    ttl: int = TTL
    source: str = ""
    group: str = ""
    listed: bool = False
    trusting: bool | None = None
    plain_sum: bool | None = None
    old_sum: bool = False
    needs_peer: bool = False
    track_source: bool = False
    track_primary: bool = True


def read_global_wire(item: Item, into: GlobalWire, faults: Faults) -> None:
    match item.name:
        case "v3_checksum_as_v2":
            into.plain_sum = bool(values.boolean(item, faults))
        case "vrrp_skip_check_adv_addr":
            into.trusting = bool(values.boolean(item, faults))
        case "vrrp_check_unicast_src":
            into.listed = True
        case name:
            before = len(faults)
            check_words(item, faults)
            if len(faults) == before:
                into.groups[int(name[-1])] = str(values.parse_address(item.statement.words[1]))


def read_wire(item: Item, into: WireDraft, faults: Faults) -> None:
    match item.name:
        case "unicast_ttl":
            ttl = values.number(item, faults)
            into.ttl = into.ttl if ttl is None else ttl
        case "unicast_fault_no_peer":
            into.needs_peer = True
        case "check_unicast_src":
            into.listed = True
        case "mcast_src_ip":
            found = values.address(item.statement, 1, faults)
            into.source = "" if found is None else str(found)
        case "mcast_dst_ip":
            into.group = _group(item, faults)
        case "v3_checksum_as_v2":
            into.plain_sum = values.boolean(item, faults)
        case "old_unicast_checksum":
            into.old_sum = len(item.statement.words) == 1
            check_words(item, faults)
        case "skip_check_adv_addr":
            into.trusting = values.boolean(item, faults)
        case "track_src_ip":
            into.track_source = True
        case "dont_track_primary":
            into.track_primary = False


def _group(item: Item, faults: Faults) -> str:
    statement = item.statement
    found = values.address(statement, 1, faults)
    if found is None:
        return ""
    if not found.is_multicast:
        faults.error(statement.place(1), f"{found} is not a multicast address")
        return ""
    if isinstance(found, IPv6Address) and found.packed[1] & 15 != LINK_LOCAL_SCOPE:
        faults.error(statement.place(1), f"{found} is not of link-local scope", "ff02::")  # RFC 9568 section 5.1.2.2
        return ""
    return str(found)


def wire_of(
    draft: WireDraft,
    globals_: GlobalWire,
    peers: Sequence[str],
    bounds: Sequence[PeerTtl],
    family: int,
    version: int,
    sealed: bool,
    has_source: bool,
    at: Callable[[str], tuple[str, int, int]],
    faults: Faults,
) -> Wire:
    """What the words mean together. `has_source`: `unicast_src_ip` is said. `sealed`: with `auth_hmac`."""
    unicast = bool(peers)
    for keyword, ip in (("mcast_src_ip", draft.source), ("mcast_dst_ip", draft.group)):
        if not ip:
            continue
        if (":" in ip) != (family == 6):
            faults.error(at(keyword), f"{ip} is not IPv{family}, which this instance speaks")
        elif unicast:
            faults.warning(at(keyword), f"{keyword} has no effect with unicast_peer")
    if draft.track_source and not (has_source if unicast else draft.source):
        needed = "unicast_src_ip" if unicast else "mcast_src_ip"
        faults.warning(at("track_src_ip"), f"track_src_ip has no effect without {needed}")
    summed = version == 3 and family == 4
    for keyword, wanted in (("v3_checksum_as_v2", draft.plain_sum), ("old_unicast_checksum", draft.old_sum)):
        if wanted and not summed:
            faults.warning(at(keyword), f"{keyword} has no effect but with version 3 over IPv4")
    plain_sum = summed and bool(globals_.plain_sum if draft.plain_sum is None else draft.plain_sum)
    old_sum = summed and unicast and draft.old_sum and not plain_sum
    if sealed and (plain_sum or old_sum):
        keyword = "v3_checksum_as_v2" if plain_sum else "old_unicast_checksum"
        faults.error(at(keyword), f"{keyword} does not go with auth_hmac")
    group = "" if unicast else draft.group or globals_.groups.get(family, "")
    return Wire(
        ttl=draft.ttl if unicast else TTL,
        source="" if unicast else draft.source,
        group="" if group == GROUPS[family] else group,
        listed=unicast and (draft.listed or globals_.listed or bool(bounds)),
        bounds=tuple(bounds),
        trusting=bool(globals_.trusting if draft.trusting is None else draft.trusting),
        plain_sum=plain_sum,
        old_sum=old_sum,
        lacks_peer=draft.needs_peer and not unicast,
        track_source=draft.track_source,
        track_primary=draft.track_primary,
    )
