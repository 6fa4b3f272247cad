"""Staged addresses: on the VMAC while it is down, and nobody can tell before it is up."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import need
from fastha.lab.network import Network
from fastha.model import VirtualAddress
from netns.test_vrrp_vmac import MAC, holder, neighbour, shown, with_vmac
from netns.vrrp_director import VIP, Director, Keepalived, addresses, directors, keepalived_conf

pytestmark = pytest.mark.root

STAGED = {"device": {"staged": True}}
MANY = tuple(VirtualAddress(f"10.9.{1 + i // 200}.{1 + i % 200}") for i in range(2000))


def test_a_backup_never_answers_and_takes_over_at_once(network: Network, tmp_path: Path) -> None:
    """The master is a keepalived that answers no ARP, so that an answer could only be the backup's."""
    a, b = directors(network)
    client = holder(network)
    keepalived = Keepalived(b, tmp_path, keepalived_conf(150))
    need.wait_until(keepalived.has, 10, "keepalived is master")
    b.sysctl("net.ipv4.conf.eth0.arp_ignore", 8)
    with Director.start(a, with_vmac(**STAGED)) as director:
        director.until(lambda: director.router().get("received", 0) > 3, "it hears the master", 10)
        director.until(lambda: addresses(a, "vrrp.51") == [f"{VIP}/32"], "the address is staged")
        assert "UP" not in shown(a)["flags"]
        ours = {MAC, shown(a, "eth0")["address"]}  # its own the master may still announce
        for _ in range(3):
            assert neighbour(client) not in ours
        # With the route that the kernel makes for an address although its interface is down, arp_ignore alone keeps
        # the base silent.
        a.ip("addr del 10.9.0.100/32 dev vrrp.51", "addr add 10.9.0.100/32 dev vrrp.51")
        assert "local" in a.run(["ip", "route", "get", VIP]).stdout
        assert neighbour(client) not in ours
        assert director.router()["state"] == "backup"
        keepalived.kill()
        b.ip("addr flush dev eth0")
        director.until_role("master", deadline_s=10)
        need.wait_until(lambda: neighbour(client) == MAC, 5, "it answers now")
        assert director.stop() == 0
    assert not shown(a)


def test_a_backup_gets_it_down_and_addresses_right(network: Network) -> None:
    a, b = directors(network)
    with (
        Director.start(a, with_vmac(priority=150, **STAGED)) as first,
        Director.start(b, with_vmac(**STAGED)) as second,
    ):
        first.until_role("master")
        second.until(lambda: second.router().get("received", 0) > 3, "the backup hears the master")
        second.until(lambda: addresses(b, "vrrp.51") == [f"{VIP}/32"], "the address is staged")
        b.ip("link set vrrp.51 up")
        second.until(lambda: "UP" not in shown(b)["flags"], "a backup's is down again")
        b.ip(f"addr del {VIP}/32 dev vrrp.51")
        second.until(lambda: addresses(b, "vrrp.51") == [f"{VIP}/32"], "its address is back")
        b.ip("link del vrrp.51")
        second.until(lambda: shown(b) and addresses(b, "vrrp.51") == [f"{VIP}/32"], "it is back")
        assert "UP" not in shown(b)["flags"]
        a.ip("link set vrrp.51 down")
        first.until(lambda: "UP" in shown(a)["flags"], "a master's is up again")
        a.ip("link set eth0 down")
        second.until_role("master")
        assert "UP" in shown(b)["flags"]
        a.ip("link set eth0 up")
        first.until_role("master")
        second.until_role("backup")
        second.until(lambda: "UP" not in shown(b)["flags"], "down after it yielded")
        assert addresses(b, "vrrp.51") == [f"{VIP}/32"]
        both = (VirtualAddress(VIP), VirtualAddress("10.9.0.101"))
        second.configure(with_vmac(addresses=both, **STAGED))
        second.until(lambda: len(addresses(b, "vrrp.51")) == 2, "an added one is staged")
        second.configure(with_vmac(addresses=both[1:], **STAGED))
        second.until(lambda: addresses(b, "vrrp.51") == ["10.9.0.101/32"], "a removed one is not")


def test_thousands_are_there_with_one_message(network: Network) -> None:
    """And a child that is killed as a backup leaves no master behind."""
    a, b = directors(network)
    config = with_vmac(addresses=MANY[:250], **STAGED)
    with (
        Director.start(a, with_vmac(priority=150, addresses=MANY[:250], **STAGED)) as first,
        Director.start(b, config) as second,
    ):
        first.until_role("master")
        second.until(lambda: len(addresses(b, "vrrp.51")) == 250, "they are staged", 20)
        second.kill()
        with second.replacement(config) as again:
            again.until_role("backup")
            assert not again.router()["holding"]
            first.kill()
            a.ip("link set eth0 down")
            again.until_role("master")
            with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((MANY[249].ip, 0))
            again.until(lambda: "UP" in shown(b)["flags"], "it is up")
            assert len(addresses(b, "vrrp.51")) == 250
