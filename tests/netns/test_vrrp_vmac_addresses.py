"""VMACs of single addresses and `garp_extra_if`, from the same words as Debian's keepalived."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config
from netns.vrrp_director import Director, Keepalived
from unit.test_config_effects import Text

pytestmark = pytest.mark.root

TEXT = """global_defs {{
vrrp_garp_master_delay 0
vrrp_garp_master_repeat 1
{top}
}}
vrrp_instance vi {{
interface eth0
virtual_router_id 51
version 3
advert_int 0.1
{more}
virtual_ipaddress {{
10.9.0.100/32 {each}
10.9.1.100/24 dev eth1 {each}
10.9.1.101/24 dev eth1
10.9.0.101/24 dev eth0
}}
virtual_ipaddress_excluded {{
2001:db8::100/64 {each}
2001:db8:1::100/64 dev eth1
}}
}}
"""
CASES = [
    pytest.param("", "use_vmac\nuse_vmac_addr", "", id="use_vmac_addr"),
    pytest.param("", "", "use_vmac", id="each"),
    pytest.param("vmac_prefix v", "use_vmac", "use_vmac", id="prefix"),
    pytest.param("vmac_prefix v\nvmac_addr_prefix w", "use_vmac", "use_vmac", id="prefixes"),
]


def meant(text: str) -> Config:
    config, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    assert not faults, faults
    return config


def host(network: Network, name: str, number: int) -> Namespace:
    """On two networks."""
    one = network.namespace(name)
    for i in range(2):
        network.attach(f"lan{i}", one, f"eth{i}", f"10.9.{i}.{number}/24")
    return one


def picture(namespace: Namespace) -> dict[str, tuple[Any, ...]]:
    """{name: what ip(8) says of it} of interfaces that are on another one, and of eth1."""
    links = json.loads(namespace.run(["ip", "-d", "-j", "link"]).stdout)
    listed = json.loads(namespace.run(["ip", "-j", "addr"]).stdout)
    ips = {
        one["ifname"]: {
            f"{a['local']}/{a['prefixlen']}"
            for a in one["addr_info"]
            if not a["local"].startswith(("fe80", "10.9.1.2"))
        }
        for one in listed
    }
    return {
        one["ifname"]: (one.get("link"), one["address"], one["linkinfo"]["info_data"]["mode"], ips[one["ifname"]])
        for one in links
        if one.get("linkinfo", {}).get("info_kind") == "macvlan"
    } | {"eth1": (ips["eth1"],)}


@pytest.mark.parametrize(("top", "more", "each"), CASES)
def test_the_same_interfaces_as_keepalived(network: Network, tmp_path: Path, top: str, more: str, each: str) -> None:
    text = TEXT.format(top=top, more=more, each=each)
    a, b = network.namespace("a"), network.namespace("b")
    for number in range(4):  # each alone on its networks
        i = number % 2
        network.attach(f"lan{number}", (a, b)[number // 2], f"eth{i}", f"10.9.{i}.2/24")
    keepalived = Keepalived(b, tmp_path, text)
    with Director.start(a, *meant(text).instances) as director:
        director.until_role("master")
        need.wait_until(lambda: len(picture(b)["eth1"][0]) == len(picture(a)["eth1"][0]), 15, "keepalived is master")
        need.wait_until(lambda: picture(a) == picture(b), 15, "the same", 0.2)
        assert len(picture(a)) > 2
        assert director.stop() == 0
    keepalived.stop()
    assert set(picture(a)) == {"eth1"}
    assert a.read_sysctl("net.ipv4.conf.eth1.arp_ignore") == "0"


def test_a_reload_gives_an_address_a_vmac_of_its_own_and_takes_it(network: Network) -> None:
    a = host(network, "a", 1)
    before, after = (meant(TEXT.format(top="", more="", each=each)).instances for each in ("", "use_vmac"))
    with Director.start(a, *before) as director:
        director.until_role("master")
        director.configure(*after)
        director.until(lambda: picture(a).get("vrrp1.51", ((),))[-1] == {"10.9.1.100/24"}, "it moved")
        assert "10.9.1.100/24" not in picture(a)["eth1"][0]
        director.configure(*before)
        director.until(lambda: set(picture(a)) == {"eth1"}, "they are gone")
        director.until(lambda: "10.9.1.100/24" in picture(a)["eth1"][0], "it is back")
        assert director.router()["became_master"] == 1


def announced(client: Namespace, start: Callable[[ExitStack], object]) -> set[tuple[str, ...]]:
    """(interface, Ethernet source, address) of what is announced again and again."""
    watch = client.popen(
        ["tshark", "-l", "-n", "-i", "eth0", "-i", "eth1", "-f", "arp or icmp6", "-a", "duration:30", "-Y",
         "arp.isgratuitous or icmpv6.type == 136", "-T", "fields", "-e", "frame.interface_name", "-e", "eth.src",
         "-e", "arp.src.proto_ipv4", "-e", "icmpv6.nd.na.target_address"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in watch.stderr:
        if "Capturing" in line:
            break
    seen: Counter[tuple[str, ...]] = Counter()
    with ExitStack() as stack:
        start(stack)
        for line in watch.stdout:
            name, source, four, six = line.rstrip("\n").split("\t")
            seen[name, source, four or six] += 1
            if max(seen.values()) == 5:
                break
    watch.terminate()
    watch.wait(5)
    return {one for one, count in seen.items() if count > 2}


@pytest.mark.parametrize(
    ("extra", "more", "each"),
    [
        ("1", "use_vmac", "use_vmac"),
        ("all 1", "use_vmac", "use_vmac"),
        ("1", "use_vmac\nvmac_xmit_base", "use_vmac"),
    ],
)
def test_interfaces_without_adverts_are_announced_as_keepalived_does(
    network: Network, tmp_path: Path, extra: str, more: str, each: str
) -> None:
    a, client = host(network, "a", 1), host(network, "c", 3)
    text = TEXT.format(top=f"vrrp_garp_extra_if {extra}", more=more, each=each)

    def ours(stack: ExitStack) -> None:
        director = stack.enter_context(Director.start(a, *meant(text).instances))
        director.until_role("master")
        stack.callback(director.stop)

    def theirs(stack: ExitStack) -> None:
        stack.callback(Keepalived(a, tmp_path, text).stop)

    # A plain interface has an address of its own in each run of the test; VMACs are what they are.
    found = [announced(client, who) for who in (ours, theirs)]
    assert found[0] == found[1]
    assert found[0]


def test_a_garp_group_paces_as_keepalived_does(network: Network, tmp_path: Path) -> None:
    """Two interfaces and a VMAC on one of them share a limit."""
    a, client = host(network, "a", 1), host(network, "c", 3)
    group = "garp_group {\ngarp_interval 0.2\ninterfaces {\neth0\neth1\n}\n}\n"
    text = group + TEXT.format(top="", more="use_vmac\ngarp_master_repeat 2", each="")
    text = text.replace("2001:db8::100/64", "10.9.1.102/32 dev eth1").replace("2001:db8:1::100/64", "10.9.1.103/32")

    def gaps(start: Callable[[ExitStack], object]) -> list[float]:
        watch = client.popen(
            ["tshark", "-l", "-n", "-i", "eth0", "-i", "eth1", "-f", "arp", "-a", "duration:30", "-Y",
             "arp.isgratuitous", "-T", "fields", "-e", "frame.time_epoch"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in watch.stderr:
            if "Capturing" in line:
                break
        with ExitStack() as stack:
            start(stack)
            times = sorted(float(next(watch.stdout)) for _ in range(7))
        watch.terminate()
        watch.wait(5)
        return [later - earlier for earlier, later in pairwise(times)]

    def ours(stack: ExitStack) -> None:
        config = meant(text)
        director = Paced.start(a, *config.instances)
        stack.enter_context(director).until_role("master")
        stack.callback(director.stop)

    class Paced(Director):
        def config(self, values: tuple[Any, ...]) -> Config:
            return replace(super().config(values), globals=meant(text).globals)

    def theirs(stack: ExitStack) -> None:
        stack.callback(Keepalived(a, tmp_path, text).stop)

    for who in (ours, theirs):
        found = gaps(who)
        assert min(found) > 0.1, found  # a frame may be seen late, and the next one in time
        assert sum(found) > 0.2 * len(found) - 0.1
        assert sorted(found)[len(found) // 2] < 0.3, found
