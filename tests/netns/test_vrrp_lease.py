"""Addresses with a lease: renewed while somebody lives, gone by themselves when nobody does."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config, GlobalDefs, VirtualAddress
from netns.vrrp_director import VIP, Director, addresses, directors, has_vip, instance

pytestmark = pytest.mark.root
LEASE_S = 3


class Leased(Director):
    seconds = LEASE_S

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(globals=GlobalDefs(address_lease_s=self.seconds), instances=values)


MANY = tuple(VirtualAddress(f"10.9.1.{n}") for n in range(1, 200))


def lifetimes(namespace: Namespace) -> dict[str, int]:
    """Address -> seconds it is still valid."""
    (link,) = json.loads(namespace.run(["ip", "-j", "-4", "addr", "show", "dev", "eth0"]).stdout)
    return {a["local"]: a["valid_life_time"] for a in link["addr_info"]}


def test_renewed_while_it_lives_and_gone_when_all_are_dead(network: Network) -> None:
    a, _ = directors(network)
    watch = a.popen(["ip", "-o", "monitor", "address"], stdout=subprocess.PIPE, text=True)
    with Leased.start(a, instance(addresses=(VirtualAddress(VIP), *MANY))) as director:
        director.until_role("master")
        need.wait_until(lambda: len(addresses(a)) == 201, 5, "they are there")
        found = lifetimes(a)
        assert found.pop("10.9.0.1") > 1 << 31
        assert set(found.values()) <= set(range(1, LEASE_S + 1))
        sent = director.router()["sent"]
        director.until(lambda: director.router()["sent"] > sent + 60, "two leases pass", 20)
        assert len(addresses(a)) == 201
        assert director.router()["repaired"] == 0
        watch.terminate()
        assert "Deleted" not in watch.communicate()[0]
        director.kill()
        need.wait_until(lambda: addresses(a) == ["10.9.0.1/24"], LEASE_S + 3, "all vanish by themselves")


def test_a_replacement_within_the_lease_keeps_them(network: Network) -> None:
    a, _ = directors(network)
    with Leased.start(a, instance()) as first:
        first.until_role("master")
        need.wait_until(lambda: has_vip(a), 5, "it is there")
        watch = a.popen(["ip", "-o", "monitor", "address"], stdout=subprocess.PIPE, text=True)
        first.kill()
        with Leased.start(a, instance()) as again:
            again.until_role("master")
            sent = again.router()["sent"]
            again.until(lambda: again.router()["sent"] > sent + 40, "more than a lease passes", 20)
            assert has_vip(a)
            watch.terminate()
            assert "Deleted" not in watch.communicate()[0]
            assert again.stop() == 0
        assert not has_vip(a)


def test_a_reload_gives_and_takes_the_lease(network: Network) -> None:
    a, _ = directors(network)
    with Leased(a) as director:
        director.seconds = 0
        director.configure(instance())
        director.until_role("master")
        need.wait_until(lambda: has_vip(a), 5, "it is there")
        assert lifetimes(a)[VIP] > 1 << 31
        director.seconds = 30
        director.configure(instance())
        need.wait_until(lambda: lifetimes(a)[VIP] <= 30, 5, "it has a lease")
        director.seconds = 0
        director.configure(instance())
        need.wait_until(lambda: lifetimes(a)[VIP] > 1 << 31, 5, "it has none")
        assert director.router()["repaired"] == 0
