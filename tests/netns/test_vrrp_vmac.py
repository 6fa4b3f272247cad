"""Instances with a VMAC: a child in a namespace, its peers, and what others see of it."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Device, VrrpInstance
from netns.vrrp_director import VIP, Director, Keepalived, addresses, directors, instance, keepalived_conf

pytestmark = pytest.mark.root

MAC = "00:00:5e:00:01:33"


def with_vmac(**values: Any) -> VrrpInstance:
    device = {"name": "vrrp.51", "base": "eth0", "mac": MAC, **values.pop("device", {})}
    return instance(vmac=Device(**device), **values)


def shown(namespace: Namespace, name: str = "vrrp.51") -> dict[str, Any]:
    """What ip(8) says of an interface; {} if there is none."""
    done = namespace.run(["ip", "-d", "-j", "link", "show", "dev", name], check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found[0] if found else {}


def holder(network: Network) -> Namespace:
    """A client on the same switch."""
    client = network.namespace("c")
    network.attach("lan", client, "eth0", "10.9.0.3/24")
    return client


def known(client: Namespace, vip: str = VIP) -> str:
    """The hardware address it has for `vip`."""
    entries = json.loads(client.run(["ip", "-j", "neigh", "show", vip]).stdout or "[]")
    return entries[0].get("lladdr", "") if entries else ""


def neighbour(client: Namespace, vip: str = VIP) -> str:
    """The same, asked anew; "" if nobody answers within a second."""
    client.run(["ip", "neigh", "flush", "all"], check=False)
    with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"?", (vip, 9))
    try:
        return need.wait_until(lambda: known(client, vip), 1, "an answer")
    except AssertionError:
        return ""


def test_one_is_made_used_and_removed(network: Network) -> None:
    a, _ = directors(network)
    client = holder(network)
    a.sysctl("net.ipv4.conf.all.rp_filter", 1)
    with Director.start(a, with_vmac()) as director:
        director.until_role("master")
        need.wait_until(lambda: addresses(a, "vrrp.51") == [f"{VIP}/32"], 5, "the address is on it")
        link = shown(a)
        assert (link["address"], link["link"]) == (MAC, "eth0")
        assert link["linkinfo"] == {"info_kind": "macvlan", "info_data": {"mode": "private"}} | link["linkinfo"]
        assert link["inet6_addr_gen_mode"] == "none"
        settings = {name: a.read_sysctl(f"net.ipv4.conf.vrrp/51.{name}") for name in ("rp_filter", "arp_ignore")}
        assert settings == {"rp_filter": "0", "arp_ignore": "1"}
        assert a.read_sysctl("net.ipv4.conf.eth0.arp_ignore") == a.read_sysctl("net.ipv4.conf.eth0.arp_filter") == "1"
        assert (a.read_sysctl("net.ipv4.conf.all.rp_filter"), a.read_sysctl("net.ipv4.conf.eth0.rp_filter")) == (
            "0",
            "1",
        )
        need.wait_until(lambda: neighbour(client) == MAC, 5, "it answers ARP with the virtual address")
        assert neighbour(client, "10.9.0.1") != MAC
        assert director.stop() == 0
    assert not shown(a)
    assert a.read_sysctl("net.ipv4.conf.eth0.arp_ignore") == "0"
    assert a.read_sysctl("net.ipv4.conf.all.rp_filter") == "1"


def test_a_client_keeps_its_neighbour_through_a_failover(network: Network) -> None:
    """Same address before and after; adverts of both sides are heard although both have that address."""
    a, b = directors(network)
    client = holder(network)
    with Director.start(a, with_vmac(priority=150)) as first, Director.start(b, with_vmac()) as second:
        first.until_role("master")
        second.until(lambda: second.router().get("received", 0) > 3, "the backup hears the master")
        assert second.router()["state"] == "backup"
        need.wait_until(lambda: neighbour(client) == MAC, 5, "the client knows it")
        client.ip(f"neigh replace {VIP} lladdr {MAC} dev eth0 nud permanent")  # and asks nobody again
        first.kill()
        a.ip("link set eth0 down")  # or its address would answer still
        second.until_role("master")
        with (
            client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock,
            b.socket(socket.AF_INET, socket.SOCK_STREAM) as door,
        ):
            need.wait_until(lambda: addresses(b, "vrrp.51") == [f"{VIP}/32"], 5, "the address moved")
            door.bind((VIP, 80))
            door.listen()
            sock.settimeout(5)
            sock.connect((VIP, 80))
        assert known(client) == MAC


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize(
    ("more", "base"),
    # Not with vmac_xmit_base on its side alone: keepalived listens on its base then, and never hears a peer's VMAC.
    [("use_vmac", False), ("use_vmac", True), ("use_vmac\nvmac_xmit_base", True), ("", False)],
)
def test_keepalived_and_we_hear_one_another(
    network: Network, tmp_path: Path, ours_first: bool, more: str, base: bool
) -> None:
    """With its VMAC, without one, and with adverts from the base: one master, and the other takes over."""
    a, b = directors(network)
    keepalived = Keepalived(b, tmp_path, keepalived_conf(100 if ours_first else 150, more=more))
    with Director.start(a, with_vmac(priority=150 if ours_first else 100, device={"xmit_base": base})) as director:
        dev = "vrrp.51" if more else "eth0"

        def theirs() -> bool:
            return f"{VIP}/32" in (addresses(b, dev) if shown(b, dev) else [])

        if ours_first:
            director.until_role("master")
            director.until(lambda: not theirs(), "it yields")
            sent = director.router()["sent"]
            director.until(lambda: director.router()["sent"] > sent + 10, "a second of adverts")
            assert not theirs()
            director.stop()
            need.wait_until(theirs, 5, "it takes over")
        else:
            director.until(lambda: director.router().get("received", 0) > 5 and theirs(), "it is heard", 10)
            assert director.router()["state"] == "backup"
            keepalived.stop()
            director.until_role("master")


def test_one_that_somebody_deletes_comes_back(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, with_vmac()) as director:
        director.until_role("master")
        need.wait_until(lambda: addresses(a, "vrrp.51"), 5, "the address is on it")
        a.ip("link del vrrp.51")
        director.until(lambda: shown(a) and addresses(a, "vrrp.51") == [f"{VIP}/32"], "it is back, with the address")
        a.ip("link set vrrp.51 down")
        director.until(lambda: "UP" in shown(a)["flags"], "it is up again")
        a.ip("link set vrrp.51 type macvlan mode bridge")
        director.until(lambda: shown(a)["linkinfo"]["info_data"]["mode"] == "private", "its mode is")
        assert director.router()["state"] == "master"
        assert director.router()["became_master"] == 1, director.log
        a.ip("link del eth0")
        director.until_role("fault")
        network.attach("lan", a, "eth0", "10.9.0.1/24")
        director.until_role("master")
        director.until(lambda: shown(a) and addresses(a, "vrrp.51") == [f"{VIP}/32"], "a new interface has a new one")
        assert a.read_sysctl("net.ipv4.conf.eth0.arp_ignore") == "1"


def test_a_replacement_adopts_and_what_was_there_stays(network: Network) -> None:
    a, b = directors(network)
    b.ip(f"link add mine link eth0 address {MAC} type macvlan mode private")
    with Director.start(a, with_vmac()) as first:
        first.until_role("master")
        need.wait_until(lambda: addresses(a, "vrrp.51"), 5, "the address is on it")
        index = shown(a)["ifindex"]
        first.kill()
        with first.replacement(with_vmac()) as again:
            again.until_role("master")
            assert shown(a)["ifindex"] == index
            assert again.stop() == 0
        assert not shown(a)
        assert a.read_sysctl("net.ipv4.conf.eth0.arp_ignore") == "0"
    with Director.start(b, with_vmac(device={"name": "mine"})) as other:
        other.until_role("master")
        need.wait_until(lambda: addresses(b, "mine") == [f"{VIP}/32"], 5, "it is used")
        assert other.stop() == 0
    assert shown(b, "mine")
    assert not addresses(b, "mine")


def test_a_reload_makes_and_removes_one(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, instance()) as director:
        director.until_role("master")
        director.configure(with_vmac())
        director.until_role("master")
        director.until(lambda: addresses(a, "vrrp.51") == [f"{VIP}/32"], "it moved to the new interface")
        assert f"{VIP}/32" not in addresses(a)
        index = shown(a)["ifindex"]
        director.configure(with_vmac(priority=120))
        assert director.router()["state"] == "master"
        assert shown(a)["ifindex"] == index
        director.configure()
        assert not shown(a)


def test_an_interface_of_that_name_that_is_something_else(network: Network) -> None:
    a, _ = directors(network)
    a.ip("link add vrrp.51 type bridge")
    with Director.start(a, with_vmac()) as director:
        director.until_role("fault")
        assert director.router()["faults"] == ["interface vrrp.51 is there and no macvlan of eth0"]
        a.ip("link del vrrp.51")
        director.until_role("master")


def test_adverts_come_from_the_virtual_address(network: Network) -> None:
    """As tshark reads them: Ethernet source, and gratuitous ARP with the same sender."""
    a, _ = directors(network)
    client = holder(network)
    watch = client.popen(
        ["tshark", "-l", "-n", "-i", "eth0", "-f", "vrrp or arp", "-a", "duration:20", "-T", "fields", "-e", "eth.src",
         "-e", "vrrp.virt_rtr_id", "-e", "arp.src.hw_mac", "-e", "arp.isgratuitous"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in watch.stderr:
        if "Capturing" in line:
            break
    lines: list[list[str]] = []
    with Director.start(a, with_vmac()) as director:
        director.until_role("master")
        for line in watch.stdout:
            lines.append(line.rstrip("\n").split("\t"))
            if any(row[1] == "51" for row in lines) and any(row[2] and row[3] in ("1", "True") for row in lines):
                break
    watch.terminate()
    assert {row[0] for row in lines if row[1] == "51"} == {MAC}
    assert {row[2] for row in lines if row[2] and row[3] in ("1", "True")} == {MAC}
