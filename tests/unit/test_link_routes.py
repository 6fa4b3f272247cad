"""Messages about routes and rules, held against pyroute2's idea of them."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from fastha.link import routes, rtnl
from fastha.model import Encap, Metric, Nexthop, Route, Rule
from random_routes import ROUTES, RULES

LINKS = {"eth0": 7, "eth1": 8}
VRFS = {"red": 1000}


def read(kind: type[Any], data: bytes) -> dict[str, Any]:
    message = kind(data)
    message.decode()
    attributes = dict(tuple(pair) for pair in message["attrs"])
    return {**{k: message[k] for k in message if k not in ("attrs", "header")}, **attributes}


def add(route: Route) -> dict[str, Any]:
    return read(rtmsg, routes.messages(route, LINKS, VRFS).add)


def test_a_route() -> None:
    route = Route(
        4, "10.1.0.0/16", via="10.0.0.1", dev="eth0", src="10.0.0.9", table=70000, metric=5, tos=16, onlink=True,
        realms=(3 << 16) | 4, congctl="reno",
        metrics=(Metric("mtu", 1400, True), Metric("rtt", 800), Metric("initcwnd", 20)),
    )  # fmt: skip
    found = add(route)
    metrics = dict(found.pop("RTA_METRICS")["attrs"])
    assert metrics.pop("RTAX_LOCK") == 1 << 2
    assert metrics == {"RTAX_MTU": 1400, "RTAX_RTT": 800, "RTAX_INITCWND": 20, "RTAX_CC_ALGO": "reno"}
    wanted = {
        "family": socket.AF_INET, "dst_len": 16, "tos": 16, "proto": 18, "scope": 0, "type": 1, "flags": 4,
        "RTA_DST": "10.1.0.0", "RTA_GATEWAY": "10.0.0.1", "RTA_OIF": 7, "RTA_PREFSRC": "10.0.0.9",
        "RTA_TABLE": 70000, "RTA_PRIORITY": 5, "RTA_FLOW": (3 << 16) | 4,
    }  # fmt: skip
    assert wanted.items() <= found.items()


def test_ways() -> None:
    hops = (Nexthop("10.0.0.1", "eth0", 3, True), Nexthop(dev="eth1", realms=9))
    one, other = add(Route(4, "0.0.0.0/0", nexthops=hops))["RTA_MULTIPATH"]
    assert (one["oif"], one["hops"], one["flags"], dict(one["attrs"])) == (7, 2, 4, {"RTA_GATEWAY": "10.0.0.1"})
    assert (other["oif"], other["hops"], dict(other["attrs"])) == (8, 0, {"RTA_FLOW": 9})


def test_a_vrf_is_its_table() -> None:
    assert add(Route(4, "0.0.0.0/0", dev="eth0", vrf="red"))["RTA_TABLE"] == 1000
    with pytest.raises(routes.Missing, match="blue"):
        add(Route(4, "0.0.0.0/0", dev="eth0", vrf="blue"))
    link = ifinfmsg()
    link["index"] = 5
    info = {"attrs": [("IFLA_INFO_KIND", "vrf"), ("IFLA_INFO_DATA", {"attrs": [("IFLA_VRF_TABLE", 1000)]})]}
    link["attrs"] = [("IFLA_IFNAME", "red"), ("IFLA_LINKINFO", info)]
    link["header"]["type"] = rtnl.RTM_NEWLINK
    link.encode()
    assert list(rtnl.vrf_tables(bytes(link.data))) == [("red", 1000)]


# By hand, from linux/lwtunnel.h, linux/mpls_iptunnel.h (labels: RFC 3032 section 2.1) and linux/ila.h.
ENCAPS = [
    (Encap("mpls", labels=(100, 200)), 1, "0c000100" + "00064000" + "000c8100"),
    (Encap("ip", tunnel_id=5, dst="10.9.9.1"), 2, "0c000100" + "0000000000000005" + "08000200" + "0a090901"),
    (Encap("ip6", ttl=4), 4, "05000400" + "04000000"),
    (Encap("ila", locator="a:b:c:d"), 3, "0c000100" + "000a000b000c000d"),
]


@pytest.mark.parametrize(("encap", "kind", "data"), ENCAPS, ids=lambda x: getattr(x, "kind", None))
def test_encapsulation(encap: Encap, kind: int, data: str) -> None:
    message = routes.messages(Route(4, "10.1.0.0/16", dev="eth0", encap=encap), LINKS, VRFS).add
    body = memoryview(message)[rtnl.HEADER.size + routes.RTMSG.size :]
    found = {number: bytes(value) for number, value in rtnl.attributes(body)}
    assert found[routes.RTA_ENCAP_TYPE] == kind.to_bytes(2, "little")
    assert found[routes.RTA_ENCAP].hex() == data


def test_a_rule() -> None:
    rule = Rule(
        4, "table", 70000, preference=9, src="10.0.0.1/32", fwmark=7, fwmask=15, iif="eth0", suppress_prefixlength=0,
        uids=(5, 9), ipproto=6, dports=(80, 90), inverted=True,
    )  # fmt: skip
    found = read(fibmsg, routes.messages(rule, LINKS, VRFS).add)
    wanted = {
        "family": socket.AF_INET, "src_len": 32, "action": 1, "flags": 2, "FRA_SRC": "10.0.0.1", "FRA_TABLE": 70000,
        "FRA_PRIORITY": 9, "FRA_FWMARK": 7, "FRA_FWMASK": 15, "FRA_IIFNAME": "eth0", "FRA_SUPPRESS_PREFIXLEN": 0,
        "FRA_PROTOCOL": 18, "FRA_IP_PROTO": 6,
    }  # fmt: skip
    assert wanted.items() <= found.items()
    assert (found["FRA_UID_RANGE"], found["FRA_DPORT_RANGE"]) == ("5:9", "80:90")


@pytest.mark.parametrize("one", [*ROUTES, *RULES], ids=str)
def test_each_serves_itself_alone(one: Route | Rule) -> None:
    mine = routes.messages(one, LINKS, VRFS).seen
    assert mine.serves(mine, exact=True)
    others = [routes.messages(other, LINKS, VRFS).seen for other in (*ROUTES, *RULES) if other != one]
    assert not any(mine.serves(other) for other in others)


def test_what_is_cut_off_is_skipped() -> None:
    data = b"".join(routes.messages(one, LINKS, VRFS).add for one in (*ROUTES, *RULES))
    assert len(list(routes.parse(data))) == len(ROUTES) + len(RULES)
    for end in range(0, len(data), 7):
        list(routes.parse(data[:end]))
