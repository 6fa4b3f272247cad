"""Routes and rules in the kernel, as `ip -j` tells: with mastership, static ones, repaired, reloaded by value."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config, Metric, Nexthop, Route, Rule, Statics, TrackGroup, VirtualAddress
from netns.vrrp_director import Director, addresses, directors, has_vip, instance

pytestmark = pytest.mark.root


class Static(Director):
    """`statics` is what its configuration has beside instances."""

    statics: tuple[Statics, ...] = ()

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(instances=values, statics=self.statics)

    @classmethod
    def begun(cls, namespace: Namespace, statics: Statics | None, *instances: Any, **previous: Any) -> Static:
        self = cls(namespace, previous)
        self.change(statics, *instances)
        return self

    def change(self, statics: Statics | None, *instances: Any) -> None:
        self.statics = () if statics is None else (statics,)
        self.configure(*instances)


def shown(namespace: Namespace, what: str = "route show proto 18 table all", family: int = 4) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = json.loads(
        namespace.run(["ip", "-j", "-d", f"-{family}", *what.split()]).stdout or "[]"
    )
    return out


def rules(namespace: Namespace, family: int = 4) -> list[dict[str, Any]]:
    """Without those that are there anyway."""
    return [r for r in shown(namespace, "rule show", family) if r.get("protocol") == "keepalived"]


def dests(namespace: Namespace, family: int = 4) -> list[str]:
    return sorted(r["dst"] for r in shown(namespace, family=family))


DEFAULT = Route(4, "0.0.0.0/0", via="10.9.0.2", dev="eth0", table=77)
PLAIN = Route(4, "10.50.0.0/16", via="10.9.0.2", dev="eth0", metric=5, src="10.9.0.100")
RULE = Rule(4, "table", 77, src="10.9.0.100/32", preference=700)


def test_they_come_after_the_addresses_and_go_before_them(network: Network) -> None:
    a, _ = directors(network)
    watch = a.popen(["ip", "-o", "monitor", "address", "route", "rule"], stdout=subprocess.PIPE, text=True)
    with Director.start(a, instance(routes=(DEFAULT, PLAIN), rules=(RULE,))) as director:
        director.until_role("master")
        need.wait_until(lambda: len(rules(a)) == 1 and len(shown(a)) == 2, 5, "they are there")
        (rule,) = rules(a)
        assert (rule["priority"], rule["src"], rule["table"]) == (700, "10.9.0.100", "77")
        assert {(r["dst"], r.get("gateway"), r.get("table"), r.get("prefsrc")) for r in shown(a)} == {
            ("default", "10.9.0.2", "77", None),
            ("10.50.0.0/16", "10.9.0.2", "main", "10.9.0.100"),
        }
        assert director.router()["routes"] == ["route 0.0.0.0/0 dev eth0 table 77", "route 10.50.0.0/16 dev eth0"]
        assert director.router()["refused"] == []
        assert director.stop() == 0
    assert (shown(a), rules(a), has_vip(a)) == ([], [], False)
    watch.terminate()
    lines = [line for line in watch.communicate()[0].splitlines() if "local" not in line and "broadcast" not in line]
    order = [
        ("-" if "Deleted" in line else "+") + next(k for k in ("lookup", "default", "10.50", "10.9.0.100") if k in line)
        for line in lines
    ]
    assert order == ["+10.9.0.100", "+default", "+10.50", "+lookup", "-lookup", "-10.50", "-default", "-10.9.0.100"]


def test_what_somebody_deletes_comes_back_and_is_counted(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, instance(routes=(DEFAULT, PLAIN), rules=(RULE,))) as director:
        director.until_role("master")
        need.wait_until(lambda: len(rules(a)) == 1 and len(shown(a)) == 2, 5, "they are there")
        a.ip("route del 10.50.0.0/16")
        need.wait_until(lambda: "10.50.0.0/16" in dests(a), 1, "the route is back")
        a.ip("rule del preference 700")
        need.wait_until(lambda: rules(a), 1, "the rule is back")
        director.until(lambda: director.router()["repaired"] == 2, "both are counted")
        a.ip("route replace 10.50.0.0/16 via 10.9.0.2 metric 5 proto static")
        need.wait_until(lambda: "10.50.0.0/16" in dests(a), 1, "what was replaced is back")
        director.until(lambda: director.router()["repaired"] == 3, "that is counted")


def dropped(namespace: Namespace) -> int:
    """How many netlink sockets there have lost something (`Drops` of /proc/net/netlink)."""
    lines = namespace.run(["cat", "/proc/net/netlink"]).stdout.splitlines()[1:]
    return sum(int(line.split()[8]) > 0 for line in lines)


def test_lost_notifications_mean_another_look(network: Network) -> None:
    """The child stands still while more is announced than its sockets hold; two deletions are lost among it."""
    a, _ = directors(network)
    network.attach("lan2", a, "eth1", "10.8.0.1/24")
    with Director.start(a, instance(routes=(PLAIN,))) as director:
        director.until_role("master")
        need.wait_until(lambda: dests(a), 5, "it is there")
        director.signal(signal.SIGSTOP)
        numbers = [f"{200 + i // 250}.{i % 250}" for i in range(9000)]
        some = [f"route VERB 10.{n}.0/24 dev eth0 proto 18" for n in numbers]
        some += [f"addr VERB 10.{n}.1/32 dev eth1" for n in numbers[:6000]]
        path = network.folder / "batch"
        path.write_text("".join(f"{line.replace('VERB', verb)}\n" for line in some for verb in ("add", "del")))
        a.run(["ip", "-batch", path])
        a.ip("route del 10.50.0.0/16 metric 5")
        a.ip("addr del 10.9.0.100/32 dev eth0")
        assert dropped(a) == 2, "both sockets are overrun"
        director.signal(signal.SIGCONT)
        need.wait_until(lambda: dests(a) == ["10.50.0.0/16"] and has_vip(a), 5, "both are back")


def test_a_reload_goes_by_value(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, instance(routes=(DEFAULT, PLAIN), rules=(RULE,))) as director:
        director.until_role("master")
        need.wait_until(lambda: len(rules(a)) == 1 and len(shown(a)) == 2, 5, "they are there")
        watch = a.popen(["ip", "-o", "monitor", "route", "rule", "address"], stdout=subprocess.PIPE, text=True)
        other = Route(4, "10.60.0.0/16", kind="blackhole")
        director.configure(instance(routes=(DEFAULT, other), rules=(RULE,)))
        need.wait_until(lambda: dests(a) == ["10.60.0.0/16", "default"], 5, "the difference is applied")
        director.configure(instance(routes=(DEFAULT, other), rules=(RULE,), priority=99))
        watch.terminate()
        seen = watch.communicate()[0].splitlines()
        assert len(seen) == 2, seen
        assert director.router()["state"] == "master"


def test_a_route_follows_its_interface_unless_it_is_not_tracked(network: Network) -> None:
    a, _ = directors(network)
    network.attach("lan2", a, "eth1", "10.8.0.1/24")
    far = Route(4, "10.70.0.0/16", via="10.8.0.2", dev="eth1")
    loose = Route(4, "10.71.0.0/16", via="10.8.0.2", dev="eth1", tracked=False)
    with Director.start(a, instance(routes=(far,))) as director:
        director.until_role("master")
        a.ip("link set eth1 down")
        director.until_role("fault")
        assert director.router()["faults"] == ["interface eth1 is down"]
        a.ip("link set eth1 up")
        director.until_role("master")
        need.wait_until(lambda: dests(a) == ["10.70.0.0/16"], 5, "it is back")
    with Director.start(a, instance(routes=(loose,))) as director:
        director.until_role("master")
        need.wait_until(lambda: "10.71.0.0/16" in dests(a), 5, "it is there")
        a.ip("link set eth1 down")
        a.ip("link set eth1 up")
        director.until(lambda: director.router()["sent"] > 5, "it speaks")
        assert director.router()["state"] == "master"


def test_what_cannot_be_is_one_line_and_tried_again(network: Network) -> None:
    a, _ = directors(network)
    far = Route(4, "10.70.0.0/16", via="10.8.0.2", tracked=False)
    with Director.start(a, instance(routes=(far,))) as director:
        director.until_role("master")
        wanted = "route 10.70.0.0/16: Network is unreachable"
        director.until(lambda: director.router().get("refused") == [wanted], "it is told")
        assert director.log.count("cannot be added") == 1
        a.ip("addr add 10.8.0.1/24 dev eth0")
        need.wait_until(lambda: dests(a) == ["10.70.0.0/16"], 5, "it is there as soon as it can be")
        director.until(lambda: director.router().get("refused") == [], "that is told too")


OPTIONS = [
    (Route(4, "10.1.0.0/16", kind="unreachable"), {"type": "unreachable"}),
    (Route(4, "10.1.0.0/16", kind="throw", table=9), {"type": "throw", "table": "9"}),
    (Route(4, "10.1.0.0/16", kind="prohibit", metric=7), {"type": "prohibit", "metric": 7}),
    (Route(4, "10.1.0.0/16", dev="eth0"), {"scope": "link", "dev": "eth0"}),
    (Route(4, "10.1.0.0/16", dev="eth0", scope=200, protocol=18), {"scope": "site"}),
    (Route(4, "10.1.0.0/16", via="10.9.0.2", dev="eth0", tos=16), {"tos": "0x10"}),
    (Route(4, "10.1.0.0/16", via="10.99.0.2", dev="eth0", onlink=True), {"flags": ["onlink"]}),
    (Route(4, "10.1.0.0/16", via="fe80::2", dev="eth0"), {"via": {"family": "inet6", "host": "fe80::2"}}),
    (Route(4, "10.1.0.0/16", dev="eth0", table=70000), {"table": "70000"}),
    (
        Route(
            4, "10.1.0.0/16", via="10.9.0.2", dev="eth0", congctl="reno", congctl_lock=True,
            metrics=(
                Metric("mtu", 1400, True), Metric("advmss", 1300), Metric("rtt", 800), Metric("hoplimit", 9),
                Metric("initcwnd", 20), Metric("features", 1), Metric("quickack", 1), Metric("rto_min", 50),
            ),
        ),
        {"metrics": [{
            "mtu": 1400, "rtt": 100, "advmss": 1300, "hoplimit": 9, "initcwnd": 20, "ecn": None, "rto_min": 50,
            "quickack": 1, "congestion": "reno",
        }]},
    ),
    (
        Route(4, "10.1.0.0/16", nexthops=(
            Nexthop("10.9.0.2", "eth0", 2), Nexthop("10.9.0.3", "eth0", 5), Nexthop("10.99.0.3", "eth0", onlink=True),
        )),
        {"nexthops": [
            {"gateway": "10.9.0.2", "dev": "eth0", "weight": 2, "flags": []},
            {"gateway": "10.9.0.3", "dev": "eth0", "weight": 5, "flags": []},
            {"gateway": "10.99.0.3", "dev": "eth0", "weight": 1, "flags": ["onlink"]},
        ]},
    ),
    (Route(6, "2001:db8:1::/48", via="fe80::2", dev="eth0", metric=9), {"gateway": "fe80::2", "metric": 9}),
    (
        Route(6, "2001:db8:1::/48", dev="eth0", pref="high", source="2001:db8:9::/48"),
        {"pref": "high", "from": "2001:db8:9::/48"},
    ),
    (Route(6, "2001:db8:1::/48", dev="eth0", expires_s=5000), {"expires": range(4900, 5001)}),
    (
        Route(6, "2001:db8:1::/48", nexthops=(Nexthop("fe80::2", "eth0"), Nexthop("fe80::3", "eth0", 3))),
        {"nexthops": [
            {"gateway": "fe80::2", "dev": "eth0", "weight": 1, "flags": []},
            {"gateway": "fe80::3", "dev": "eth0", "weight": 3, "flags": []},
        ]},
    ),
    (Route(6, "::/0", kind="blackhole", metric=20), {"type": "blackhole"}),
]  # fmt: skip


def has_come(director: Director, show: Callable[[], list[dict[str, Any]]], told: dict[str, Any]) -> None:
    """What is shown is one thing, which has all that is `told` (one of several values: a range)."""

    def fits() -> bool:
        have = show()
        return len(have) == 1 and all(
            have[0].get(k, "absent") in v if isinstance(v, range) else have[0].get(k, "absent") == v
            for k, v in told.items()
        )

    try:
        director.until(fits, f"{told}")
    except AssertionError as error:
        raise AssertionError(f"{show()}\n{error}") from None


def test_every_option_of_a_route(network: Network) -> None:
    """One after the other by reloads; a second look finds each in place, and it goes at the end."""
    a, _ = directors(network)
    a.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
    with Static.begun(a, None, instance()) as director:
        director.until_role("master")
        for route, told in OPTIONS:
            director.change(Statics(routes=(route,)), instance())
            has_come(director, lambda r=route: shown(a, family=r.family), told)  # type: ignore[misc]
            # Somebody else's route is deleted: a look. Ours is found, whatever the kernel has made of it.
            a.ip("route add 10.222.0.0/16 dev eth0 proto 18")
            a.ip("route del 10.222.0.0/16 dev eth0 proto 18")
        director.change(Statics(routes=(DEFAULT,)), instance())
        need.wait_until(lambda: dests(a) == ["default"] and not dests(a, 6), 5, "all others are gone")
        director.until(lambda: director.facts["static"]["repaired"] == 0, "nothing was ever missed")


RULES = [
    (Rule(4, "table", 5, preference=10), {"table": "5", "src": "all"}),
    (Rule(4, "table", 70000, preference=10), {"table": "70000"}),
    (Rule(4, "goto", target=32766, preference=10), {"goto": 32766}),
    (Rule(4, "nop", preference=10), {"nop": None}),
    (Rule(4, "blackhole", preference=10, src="10.0.0.0/8"), {"action": "blackhole", "src": "10.0.0.0", "srclen": 8}),
    (Rule(4, "unreachable", preference=10), {"action": "unreachable"}),
    (Rule(4, "prohibit", preference=10, dst="10.1.0.0/16"), {"action": "prohibit", "dst": "10.1.0.0", "dstlen": 16}),
    (Rule(4, "l3mdev", preference=10), {"l3mdev": None}),
    (Rule(4, "table", 5, preference=10, inverted=True, src="10.0.0.1/32"), {"not": None, "src": "10.0.0.1"}),
    (Rule(4, "table", 5, preference=10, tos=16), {"tos": "0x10"}),
    (Rule(4, "table", 5, preference=10, fwmark=7, fwmask=15), {"fwmark": "0x7", "fwmask": "0xf"}),
    (Rule(4, "table", 5, preference=10, fwmark=7), {"fwmark": "0x7"}),
    (Rule(4, "table", 5, preference=10, suppress_prefixlength=0), {"suppress_prefixlen": 0}),
    (Rule(4, "table", 5, preference=10, suppress_group=4), {"suppress_ifgroup": "4"}),
    (Rule(4, "table", 5, preference=10, iif="eth0"), {"iif": "eth0"}),
    (Rule(4, "table", 5, preference=10, oif="later", tracked=False), {"oif": "later"}),
    (Rule(4, "table", 5, preference=10, uids=(10, 20)), {"uid_start": 10, "uid_end": 20}),
    (
        Rule(4, "table", 5, preference=10, ipproto=6, dports=(80, 90)),
        {"ipproto": "tcp", "dport_start": 80, "dport_end": 90},
    ),
    (Rule(4, "table", 5, preference=10, ipproto=17, sports=(5, 5)), {"ipproto": "udp", "sport": 5}),
    (Rule(4, "table", 5, preference=10, tunnel_id=99), {"tun_id": 99}),
    (Rule(4, "table", 5), {"table": "5", "priority": 32765}),
    (Rule(6, "table", 5, preference=10, src="2001:db8::/32"), {"src": "2001:db8::", "srclen": 32}),
]  # fmt: skip


def test_every_selector_of_a_rule(network: Network) -> None:
    a, _ = directors(network)
    with Static.begun(a, None, instance()) as director:
        director.until_role("master")
        for rule, told in RULES:
            director.change(Statics(rules=(rule,)), instance())
            has_come(director, lambda r=rule: rules(a, r.family), told)  # type: ignore[misc]
            a.ip("rule add preference 99 table 9")
            a.ip("rule del preference 99 table 9")
        director.change(None, instance())
        need.wait_until(lambda: not rules(a) and not rules(a, 6), 5, "all are gone")
        director.until(lambda: director.facts["static"]["repaired"] == 0, "nothing was ever missed")


def test_static_things_without_any_instance(network: Network) -> None:
    a, _ = directors(network)
    statics = Statics(
        addresses=(
            VirtualAddress("10.30.0.1", 24, "eth0", broadcast="10.30.0.255"),
            VirtualAddress("fd00::9", 64, "eth0"),
        ),
        routes=(Route(4, "10.31.0.0/16", via="10.30.0.2", dev="eth0", src="10.30.0.1"),),
        rules=(RULE,),
    )  # fmt: skip
    with Static.begun(a, statics) as director:
        need.wait_until(lambda: dests(a) == ["10.31.0.0/16"] and rules(a), 5, "all is there")
        assert "10.30.0.1/24" in addresses(a)
        a.ip("addr del 10.30.0.1/24 dev eth0")  # the kernel drops the route without a word
        need.wait_until(lambda: "10.30.0.1/24" in addresses(a) and dests(a), 5, "both are back")
        director.until(lambda: director.facts["static"]["repaired"] == 2, "both are counted")
        a.ip("addr del fd00::9/64 dev eth0")
        need.wait_until(lambda: "fd00::9/64" in a.run(["ip", "-o", "addr"]).stdout, 5, "IPv6 too")
        assert director.stop() == 0
    assert addresses(a) == ["10.9.0.1/24"]
    assert (shown(a), rules(a)) == ([], [])
    assert "fd00::9/64" not in a.run(["ip", "-o", "addr"]).stdout


def test_what_was_there_before_stays(network: Network) -> None:
    a, _ = directors(network)
    a.ip("addr add 10.30.0.1/24 dev eth0")
    a.ip("rule add preference 700 from 10.9.0.100 table 77")
    a.ip("route add 10.31.0.0/16 dev eth0 metric 3 proto static")
    route = Route(4, "10.31.0.0/16", dev="eth0", metric=3, operation="add")
    statics = Statics((VirtualAddress("10.30.0.1", 24, "eth0"),), (route,), (RULE,))
    with Static.begun(a, statics) as director:
        director.until(lambda: "static" in director.facts, "it runs")
        assert director.stop() == 0
    assert "10.30.0.1/24" in addresses(a)
    assert [r["priority"] for r in shown(a, "rule show") if r.get("table") == "77"] == [700]
    assert [r["dst"] for r in shown(a, "route show proto static")] == ["10.31.0.0/16"]


def test_a_track_group_fails_its_instances(network: Network) -> None:
    a, _ = directors(network)
    network.attach("lan2", a, "eth1", "10.8.0.1/24")
    statics = Statics(
        routes=(Route(4, "10.31.0.0/16", via="10.8.0.2", dev="eth1", track_group="group"),),
        groups=(TrackGroup("group", ("vi",)),),
    )
    with Static.begun(
        a, statics, instance(), instance(name="other", vrid=52, addresses=(VirtualAddress("10.9.0.102"),))
    ) as director:
        director.until_role("master")
        director.until_role("master", "other")
        a.ip("link set eth1 down")
        director.until_role("fault")
        assert director.router()["faults"] == ["static route 10.31.0.0/16 dev eth1 is lost: interface eth1 is down"]
        assert director.router("other")["state"] == "master"
        a.ip("link set eth1 up")
        director.until_role("master")
        need.wait_until(lambda: dests(a) == ["10.31.0.0/16"], 5, "it is back")
        a.ip("addr del 10.8.0.1/24 dev eth1")
        director.until_role("fault")
        assert director.router()["faults"] == ["static route 10.31.0.0/16 dev eth1 is lost: Network is unreachable"]
        a.ip("addr add 10.8.0.1/24 dev eth1")
        director.until_role("master")


def test_a_killed_childs_replacement_adopts_them(network: Network) -> None:
    a, _ = directors(network)
    mine = instance(routes=(DEFAULT, PLAIN), rules=(RULE,), advert_int_ns=10**9, priority=255)
    with Director.start(a, mine) as first:
        first.until_role("master")
        need.wait_until(lambda: len(rules(a)) == 1 and len(shown(a)) == 2, 5, "they are there")
        watch = a.popen(["ip", "-o", "monitor", "route", "rule", "address"], stdout=subprocess.PIPE, text=True)
        first.kill()
        with first.replacement(mine) as again:
            again.until_role("master")
            again.until(lambda: again.router()["sent"] > 1, "it speaks")
            watch.terminate()
            assert watch.communicate()[0] == ""
            assert again.stop() == 0
    assert (shown(a), rules(a)) == ([], [])


def test_what_an_earlier_daemon_left_is_removed(network: Network) -> None:
    a, _ = directors(network)
    from fastha.model.parts import owned

    with Static.begun(a, Statics(routes=(DEFAULT,), rules=(RULE,))) as first:
        need.wait_until(lambda: rules(a) and shown(a), 5, "they are there")
        first.kill()
    left = [owned(DEFAULT), owned(RULE)]
    with Static.begun(a, None, instance(), owned_addresses=left) as again:
        need.wait_until(lambda: not rules(a) and not shown(a), 5, "they are gone")
        assert again.stop() == 0


def test_addresses_with_options(network: Network) -> None:
    a, _ = directors(network)
    some = (
        VirtualAddress("10.42.0.100", 24, broadcast="10.42.0.255", flags=("noprefixroute",), scope=253),
        VirtualAddress("10.9.0.101", 30, peer="10.40.0.1", preferred_s=0),
        VirtualAddress("10.9.0.102", tracked=False, label="eth0:x"),
    )
    with Director.start(a, instance(addresses=some)) as director:
        director.until_role("master")
        need.wait_until(lambda: len(addresses(a)) == 4, 5, "they are there")
        (link,) = json.loads(a.run(["ip", "-j", "-4", "addr", "show", "dev", "eth0"]).stdout)
        found = {one["local"]: one for one in link["addr_info"]}
        assert found["10.42.0.100"]["broadcast"] == "10.42.0.255"
        assert found["10.42.0.100"]["noprefixroute"] is True
        assert found["10.42.0.100"]["scope"] == "link"
        assert (found["10.9.0.101"]["address"], found["10.9.0.101"]["prefixlen"]) == ("10.40.0.1", 30)
        assert found["10.9.0.101"]["deprecated"] is True
        assert found["10.9.0.102"]["label"] == "eth0:x"
        a.ip("addr del 10.9.0.102/32 dev eth0")
        a.ip("addr del 10.9.0.101 peer 10.40.0.1/30 dev eth0")
        director.until(lambda: director.router()["repaired"] == 1, "the tracked one comes back")
        assert not any(one.startswith("10.9.0.102") for one in addresses(a)), "nobody looks after the other"
        assert director.stop() == 0
    assert addresses(a) == ["10.9.0.1/24"]


def test_promote_secondaries(network: Network) -> None:
    a, _ = directors(network)
    a.sysctl("net.ipv4.conf.all.promote_secondaries", 0)
    a.sysctl("net.ipv4.conf.eth0.promote_secondaries", 0)
    setting = ["cat", "/proc/sys/net/ipv4/conf/eth0/promote_secondaries"]
    both = (VirtualAddress("10.41.0.1", 24), VirtualAddress("10.41.0.2", 24))
    with Director.start(a, instance(addresses=both, promote_secondaries=True)) as director:
        director.until_role("master")
        need.wait_until(lambda: len(addresses(a)) == 3, 5, "they are there")
        assert a.run(setting).stdout == "1\n"
        director.configure(instance(addresses=both[1:], promote_secondaries=True))
        need.wait_until(lambda: len(addresses(a)) == 2, 5, "one goes")
        director.until(lambda: director.router()["sent"] > 5, "time passes")
        assert (addresses(a)[1], director.router()["repaired"]) == ("10.41.0.2/24", 0)
        assert director.stop() == 0
    assert a.run(setting).stdout == "0\n"
