"""Routes, rules and static things for random configurations: in this catalogue every field has several values."""

from __future__ import annotations

import random

from fastha.model import Encap, Metric, Nexthop, Route, Rule, Statics, TrackGroup, VirtualAddress

IP = Encap("ip", tunnel_id=5, dst="10.9.9.1", src="10.9.9.2", tos=16, ttl=64, flags=3)
IP6 = Encap("ip6", tunnel_id=6, dst="2001:db8::1", src="2001:db8::2", tos=8, ttl=63, flags=1)
ROUTES = (
    Route(4, "0.0.0.0/0", via="10.0.0.254", dev="eth0", table=100, metric=5),
    Route(4, "10.1.0.0/16", kind="blackhole", tracked=False),
    Route(4, "10.2.0.0/16", via="fe80::1", dev="eth0", scope=200, tos=16, protocol=4, src="10.0.0.9"),
    Route(4, "10.3.0.0/16", dev="eth0", vrf="red", onlink=True, realms=(3 << 16) | 4, ttl_propagate="disabled"),
    Route(
        4, "10.4.0.0/16", dev="eth0", congctl="bbr", congctl_lock=True, operation="append",
        metrics=(
            Metric("mtu", 1400, True), Metric("rtt", 800), Metric("features", 1), Metric("quickack", 0),
            Metric("hoplimit", 9), Metric("rto_min", 40, True), Metric("initcwnd", 20),
        ),
    ),
    Route(4, "10.5.0.0/16", dev="eth0", encap=IP, operation="add"),
    Route(4, "10.5.1.0/24", dev="eth0", encap=Encap("mpls", labels=(100, 200))),
    Route(6, "2001:db8::/32", dev="eth0", encap=IP6, expires_s=99, pref="low", source="2001:db8:1::/48"),
    Route(6, "2001:db8:1::/48", dev="eth0", encap=Encap("ila", locator="a:b:c:d"), operation="prepend"),
    Route(4, "10.6.0.0/16", nexthops=(
        Nexthop("10.0.0.1", "eth0", 3, True, (1 << 16) | 2), Nexthop("10.0.0.2", encap=IP), Nexthop(dev="eth1"),
    )),
)  # fmt: skip
RULES = (
    Rule(4, "table", 100, preference=9, src="10.0.0.1/32", dst="10.9.0.0/16", inverted=True, tos=16, realms=7),
    Rule(4, "goto", target=900, preference=10, fwmark=7, fwmask=15, iif="eth0", oif="eth1", tracked=False),
    Rule(6, "unreachable", src="2001:db8::/32", uids=(5, 9), ipproto=6, sports=(1, 2), dports=(80, 90)),
    Rule(4, "table", 254, suppress_prefixlength=0, suppress_group=4, tunnel_id=9, protocol=4, fwmark=3),
    Rule(4, "l3mdev", preference=1000),
)
STATIC_ADDRESSES = (
    VirtualAddress("10.8.0.1", 24, "eth0", broadcast="10.8.0.255", flags=("noprefixroute", "autojoin")),
    VirtualAddress("10.8.0.2", 30, "eth1", peer="10.8.1.1", preferred_s=0, tracked=False),
    VirtualAddress("2001:db8::8", 64, "eth0", flags=("nodad", "home", "mngtmpaddr"), preferred_s=(1 << 32) - 1),
)


def some_routes(r: random.Random) -> tuple[Route, ...]:
    return tuple(r.sample(ROUTES, r.randint(0, 4)))


def some_rules(r: random.Random) -> tuple[Rule, ...]:
    return tuple(r.sample(RULES, r.randint(0, 2)))


def some_statics(r: random.Random, instances: tuple[str, ...]) -> tuple[Statics, ...]:
    """None or one; some of it names a track_group."""
    from dataclasses import replace

    groups = (TrackGroup("first", instances), TrackGroup("second one", instances[:1]))

    def grouped(one: object) -> object:
        return replace(one, track_group=r.choice(groups).name) if r.random() < 0.4 else one  # type: ignore[type-var]

    parts = [tuple(grouped(x) for x in some) for some in (some_routes(r), some_rules(r))]
    addresses = tuple(grouped(x) for x in r.sample(STATIC_ADDRESSES, r.randint(0, 3)))
    return (Statics(addresses, *parts, groups),) if addresses or any(parts) else ()  # type: ignore[arg-type]
