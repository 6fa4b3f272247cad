"""Routes, rules, what is static, and delays of links, as lines of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from fastha.config.dump_words import Page, seconds, word
from fastha.config.line import SCOPES
from fastha.model import Config, Statics, VirtualAddress
from fastha.model.routes import AUTOMATIC, KEEPALIVED, Encap, Nexthop, Route, Rule
from fastha.model.vrrp import FOREVER, NOT_SAID

SCOPE_NAMES = {number: name for name, number in reversed(SCOPES.items())}
FLAGS = {"nodad": "-nodad"}


def dump_statics(statics: Statics, page: Page) -> None:
    for group in statics.groups:
        with page.block("track_group", word(group.name)), page.block("group"):
            for member in group.members:
                page.say(word(member))
    for keyword, lines in _lists(statics):
        dump_lines(keyword, lines, page)


def _lists(statics: Statics) -> tuple[tuple[str, list[str]], ...]:
    return (
        ("static_ipaddress", [address_line(a) for a in statics.addresses]),
        ("static_routes", [route_line(r) for r in statics.routes]),
        ("static_rules", [rule_line(r) for r in statics.rules]),
    )


def static_lines(config: Config) -> Iterator[tuple[str, list[str]]]:
    """(keyword, its lines) of all that is static; a track_group is one line."""
    for statics in config.statics:
        yield "track_group", [" ".join([group.name, *group.members]) for group in statics.groups]
        yield from _lists(statics)


def delay_lines(config: Config) -> Iterator[tuple[str, list[str]]]:
    """(keyword, its lines) of `interface_up_down_delays`, if there are any."""
    if delays := config.globals.link_delays:
        lines = [f"{word(d.interface)} {seconds(d.down_ns)} {seconds(d.up_ns)}" for d in delays]
        yield "interface_up_down_delays", lines


def dump_lines(keyword: str, lines: list[str], page: Page) -> None:
    if lines:
        with page.block(keyword):
            for line in lines:
                page.say(line)


def address_line(address: VirtualAddress) -> str:
    # With a peer the prefix length is the peer's.
    out = [address.ip, "peer", f"{address.peer}/{address.prefixlen}"] if address.peer else [str(address)]
    for name, text in (("dev", address.dev), ("label", address.label), ("brd", address.broadcast)):
        out += [name, word(text)] if text else []
    out += ["scope", str(SCOPE_NAMES.get(address.scope, address.scope))] if address.scope else []
    out += (FLAGS.get(flag, flag) for flag in address.flags)
    if address.preferred_s != NOT_SAID:
        out += ["preferred_lft", "forever" if address.preferred_s == FOREVER else str(address.preferred_s)]
    return " ".join([*out, *(["use_vmac"] if address.vmac else []), *_tracking(address.tracked, address.track_group)])


def _tracking(tracked: bool, group: str) -> list[str]:
    return ([] if tracked else ["no_track"]) + (["track_group", word(group)] if group else [])


def route_line(route: Route) -> str:
    out = [] if route.kind == "unicast" else [route.kind]
    out += [route.dest]
    for name, number, default in (
        ("tos", route.tos, 0),
        ("table", route.table, 0),
        ("protocol", route.protocol, KEEPALIVED),
        ("scope", route.scope, AUTOMATIC),
        ("metric", route.metric, AUTOMATIC),
        ("expires", route.expires_s, 0),
    ):
        out += [name, str(number)] if number != default else []
    out += _via(route.via, route.family)
    for name, text in (
        ("dev", route.dev),
        ("src", route.src),
        ("from", route.source),
        ("vrf", route.vrf),
        ("pref", route.pref),
        ("ttl-propagate", route.ttl_propagate),
    ):
        out += [name, word(text)] if text else []
    for metric in route.metrics:
        value = "ecn" if metric.name == "features" else str(metric.value)
        out += [metric.name, *(["lock"] if metric.lock else []), value]
    if route.congctl:
        out += ["congctl", *(["lock"] if route.congctl_lock else []), word(route.congctl)]
    out += _common(route)
    out += [route.operation] if route.operation else []
    out += _tracking(route.tracked, route.track_group)
    for hop in route.nexthops:
        out += ["nexthop", *_via(hop.via, route.family), *(["dev", word(hop.dev)] if hop.dev else [])]
        out += [*(["weight", str(hop.weight)] if hop.weight != 1 else []), *_common(hop)]
    return " ".join(out)


def _common(one: Route | Nexthop) -> list[str]:
    """What a route and one of its ways may both have."""
    return [
        *(["realms", f"{one.realms >> 16}/{one.realms & 0xFFFF}"] if one.realms else []),
        *(["onlink"] if one.onlink else []),
        *(_encap(one.encap) if one.encap else []),
    ]


def _via(via: str, family: int) -> list[str]:
    if not via:
        return []
    return ["via", *(["inet6"] if family == 4 and ":" in via else []), via]


def _encap(encap: Encap) -> list[str]:
    out = ["encap", encap.kind]
    if encap.kind == "mpls":
        return [*out, "/".join(map(str, encap.labels))]
    if encap.kind == "ila":
        return [*out, encap.locator]
    six = encap.kind == "ip6"
    for name, value in (
        ("id", encap.tunnel_id),
        ("tc" if six else "tos", encap.tos),
        ("hoplimit" if six else "ttl", encap.ttl),
        ("flags", encap.flags),
    ):
        out += [name, str(value)] if value != AUTOMATIC else []
    for name, text in (("dst", encap.dst), ("src", encap.src)):
        out += [name, text] if text else []
    return out


def rule_line(rule: Rule) -> str:
    out = ["inet6" if rule.family == 6 else "inet"]
    out += ["not"] if rule.inverted else []
    for name, text in (("from", rule.src), ("to", rule.dst), ("iif", rule.iif), ("oif", rule.oif)):
        out += [name, word(text)] if text else []
    if rule.fwmark != AUTOMATIC:
        out += ["fwmark", str(rule.fwmark) if rule.fwmask == AUTOMATIC else f"{rule.fwmark}/{rule.fwmask}"]
    for name, number, default in (
        ("tos", rule.tos, 0),
        ("suppress_prefixlength", rule.suppress_prefixlength, AUTOMATIC),
        ("suppress_ifgroup", rule.suppress_group, AUTOMATIC),
        ("tunnel-id", rule.tunnel_id, 0),
        ("ipproto", rule.ipproto, 0),
        ("protocol", rule.protocol, KEEPALIVED),
        ("preference", rule.preference, AUTOMATIC),
    ):
        out += [name, str(number)] if number != default else []
    for name, span in (("uidrange", rule.uids), ("sport", rule.sports), ("dport", rule.dports)):
        out += [name, "-".join(map(str, span))] if span else []
    if rule.realms:
        out += ["realms", f"{rule.realms >> 16}/{rule.realms & 0xFFFF}"]
    out += {"table": ["table", str(rule.table)], "goto": ["goto", str(rule.target)]}.get(rule.action, [rule.action])
    return " ".join([*out, *_tracking(rule.tracked, rule.track_group)])
