"""Adverts without an address, and adverts that are larger than an interface takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.lab.network import Network
from fastha.lab.wait import wait_until
from fastha.model import VirtualAddress
from netns.vrrp_director import Director, Keepalived, directors, has_vip, instance

pytestmark = [pytest.mark.root]


def test_routers_without_an_address_elect_a_master(network: Network) -> None:
    """`no_virtual_ipaddress`, version 3: the count of addresses is 0."""
    a, b = directors(network)
    bare = {"addresses": (), "excluded": (VirtualAddress("10.9.0.100"),)}
    with Director.start(a, instance(priority=200, **bare)) as us, Director.start(b, instance(**bare)) as them:
        us.until_role("master", deadline_s=20)
        them.until(lambda: them.router().get("received", 0) > 5, "adverts are heard", 20)
        assert them.router()["state"] == "backup"
        assert has_vip(a)
        assert us.stop() == 0
        them.until_role("master", deadline_s=20)
        assert has_vip(b)
        assert them.stop() == 0


def yielded(log: str) -> bool:
    return "Entering BACKUP STATE" in log.partition("MASTER STATE")[2]


@pytest.mark.interop
def test_keepalived_without_an_address_yields(network: Network, tmp_path: Path) -> None:
    """Version 2: keepalived 2.2.7 knows no word for it in version 3."""
    a, b = directors(network)
    peer = Keepalived(b, tmp_path, "vrrp_instance vi {\n interface eth0\n virtual_router_id 51\n priority 100\n}\n")
    wait_until(lambda: "Entering MASTER STATE" in peer.log.read_text(), 20, "keepalived is master")
    with Director.start(a, instance(priority=200, version=2, advert_int_ns=10**9, addresses=())) as us:
        us.until_role("master", deadline_s=20)
        wait_until(lambda: yielded(peer.log.read_text()), 20, "keepalived yields")
        assert us.stop() == 0
    peer.stop()


def test_an_advert_larger_than_the_mtu_is_a_fault(network: Network) -> None:
    a, _ = directors(network)
    a.ip("link set eth0 mtu 300")
    many = tuple(VirtualAddress(f"10.9.1.{n}") for n in range(1, 101))
    with Director.start(a, instance(addresses=many)) as us:
        wanted = ["adverts of 428 bytes do not fit into the MTU 300 of eth0"]
        us.until(lambda: us.router().get("faults") == wanted, "the fault", 20)
        a.ip("link set eth0 mtu 428")
        us.until_role("master", deadline_s=20)
        us.until(lambda: us.router().get("sent", 0) > 3, "adverts leave", 20)
        assert us.router().get("send_errors", 0) == 0
        a.ip("link set eth0 mtu 427")
        us.until_role("fault", deadline_s=20)
        assert us.stop() == 0
