"""rtnetlink messages about routes and routing rules: values to bytes, and what the kernel says of its own. Pure.

Encoded here and not by pyroute2 for the reason that rtnl.py gives (0.25 s at import, which a killed child's replacement
does not have), and because pyroute2 has no encapsulation but MPLS and SEG6; tests hold both against each other.
Layouts: linux/rtnetlink.h, linux/fib_rules.h, linux/lwtunnel.h; rtnetlink(7). Defaults are those of iproute2.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastha.link import rtnl
from fastha.link.rtnl import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST
from fastha.model.routes import AUTOMATIC, Belonging, Encap, Nexthop, Route, Rule

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
NLM_F_REPLACE, NLM_F_APPEND = 0x100, 0x800
RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE, RTMGRP_IPV6_ROUTE, RTMGRP_IPV6_RULE = 0x40, 0x80, 0x400, 1 << 18

RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
RULEMSG = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, -, -, action, flags
NEXTHOP = struct.Struct("=HBBi")  # length, flags, weight - 1, interface
U8, U16, U32, U64 = struct.Struct("=B"), struct.Struct("=H"), struct.Struct("=I"), struct.Struct("=Q")
BE16, BE32, BE64 = struct.Struct("!H"), struct.Struct("!I"), struct.Struct("!Q")

KINDS = {
    "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7,
    "prohibit": 8, "throw": 9, "nat": 10, "xresolve": 11,
}  # fmt: skip
RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = 1, 2, 4, 5, 6, 7, 8, 9
RTA_FLOW, RTA_TABLE, RTA_VIA, RTA_PREF, RTA_ENCAP_TYPE, RTA_ENCAP, RTA_EXPIRES, RTA_TTL = 11, 15, 18, 20, 21, 22, 23, 26
RTAX_LOCK, RTAX_CC_ALGO = 1, 16
METRICS = {
    "mtu": 2, "window": 3, "rtt": 4, "rttvar": 5, "ssthresh": 6, "cwnd": 7, "advmss": 8, "reordering": 9,
    "hoplimit": 10, "initcwnd": 11, "features": 12, "rto_min": 13, "initrwnd": 14, "quickack": 15,
    "fastopen_no_cookie": 17,
}  # fmt: skip
PREFS = {"high": 1, "medium": 0, "low": 3}  # linux/icmpv6.h
ENCAPS = {"mpls": 1, "ip": 2, "ila": 3, "ip6": 4}
RTNH_F_ONLINK = 4
RT_TABLE_MAIN, RT_TABLE_LOCAL, RT_TABLE_COMPAT = 254, 255, 252
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_HOST, SCOPE_NOWHERE = 0, 253, 254, 255
METRIC6 = 1024  # ipv6: IP6_RT_PRIO_USER, of a route that says none

ACTIONS = {"table": 1, "l3mdev": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
FIB_RULE_INVERT = 2
FRA_DST, FRA_SRC, FRA_IIF, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK, FRA_FLOW, FRA_TUN_ID = 1, 2, 3, 4, 6, 10, 11, 12
FRA_SUPPRESS_GROUP, FRA_SUPPRESS_LENGTH, FRA_TABLE, FRA_FWMASK, FRA_OIF, FRA_L3MDEV = 13, 14, 15, 16, 17, 19
FRA_UIDS, FRA_PROTOCOL, FRA_IP_PROTO, FRA_SPORTS, FRA_DPORTS = 20, 21, 22, 23, 24


class Missing(Exception):
    """An interface that the route needs is not there; its name."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Prebuilt: `add` and `delete` ask for an acknowledgement; `seen` is what a dump would say of it."""

    add: bytes
    delete: bytes
    seen: Seen


Hop = tuple[int, int, bytes]  # interface (0: any), weight - 1, gateway (empty: any)
# What tells a route from another with the same head; metrics, realms and pref are what it is like.
IDENTITY = frozenset((RTA_DST, RTA_SRC, RTA_PREFSRC))
LIKENESS = frozenset((RTA_METRICS, RTA_FLOW, RTA_PREF))


@dataclass(frozen=True, slots=True)
class Seen:
    """A route or rule as the kernel tells of it: `head` is what must be equal (kind, family, lengths, tos, table,
    type, protocol, priority), `attributes` the rest."""

    head: tuple[object, ...]
    attributes: Mapping[int, object]
    hops: tuple[Hop, ...] = ()

    def serves(self, wanted: Seen, exact: bool = False) -> bool:
        """Whether this one of the kernel is the `wanted` one, whatever else the kernel says of it; `exact`: and has
        the same metrics."""
        if self.head != wanted.head:
            return False
        mine = self.attributes
        kinds = IDENTITY | LIKENESS if exact else IDENTITY
        if wanted.head[0] == "rule":
            kinds = frozenset(wanted.attributes)
        if any(kind in kinds and mine.get(kind) != value for kind, value in wanted.attributes.items()):
            return False
        return all(any(_leads(hop, way) for way in self.hops) for hop in wanted.hops)


def _leads(hop: Hop, way: Hop) -> bool:
    """Whether a way of the kernel is the `hop`."""
    return hop[0] in (0, way[0]) and hop[1] == way[1] and hop[2] in (b"", way[2])


def messages(one: Belonging, links: Mapping[str, int], vrfs: Mapping[str, int]) -> Messages:
    """For a route or rule; `links`: name -> index, `vrfs`: name -> table. Missing if an interface is not there."""
    return route_messages(one, links, vrfs) if isinstance(one, Route) else rule_messages(one)


def route_messages(route: Route, links: Mapping[str, int], vrfs: Mapping[str, int]) -> Messages:
    flags = {
        "": NLM_F_CREATE | NLM_F_REPLACE,
        "add": NLM_F_CREATE | NLM_F_EXCL,
        "append": NLM_F_CREATE | NLM_F_APPEND,
        "prepend": NLM_F_CREATE,
    }[route.operation]
    body, identity = _route(route, links, vrfs)
    head = _head(route, vrfs)
    gone = RTMSG.pack(*head[:6], SCOPE_NOWHERE if route.family == 4 else 0, *head[7:])
    add = _message(RTM_NEWROUTE, flags, RTMSG.pack(*head) + body)
    # A deletion names what tells it from others; metrics would have to be equal too.
    return Messages(add, _message(RTM_DELROUTE, 0, gone + identity), next(parse(add)))


def _head(route: Route, vrfs: Mapping[str, int]) -> tuple[int, ...]:
    family = socket.AF_INET if route.family == 4 else socket.AF_INET6
    table = _table(route, vrfs)
    scope = route.scope
    if scope == AUTOMATIC:
        scope = SCOPE_UNIVERSE
        if route.family == 4 and route.kind in ("local", "nat"):
            scope = SCOPE_HOST
        elif route.family == 4 and (
            route.kind in ("broadcast", "multicast", "anycast")
            or (route.kind == "unicast" and not route.via and not route.nexthops)
        ):
            scope = SCOPE_LINK
    return (
        family, _length(route.dest), _length(route.source) if route.source else 0, route.tos,
        table if table < 256 else RT_TABLE_COMPAT, route.protocol, scope, KINDS[route.kind],
        RTNH_F_ONLINK if route.onlink else 0,
    )  # fmt: skip


def _table(route: Route, vrfs: Mapping[str, int]) -> int:
    if route.table:
        return route.table
    if route.vrf:
        if route.vrf not in vrfs:
            raise Missing(route.vrf)
        return vrfs[route.vrf]
    return RT_TABLE_LOCAL if route.kind in ("local", "broadcast", "nat", "anycast") else RT_TABLE_MAIN


def _route(route: Route, links: Mapping[str, int], vrfs: Mapping[str, int]) -> tuple[bytes, bytes]:
    """(all attributes, those that a deletion names)."""
    out = bytearray()
    if _length(route.dest):
        out += _attribute(RTA_DST, _network(route.dest))
    if route.source and _length(route.source):
        out += _attribute(RTA_SRC, _network(route.source))
    out += _attribute(RTA_TABLE, U32.pack(_table(route, vrfs)))
    if route.metric != AUTOMATIC:
        out += _attribute(RTA_PRIORITY, U32.pack(route.metric))
    if route.via:
        out += _via(route.via, route.family)
    if route.dev and not route.nexthops:
        out += _attribute(RTA_OIF, U32.pack(_index(route.dev, links)))
    if route.src:
        out += _attribute(RTA_PREFSRC, _packed(route.src))
    if route.nexthops:
        hops = (_nexthop(hop, route, links) for hop in route.nexthops)
        out += _attribute(RTA_MULTIPATH, b"".join(hops))
    identity = bytes(out)
    if route.realms:
        out += _attribute(RTA_FLOW, U32.pack(route.realms))
    if metrics := _metrics(route):
        out += _attribute(RTA_METRICS, metrics)
    if route.expires_s:
        out += _attribute(RTA_EXPIRES, U32.pack(route.expires_s))
    if route.pref:
        out += _attribute(RTA_PREF, U8.pack(PREFS[route.pref]))
    if route.ttl_propagate:
        out += _attribute(RTA_TTL, U8.pack(route.ttl_propagate == "enabled"))
    if route.encap is not None:
        out += _encap(route.encap)
    return bytes(out), identity


def _via(via: str, family: int) -> bytes:
    if (":" in via) == (family == 6):
        return _attribute(RTA_GATEWAY, _packed(via))
    return _attribute(RTA_VIA, U16.pack(socket.AF_INET6 if ":" in via else socket.AF_INET) + _packed(via))


def _nexthop(hop: Nexthop, route: Route, links: Mapping[str, int]) -> bytes:
    inner = _via(hop.via, route.family) if hop.via else b""
    if hop.realms:
        inner += _attribute(RTA_FLOW, U32.pack(hop.realms))
    if hop.encap is not None:
        inner += _encap(hop.encap)
    index = _index(hop.dev, links) if hop.dev else 0
    flags = RTNH_F_ONLINK if hop.onlink else 0
    return NEXTHOP.pack(NEXTHOP.size + len(inner), flags, hop.weight - 1, index) + inner


def _metrics(route: Route) -> bytes:
    out = bytearray()
    locked = sum(1 << METRICS[m.name] for m in route.metrics if m.lock)
    if route.congctl_lock:
        locked |= 1 << RTAX_CC_ALGO
    if locked:
        out += _attribute(RTAX_LOCK, U32.pack(locked))
    for metric in route.metrics:
        out += _attribute(METRICS[metric.name], U32.pack(metric.value))
    if route.congctl:
        out += _attribute(RTAX_CC_ALGO, route.congctl.encode() + b"\0")
    return bytes(out)


def _encap(encap: Encap) -> bytes:
    out = b""
    if encap.kind == "mpls":  # RFC 3032 section 2.1: label, traffic class, bottom of stack, TTL
        last = len(encap.labels) - 1
        stack = b"".join(BE32.pack(label << 12 | (i == last) << 8) for i, label in enumerate(encap.labels))
        out = _attribute(1, stack)
    elif encap.kind == "ila":
        out = _attribute(1, b"".join(BE16.pack(int(part, 16)) for part in encap.locator.split(":")))
    else:
        # LWTUNNEL_IP_TTL, _TOS and LWTUNNEL_IP6_HOPLIMIT, _TC
        for kind, form, value in ((1, BE64, encap.tunnel_id), (4, U8, encap.ttl), (5, U8, encap.tos)):
            if value != AUTOMATIC:
                out += _attribute(kind, form.pack(value))
        for kind, text in ((2, encap.dst), (3, encap.src)):
            if text:
                out += _attribute(kind, _packed(text))
        if encap.flags != AUTOMATIC:
            out += _attribute(6, BE16.pack(encap.flags))
    return _attribute(RTA_ENCAP_TYPE, U16.pack(ENCAPS[encap.kind])) + _attribute(RTA_ENCAP, out)


def rule_messages(rule: Rule) -> Messages:
    family = socket.AF_INET if rule.family == 4 else socket.AF_INET6
    head = RULEMSG.pack(
        family, _length(rule.dst) if rule.dst else 0, _length(rule.src) if rule.src else 0, rule.tos,
        rule.table if rule.table < 256 else 0, 0, 0, ACTIONS[rule.action],
        FIB_RULE_INVERT if rule.inverted else 0,
    )  # fmt: skip
    out = bytearray()
    for kind, network in ((FRA_DST, rule.dst), (FRA_SRC, rule.src)):
        if network and _length(network):
            out += _attribute(kind, _network(network))
    for kind, number in (
        (FRA_PRIORITY, rule.preference),
        (FRA_FWMARK, rule.fwmark),
        (FRA_FWMASK, rule.fwmask),
        (FRA_FLOW, rule.realms or AUTOMATIC),
        (FRA_TABLE, rule.table or AUTOMATIC),
        (FRA_GOTO, rule.target or AUTOMATIC),
        (FRA_SUPPRESS_GROUP, rule.suppress_group),
        (FRA_SUPPRESS_LENGTH, rule.suppress_prefixlength),
    ):
        if number != AUTOMATIC:
            out += _attribute(kind, U32.pack(number))
    for kind, name in ((FRA_IIF, rule.iif), (FRA_OIF, rule.oif)):
        if name:
            out += _attribute(kind, name.encode() + b"\0")
    if rule.tunnel_id:
        out += _attribute(FRA_TUN_ID, BE64.pack(rule.tunnel_id))
    if rule.uids:
        out += _attribute(FRA_UIDS, struct.pack("=II", *rule.uids))
    out += _attribute(FRA_PROTOCOL, U8.pack(rule.protocol))
    if rule.ipproto:
        out += _attribute(FRA_IP_PROTO, U8.pack(rule.ipproto))
    for kind, ports in ((FRA_SPORTS, rule.sports), (FRA_DPORTS, rule.dports)):
        if ports:
            out += _attribute(kind, struct.pack("=HH", *ports))
    if rule.action == "l3mdev":
        out += _attribute(FRA_L3MDEV, U8.pack(1))
    body = head + bytes(out)
    add = _message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, body)
    return Messages(add, _message(RTM_DELRULE, 0, body), next(parse(add)))


def dump_routes(sequence: int, family: int, protocol: int) -> bytes:
    """Those of one protocol, where the kernel filters (NETLINK_GET_STRICT_CHK, Linux 4.20)."""
    body = RTMSG.pack(socket.AF_INET if family == 4 else socket.AF_INET6, 0, 0, 0, 0, protocol, 0, 0, 0)
    return _message(RTM_GETROUTE, NLM_F_DUMP, body, sequence)


def dump_rules(sequence: int, family: int) -> bytes:
    body = RULEMSG.pack(socket.AF_INET if family == 4 else socket.AF_INET6, 0, 0, 0, 0, 0, 0, 0, 0)
    return _message(RTM_GETRULE, NLM_F_DUMP, body, sequence)


def parse(data: bytes) -> Iterator[Seen]:
    """Every route and rule that came into being in a datagram; all else is skipped."""
    for kind, body in bodies(data):
        if kind == RTM_NEWROUTE and len(body) >= RTMSG.size:
            yield _read_route(body)
        elif kind == RTM_NEWRULE and len(body) >= RULEMSG.size:
            yield _read_rule(body)


def bodies(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """(message type, body) of each message in a datagram."""
    offset = 0
    while offset + rtnl.HEADER.size <= len(data):
        length, kind, *_ = rtnl.HEADER.unpack_from(data, offset)
        if length < rtnl.HEADER.size or offset + length > len(data):
            return
        yield kind, memoryview(data)[offset + rtnl.HEADER.size : offset + length]
        offset += length + 3 & ~3


def _read_route(body: memoryview) -> Seen:
    family, dst_len, src_len, tos, table, protocol, _scope, kind, _flags = RTMSG.unpack_from(body)
    found: dict[int, object] = {}
    priority = 0 if family == socket.AF_INET else METRIC6
    index, gateway = 0, b""
    hops: tuple[Hop, ...] = ()
    for attribute, value in rtnl.attributes(body[RTMSG.size :]):
        raw = bytes(value)
        match attribute:
            case 15:  # RTA_TABLE
                table = U32.unpack(raw)[0]
            case 6:  # RTA_PRIORITY
                priority = U32.unpack(raw)[0] or priority
            case 4:  # RTA_OIF
                index = U32.unpack(raw)[0]
            case 5 | 18:  # RTA_GATEWAY, RTA_VIA
                gateway = raw
            case 9:  # RTA_MULTIPATH
                hops = tuple(_hops(raw))
            case 8:  # RTA_METRICS: one that is 0 is none
                inner = ((k, bytes(v).rstrip(b"\0")) for k, v in rtnl.attributes(value))
                found[attribute] = frozenset((k, v) for k, v in inner if v)
            case _:
                found[attribute] = raw
    if not hops and kind not in range(KINDS["blackhole"], KINDS["throw"] + 1):  # of those IPv6 says that lo is the way
        hops = ((index, 0, gateway),)
    return Seen(("route", family, dst_len, src_len, tos, table, protocol, kind, priority), found, hops)


def _hops(raw: bytes) -> Iterator[Hop]:
    offset = 0
    while offset + NEXTHOP.size <= len(raw):
        length, _flags, weight, index = NEXTHOP.unpack_from(raw, offset)
        if length < NEXTHOP.size:
            return
        inner = dict(rtnl.attributes(memoryview(raw)[offset + NEXTHOP.size : offset + length]))
        yield index, weight, bytes(inner.get(RTA_GATEWAY, b"") or inner.get(RTA_VIA, b""))
        offset += length + 3 & ~3


def _read_rule(body: memoryview) -> Seen:
    family, dst_len, src_len, tos, table, _, _, action, flags = RULEMSG.unpack_from(body)
    found = {kind: bytes(value) for kind, value in rtnl.attributes(body[RULEMSG.size :])}
    table = U32.unpack(found.pop(FRA_TABLE, U32.pack(table)))[0]
    for mark in (FRA_FWMARK, FRA_FWMASK):  # the kernel does not say a 0
        if not any(found.get(mark, b"")):
            found.pop(mark, None)
    head = ("rule", family, dst_len, src_len, tos, table, action, flags & FIB_RULE_INVERT)
    return Seen(head, found)


def _index(dev: str, links: Mapping[str, int]) -> int:
    if dev not in links:
        raise Missing(dev)
    return links[dev]


def _length(network: str) -> int:
    return int(network.partition("/")[2])


def _network(network: str) -> bytes:
    return _packed(network.partition("/")[0])


def _packed(ip: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


_attribute = rtnl.attribute


def _message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    return rtnl.message(kind, NLM_F_REQUEST | (0 if flags == NLM_F_DUMP else NLM_F_ACK) | flags, body, sequence)
