"""no_accept and VMACs: what reaches a master, and the table in the kernel."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config, FirewallDefs, GlobalDefs
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


class Mute(Director):
    local_igmp = False

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(GlobalDefs(firewall=FirewallDefs(local_igmp=self.local_igmp)), instances=values)


def setting(namespace: Namespace) -> str:
    return namespace.run(["cat", "/proc/sys/net/ipv4/igmp_link_local_mcast_reports"]).stdout.strip()


@pytest.mark.parametrize("local_igmp", [False, True])
def test_disable_local_igmp(network: Network, local_igmp: bool) -> None:
    """No report at all, not even of the interface itself; no rule is needed. It is put back, also after a kill."""
    need.tool("nft")
    a, b = directors(network)
    with b.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as ear, Mute(a) as director:
        ear.bind(("eth0", 0x0800))
        ear.settimeout(20)
        director.local_igmp = local_igmp
        director.configure(with_vmac(addresses=()))
        kinds: list[int] = []
        while kinds.count(112) < 30 and (not local_igmp or 2 not in kinds):
            kinds.append(ear.recv(2048)[23])  # the protocol of the IP header
        assert (2 in kinds) is local_igmp
        assert ("igmp" in tables(a)) is local_igmp
        assert setting(a) == str(int(local_igmp))
        assert director.facts.get("igmp_reports_before") == (None if local_igmp else "1")
        director.signal(signal.SIGKILL)
        director.process.wait(10)
        previous = director.facts
    with Mute(a, previous) as director:
        director.local_igmp = local_igmp
        director.configure(with_vmac(addresses=()))
        assert setting(a) == str(int(local_igmp))
        director.local_igmp = not local_igmp
        director.configure(with_vmac(addresses=()))
        assert setting(a) == str(int(not local_igmp))
        director.local_igmp = local_igmp
        director.configure(with_vmac(addresses=()))
        assert setting(a) == str(int(local_igmp))
        assert director.stop() == 0
    assert setting(a) == "1"
