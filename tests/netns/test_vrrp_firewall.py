"""no_accept and VMACs: what reaches a master, and the table in the kernel."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from netns.test_vrrp_vmac import MAC, holder, neighbour, with_vmac
from netns.vrrp_director import VIP, Director, addresses, directors, instance

pytestmark = pytest.mark.root


def tables(namespace: Namespace) -> str:
    return namespace.run(["nft", "list", "ruleset"]).stdout


def reaches(client: Namespace, ip: str, port: int) -> bool:
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.connect((ip, port))
        except TimeoutError:
            return False
        return True


def test_no_accept_drops_what_comes_to_the_addresses(network: Network) -> None:
    """While ARP is answered, and the interface's own address accepts; a reload opens it; nothing is left behind."""
    need.tool("nft")
    a, _ = directors(network)
    client = holder(network)
    with a.socket(socket.AF_INET, socket.SOCK_STREAM) as door, Director.start(a, instance(accept=False)) as director:
        door.bind(("0.0.0.0", 80))
        door.listen()
        director.until_role("master")
        need.wait_until(lambda: f"{VIP}/32" in addresses(a), 5, "the address is there")
        assert neighbour(client) != ""
        assert not reaches(client, VIP, 80)
        assert reaches(client, "10.9.0.1", 80)
        director.configure(instance())
        assert reaches(client, VIP, 80)
        assert "keepalived" not in tables(a)
        director.configure(instance(accept=False))
        assert not reaches(client, VIP, 80)
        a.run(["nft", "flush", "ruleset"])
        director.until(lambda: VIP in tables(a), "the table is back", 30)
        assert director.stop() == 0
    assert tables(a) == ""


def test_a_vmac_sends_no_igmp(network: Network) -> None:
    """A report by a backup would teach the switch that the virtual address is there. The base still reports."""
    need.tool("nft")
    a, _ = directors(network)
    client = holder(network)
    watch = client.popen(
        ["tshark", "-l", "-n", "-i", "eth0", "-f", "igmp or vrrp", "-a", "duration:60", "-T", "fields", "-e", "eth.src",
         "-e", "igmp.type", "-e", "vrrp.virt_rtr_id"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in watch.stderr:
        if "Capturing" in line:
            break
    reports: list[str] = []
    adverts = 0
    with Director.start(a, with_vmac()) as director:
        director.until_role("master")
        for line in watch.stdout:
            source, igmp, vrid = line.rstrip("\n").split("\t")
            reports += [source] if igmp else []
            adverts += vrid == "51"
            if reports and adverts > 20:
                break
        assert "vrrp.51" in tables(a)
    watch.terminate()
    assert MAC not in reports


def test_without_a_rule_the_library_is_not_loaded_and_old_tables_go(network: Network) -> None:
    """It is 2 MB of the process. What an earlier daemon left is found without it."""
    need.tool("nft")
    a, _ = directors(network)
    with Director.start(a, instance()) as director:
        director.until_role("master")
        vrrp = next(pid for pid in a.pids() if b"fastha.vrrp" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
        assert "libnftables" not in Path(f"/proc/{vrrp}/maps").read_text()
        assert director.stop() == 0
    a.run(["nft", "add table ip6 keepalived; add chain ip6 keepalived in"])
    with Director.start(a, instance()) as director:
        director.until(lambda: tables(a) == "", "the old table is gone", 10)
