"""VRRP over IPv6 between real children: election, takeover, unicast, addresses without duplicate address detection,
neighbour advertisements, an address of the other family, and what tshark says of all that.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Garp, VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_S
from fastha.wire.address import number
from netns.vrrp_director import Director, directors, has_vip, instance

pytestmark = pytest.mark.root

LOCAL, GLOBAL, FOUR = "fe80::100", "2001:db8:9::100", "10.9.0.77"
VIPS = VirtualAddress(LOCAL, 128), VirtualAddress(GLOBAL, 128)
GARP = Garp(master_delay_ns=NS_PER_S // 5, master_repeat=2)


def six(**values: object) -> VrrpInstance:
    return instance(**{"addresses": VIPS, "family": 6, "garp": GARP, **values})


def addresses6(namespace: Namespace) -> dict[str, str]:
    """IPv6 address -> its line."""
    text = namespace.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0"]).stdout
    return {line.split()[3].partition("/")[0]: line for line in text.splitlines()}


def own(namespace: Namespace) -> str:
    """The link-local address an instance speaks from, once the kernel is sure that it is nobody else's."""

    def found() -> str:
        lines = addresses6(namespace).items()
        return next((ip for ip, line in lines if ip.startswith("fe80") and ip != LOCAL and "tentative" not in line), "")

    need.wait_until(found, 15, f"{namespace.name} has a link-local address")
    return found()


class Capture:
    """tcpdump on eth0 into a file."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.path = folder / "capture6"
        self.process = namespace.popen(
            ["tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-Z", "root", "-w", self.path,
             "ip6 proto 112 or (icmp6 and ip6[40] == 136)"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        while "listening on" not in self.process.stderr.readline():
            assert self.process.poll() is None

    def rows(self, *fields: str) -> list[dict[str, str]]:
        named = [word for field in fields for word in ("-e", field)]
        text = subprocess.run(
            ["tshark", "-n", "-r", self.path, "-T", "fields", *named], check=True, capture_output=True, text=True
        ).stdout
        return [dict(zip(fields, line.split("\t"), strict=True)) for line in text.splitlines()]

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=5)


def test_election_takeover_and_return(network: Network) -> None:
    a, b = directors(network)
    with (
        Director.start(a, six(priority=200, excluded=(VirtualAddress(FOUR),))) as high,
        Director.start(b, six(priority=100, excluded=(VirtualAddress(FOUR),))) as low,
    ):
        high.until_role("master", deadline_s=15)
        low.until(lambda: low.router().get("received", 0) >= 3, "it hears", 15)
        assert low.router()["state"] == "backup"
        assert low.router()["master"] == own(a)
        assert low.router()["discarded"] == {}
        assert low.router()["addresses_differ"] == 0, "the excluded address is not in adverts"
        lines = addresses6(a)
        for ip in (LOCAL, GLOBAL):
            assert "nodad" in lines[ip], "no second of waiting for duplicates"
            assert "tentative" not in lines[ip]
            assert "deprecated" in lines[ip], "never picked as a source"
        assert has_vip(a, FOUR)
        assert not {LOCAL, GLOBAL} & addresses6(b).keys()
        assert [p["ip"] for p in low.router()["peers"]] == [own(a)]
        high.kill()
        low.until_role("master", deadline_s=10)
        need.wait_until(lambda: {LOCAL, GLOBAL} <= addresses6(b).keys(), 5, "the addresses have come")
        assert has_vip(b, FOUR)
        with high.replacement(six(priority=200, excluded=(VirtualAddress(FOUR),))) as again:
            again.until_role("master", deadline_s=10)
            low.until_role("backup", deadline_s=10)
            need.wait_until(lambda: not {LOCAL, GLOBAL} & addresses6(b).keys(), 5, "the addresses have gone")
            assert not has_vip(b, FOUR)
            assert again.stop() == 0
            low.until_role("master", deadline_s=10)
            assert low.router()["zero_received"] >= 1
        assert not {LOCAL, GLOBAL} & addresses6(a).keys()


def test_an_equal_priority_is_decided_by_the_address(network: Network) -> None:
    a, b = directors(network)
    higher, lower = (a, b) if number(own(a)) > number(own(b)) else (b, a)
    ports = {namespace: f"port{i}" for i, namespace in enumerate((a, b), 1)}
    with Director.start(lower, six()) as one, Director.start(higher, six()) as other:
        need.wait_until(
            lambda: (one.poll(), other.poll(), {one.router().get("state"), other.router().get("state")})[2]
            == {"master", "backup"},
            20, "one of them is master",
        )  # fmt: skip
        network.unplug(ports[lower])
        other.until_role("master", deadline_s=10)
        network.plug(ports[lower])
        one.until_role("backup", deadline_s=15)
        assert other.router()["state"] == "master"


def test_unicast(network: Network) -> None:
    a, b = directors(network)
    for namespace, ip in ((a, "fd00:9::1"), (b, "fd00:9::2")):
        namespace.ip(f"addr add {ip}/64 dev eth0 nodad")
    ours = six(priority=200, unicast_src="fd00:9::1", unicast_peers=("fd00:9::2",))
    theirs = six(priority=100, unicast_src="fd00:9::2", unicast_peers=("fd00:9::1",))
    with Director.start(a, ours) as high, Director.start(b, theirs) as low:
        high.until_role("master", deadline_s=15)
        low.until(lambda: low.router().get("received", 0) >= 3, "it hears", 15)
        assert (low.router()["state"], low.router()["master"]) == ("backup", "fd00:9::1")
        assert high.stop() == 0
        low.until_role("master", deadline_s=10)


def test_both_families_share_a_vrid(network: Network) -> None:
    a, b = directors(network)
    four = instance(name="four", priority=200)
    with Director.start(a, six(name="six", priority=200), four) as high:
        high.until_role("master", "six", 15)
        high.until_role("master", "four", 15)
        with Director.start(b, six(name="six"), instance(name="four")) as low:
            for name in ("six", "four"):
                low.until(lambda name=name: low.router(name).get("received", 0) >= 3, f"{name} hears", 15)
                assert low.router(name)["state"] == "backup"
                assert low.router(name)["discarded"] == {}


def test_tshark_reads_us_without_a_warning(network: Network) -> None:
    need.tool("tcpdump", "tshark")
    a, b = directors(network)
    own(a)
    a.run(["sysctl", "-qw", "net.ipv6.conf.eth0.forwarding=1"])
    capture = Capture(b, network.folder)
    with Director.start(a, six(priority=200)) as director:
        director.until_role("master", deadline_s=15)
        director.until(lambda: director.router()["sent"] >= 5, "it speaks", 10)
        fields = ["icmpv6.nd.na.target_address", "icmpv6.nd.na.flag.o", "icmpv6.nd.na.flag.r", "icmpv6.checksum.status"]

        def announced() -> list[dict[str, str]]:
            rows = capture.rows("ipv6.dst", "icmpv6.type", *fields)
            return [r for r in rows if r["icmpv6.nd.na.target_address"] in (LOCAL, GLOBAL)]

        need.wait_until(lambda: len(announced()) >= 8, 10, "two blocks of two for two addresses")
        assert director.stop() == 0
    capture.stop()
    for row in announced():
        assert row["ipv6.dst"] == "ff02::1"
        assert [row[f] for f in fields[1:]] == ["1", "1", "1"], row
    order = [row["icmpv6.nd.na.target_address"] for row in announced()][:4]
    assert order == [LOCAL, GLOBAL, LOCAL, GLOBAL], "one copy of each before any repeat"
    names = ["ipv6.src", "ipv6.dst", "ipv6.hlim", "vrrp.checksum.status", "vrrp.prio", "vrrp.ipv6_addr"]
    rows = [r for r in capture.rows(*names, "_ws.expert.message", "vrrp.version") if r["vrrp.version"]]
    assert {r["vrrp.prio"] for r in rows} == {"200", "0"}
    for row in rows:
        assert (row["ipv6.dst"], row["ipv6.hlim"], row["vrrp.checksum.status"]) == ("ff02::12", "255", "1"), row
        assert row["ipv6.src"] == own(a)
        assert row["vrrp.ipv6_addr"] == f"{LOCAL},{GLOBAL}"
    warned = {r["_ws.expert.message"] for r in capture.rows("_ws.expert.message")}
    assert warned == {""}


def test_an_interface_without_a_link_local_address_is_a_fault(network: Network) -> None:
    a, _ = directors(network)
    own(a)
    with Director.start(a, six(priority=200)) as director:
        director.until_role("master", deadline_s=15)
        a.ip(f"addr del {own(a)}/64 dev eth0")
        director.until_role("fault", deadline_s=10)
        assert director.router()["faults"] == ["interface eth0 has no link-local IPv6 address"]
        assert not {LOCAL, GLOBAL} & addresses6(a).keys()
        a.ip("addr add fe80::abcd/64 dev eth0")
        director.until_role("master", deadline_s=15)
