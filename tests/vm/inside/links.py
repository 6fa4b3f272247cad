"""Interfaces that the usual kernel of a test has not: ipvlans and VRFs, beside Debian's keepalived."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
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
from fastha.model import VrrpInstance
from netns.vrrp_director import Director, Keepalived
from unit.test_config_effects import Text
from vm import guest

guest.only_inside()
pytestmark = pytest.mark.timeout(120)

PATIENCE_S = 20  # one slow CPU
TEXT = """vrrp_instance vi {{
interface eth0
virtual_router_id 51
priority {priority}
version 3
advert_int 0.5
{more}
virtual_ipaddress {{
{vip}
}}
}}
"""


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


def meant(text: str) -> tuple[VrrpInstance, ...]:
    config, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    assert not faults, faults
    return config.instances


def picture(namespace: Namespace, names: tuple[str, ...] = ("iv0", "eth0")) -> dict[str, tuple[Any, ...]]:
    """What ip(8) says of an ipvlan and its base."""
    links = {one["ifname"]: one for one in json.loads(namespace.run(["ip", "-d", "-j", "link", "show"]).stdout)}
    listed = {one["ifname"]: one for one in json.loads(namespace.run(["ip", "-j", "addr"]).stdout)}
    out = {}
    for name in names:
        if name in links:
            info = links[name].get("linkinfo", {})
            ips = {f"{a['local']}/{a['prefixlen']}" for a in listed[name].get("addr_info", ())}
            ips = {ip for ip in ips if not ip.startswith("fe80::") or ip == "fe80::100/64"}
            kind = info.get("info_kind"), info.get("info_data") if name == "iv0" else ""
            out[name] = links[name].get("link") if name == "iv0" else "", kind, "UP" in links[name]["flags"], ips
    return out


def holds(namespace: Namespace, address: str, name: str = "eth0") -> bool:
    return address in picture(namespace).get(name, (set(),))[-1]


@pytest.mark.parametrize(
    ("words", "vip"),
    [
        ("use_ipvlan iv0 10.9.0.5/24", "10.9.0.100/32"),
        ("use_ipvlan iv0 10.9.0.5 vepa", "10.9.0.100/32"),
        ("use_ipvlan iv0 private", "fe80::100/64"),
    ],
)
def test_an_ipvlan_is_as_keepalived_makes_it(network: Network, tmp_path: Path, words: str, vip: str) -> None:
    text = TEXT.format(priority=100, more=words, vip=vip)
    a, b = network.namespace("a"), network.namespace("b")
    network.attach("lan0", a, "eth0", "10.9.0.1/24")
    network.attach("lan1", b, "eth0", "10.9.0.1/24")
    keepalived = Keepalived(b, tmp_path, text)
    with Director.start(a, *meant(text)) as director:
        director.until_role("master", deadline_s=PATIENCE_S)
        same = lambda: picture(a) == picture(b) and holds(a, vip)  # noqa: E731
        try:
            need.wait_until(same, PATIENCE_S, "the same", 0.3)
        except AssertionError:
            pytest.fail(f"{picture(a)}\n{picture(b)}\n{keepalived.log.read_text()}\n{director.log}")
        before = picture(a)
        a.ip("link del iv0")
        director.until(lambda: picture(a) == before, "it comes back", PATIENCE_S)
        assert director.router()["became_master"] == 1
        assert director.stop() == 0
    keepalived.process.kill()
    assert "iv0" not in picture(a)


@pytest.mark.parametrize("ours_first", [True, False])
def test_it_speaks_with_keepalived_from_its_own_address(network: Network, tmp_path: Path, ours_first: bool) -> None:
    a, b = network.namespace("a"), network.namespace("b")
    network.attach("lan", a, "eth0", "10.9.0.1/24")
    network.attach("lan", b, "eth0", "10.9.0.2/24")

    def text(own: int, priority: int) -> str:
        return TEXT.format(priority=priority, more=f"use_ipvlan iv0 10.9.0.{own}/24", vip="10.9.0.100/32")

    keepalived = Keepalived(b, tmp_path, text(6, 100 if ours_first else 150))
    try:
        with Director.start(a, *meant(text(5, 150 if ours_first else 100))) as director:
            theirs = lambda: holds(b, "10.9.0.100/32")  # noqa: E731
            if ours_first:
                director.until_role("master", deadline_s=PATIENCE_S)
                director.until(lambda: not theirs(), "it yields", PATIENCE_S)
                sent = director.router()["sent"]
                director.until(lambda: director.router()["sent"] > sent + 5, "some adverts", PATIENCE_S)
                assert not theirs()
                director.stop()
                need.wait_until(theirs, PATIENCE_S, "it takes over")
            else:
                director.until(lambda: director.router().get("received", 0) > 5 and theirs(), "it is heard", PATIENCE_S)
                assert director.router()["state"] == "backup"
                assert director.router()["peers"][0]["ip"] == "10.9.0.6"
                keepalived.stop()
                director.until_role("master", deadline_s=PATIENCE_S)
    finally:
        keepalived.process.kill()
        print(keepalived.log.read_text())


def test_two_of_ours_speak_by_unicast(network: Network) -> None:
    """To the addresses of their ipvlans. keepalived 2.2.7 listens on the base then, and hears nobody."""
    a, b = network.namespace("a"), network.namespace("b")
    network.attach("lan", a, "eth0", "10.9.0.1/24")
    network.attach("lan", b, "eth0", "10.9.0.2/24")

    def text(own: int, priority: int) -> str:
        more = f"use_ipvlan iv0 10.9.0.{own}/24\nunicast_peer {{\n10.9.0.{11 - own}\n}}"
        return TEXT.format(priority=priority, more=more, vip="10.9.0.100/32")

    with Director.start(a, *meant(text(5, 150))) as first, Director.start(b, *meant(text(6, 100))) as second:
        first.until_role("master", deadline_s=PATIENCE_S)
        second.until(lambda: second.router().get("received", 0) > 5, "it is heard", PATIENCE_S)
        assert second.router()["state"] == "backup"
        assert second.router()["peers"][0]["ip"] == "10.9.0.5"
        assert first.stop() == 0
        second.until_role("master", deadline_s=PATIENCE_S)


def test_a_client_reaches_the_address(network: Network) -> None:
    """ARP and connections by the ipvlan; the neighbour is the base's address."""
    a, client = network.namespace("a"), network.namespace("c")
    network.attach("lan", a, "eth0", "10.9.0.1/24")
    network.attach("lan", client, "eth0", "10.9.0.3/24")
    a.sysctl("net.ipv4.conf.all.rp_filter", 1)
    text = TEXT.format(priority=100, more="use_ipvlan iv0 10.9.0.5/24", vip="10.9.0.100/32")
    with Director.start(a, *meant(text)) as director:
        director.until_role("master", deadline_s=PATIENCE_S)
        for target in ("10.9.0.100", "10.9.0.5"):
            with client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.settimeout(5)
                with pytest.raises(ConnectionRefusedError):  # which only the host itself says
                    sock.connect((target, 9))
        mac = json.loads(a.run(["ip", "-j", "link", "show", "eth0"]).stdout)[0]["address"]
        entry = json.loads(client.run(["ip", "-j", "neigh", "show", "10.9.0.100"]).stdout)[0]
        assert entry["lladdr"] == mac
        assert director.stop() == 0
    assert a.read_sysctl("net.ipv4.conf.all.rp_filter") == "1"


def test_one_cannot_be_on_what_has_a_vmac(network: Network) -> None:
    a = network.namespace("a")
    network.attach("lan", a, "eth0", "10.9.0.1/24")
    a.ip("link add other link eth0 type macvlan mode private")
    text = TEXT.format(priority=100, more="use_ipvlan iv0 10.9.0.5/24", vip="10.9.0.100/32")
    with Director.start(a, *meant(text)) as director:
        director.until_role("fault", deadline_s=PATIENCE_S)
        why = "eth0 has interfaces of another kind on it, or is a port of a bridge or bond"
        why = f"interface iv0 cannot be made or changed: {why}"
        assert why in director.router()["faults"]
        a.ip("link del other")
        director.until_role("master", deadline_s=PATIENCE_S)


def in_vrf(network: Network, name: str, number: int) -> Namespace:
    """A host whose only network is in a VRF: without it nobody is reached."""
    one = network.namespace(name)
    network.attach("lan", one, "eth0", f"10.9.0.{number}/24")
    one.ip("link add blue type vrf table 10")
    one.ip("link set blue up")
    one.ip("link set eth0 master blue")
    return one


def vrf_text(own: int, priority: int, where: str) -> str:
    more = f"unicast_src_ip 10.9.0.{own}\nunicast_peer {{\n10.9.0.{3 - own}\n}}"
    text = TEXT.format(priority=priority, more=more, vip="10.9.0.100/32 dev eth0")
    return text.replace("interface eth0", where)


@pytest.mark.parametrize("where", ["vrf blue", "interface eth0"])
def test_two_speak_in_a_vrf(network: Network, where: str) -> None:
    a, b = in_vrf(network, "a", 1), in_vrf(network, "b", 2)
    with (
        Director.start(a, *meant(vrf_text(1, 150, where))) as first,
        Director.start(b, *meant(vrf_text(2, 100, where))) as second,
    ):
        first.until_role("master", deadline_s=PATIENCE_S)
        second.until(lambda: second.router().get("received", 0) > 3, "it is heard", PATIENCE_S)
        assert second.router()["state"] == "backup"
        assert first.stop() == 0
        second.until_role("master", deadline_s=PATIENCE_S)
        second.until(lambda: holds(b, "10.9.0.100/32"), "the address moved", PATIENCE_S)
        b.ip("link del blue")
        if where == "vrf blue":
            second.until_role("fault", deadline_s=PATIENCE_S)


@pytest.mark.parametrize("ours_first", [True, False])
def test_keepalived_and_we_speak_in_a_vrf(network: Network, tmp_path: Path, ours_first: bool) -> None:
    """Debian's has no instance without interface; of one in a VRF it speaks there."""
    a, b = in_vrf(network, "a", 1), in_vrf(network, "b", 2)
    keepalived = Keepalived(b, tmp_path, vrf_text(2, 100 if ours_first else 150, "interface eth0"))
    try:
        with Director.start(a, *meant(vrf_text(1, 150 if ours_first else 100, "vrf blue"))) as director:
            theirs = lambda: holds(b, "10.9.0.100/32")  # noqa: E731
            if ours_first:
                director.until_role("master", deadline_s=PATIENCE_S)
                director.until(lambda: not theirs(), "it yields", PATIENCE_S)
                director.stop()
                need.wait_until(theirs, PATIENCE_S, "it takes over")
            else:
                director.until(lambda: director.router().get("received", 0) > 3 and theirs(), "it is heard", PATIENCE_S)
                keepalived.stop()
                director.until_role("master", deadline_s=PATIENCE_S)
    finally:
        keepalived.process.kill()
        print(keepalived.log.read_text())
