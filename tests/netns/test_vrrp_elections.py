"""Two real children on a bridge: who is master, and how it changes hands."""

from __future__ import annotations

import signal

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Auth, TrackVirtualServer, VirtualAddress
from fastha.model.units import NS_PER_MS, NS_PER_S
from netns.vrrp_director import FAST_NS, VIP, Director, addresses, directors, has_vip, instance

pytestmark = pytest.mark.root


def test_election_takeover_and_preemption(network: Network) -> None:
    a, b = directors(network)
    with Director.start(a, instance(priority=150)) as first, Director.start(b, instance()) as second:
        first.until_role("master")
        second.until_role("backup")
        assert (has_vip(a), has_vip(b)) == (True, False)
        first.kill()
        second.until_role("master")
        assert has_vip(b)
        with first.replacement(instance(priority=150)) as again:
            again.until_role("master")
            second.until_role("backup")
            need.wait_until(lambda: (has_vip(a), has_vip(b)) == (True, False), 1, "the address moves")
            assert again.stop() == 0
        assert addresses(a) == ["10.9.0.1/24"]
        second.until_role("master")
        assert second.router()["zero_received"] == 1


@pytest.mark.parametrize("version", [2, 3])
def test_unicast(network: Network, version: int) -> None:
    a, b = directors(network)
    values = {"version": version, "advert_int_ns": NS_PER_S if version == 2 else FAST_NS}
    one = instance(unicast_src="10.9.0.1", unicast_peers=("10.9.0.2",), priority=150, **values)
    two = instance(unicast_src="10.9.0.2", unicast_peers=("10.9.0.1",), **values)
    with Director.start(a, one) as first, Director.start(b, two) as second:
        first.until_role("master", deadline_s=8)
        second.until(lambda: second.router().get("received", 0) > 1, "adverts come")
        assert second.router()["state"] == "backup"
        assert first.stop() == 0
        second.until_role("master")


def test_nopreempt_leaves_a_lower_master_alone(network: Network) -> None:
    a, b = directors(network)
    with Director.start(b, instance()) as low:
        low.until_role("master")
        with Director.start(a, instance(priority=150, preempt=False)) as high:
            high.until(lambda: high.router().get("received", 0) >= 10, "many adverts are heard")
            assert high.router()["state"] == "backup"
            low.kill()
            high.until_role("master")


def test_preempt_delay(network: Network) -> None:
    a, b = directors(network)
    with Director.start(b, instance()) as low:
        low.until_role("master")
        with Director.start(a, instance(priority=150, preempt_delay_ns=NS_PER_S)) as high:
            high.until_role("backup")
            began = high.router()["since"]
            high.until_role("master")
            assert high.router()["since"] - began > 1.0, "waited"
            low.until_role("backup")


def test_wrong_passwords_are_counted_and_split_the_pair(network: Network) -> None:
    a, b = directors(network)
    values = {"version": 2, "advert_int_ns": NS_PER_S}
    one, two = (instance(auth=Auth("pass", word), **values) for word in ("secret", "wrong"))
    with Director.start(a, one) as first, Director.start(b, two) as second:
        first.until_role("master", deadline_s=8)
        second.until_role("master", deadline_s=8)
        for director in (first, second):
            director.until(lambda d=director: d.router()["discarded"].get("auth_password"), "the drop is counted")
        assert first.log.count("auth_password") == 1, "told once, not for each packet"


def test_another_address_list_is_honoured_and_told_once(network: Network) -> None:
    a, b = directors(network)
    other = instance(addresses=(VirtualAddress(VIP), VirtualAddress("10.9.0.101")))
    with Director.start(a, instance(priority=150)) as first, Director.start(b, other) as second:
        first.until_role("master")
        second.until(lambda: second.router().get("addresses_differ", 0) >= 5, "differences are counted")
        assert second.router()["state"] == "backup"
        assert len([e for e in second.events if e["kind"] == "addresses"]) == 1


def test_ten_milliseconds(network: Network) -> None:
    a, b = directors(network)
    quick = {"advert_int_ns": 10 * NS_PER_MS}
    with Director.start(a, instance(priority=150, **quick)) as first, Director.start(b, instance(**quick)) as second:
        first.until_role("master")
        second.until(lambda: second.router().get("received", 0) > 100, "a hundred adverts")
        first.kill()
        second.until_role("master")


def test_a_frozen_master_listens_before_it_speaks(network: Network) -> None:
    a, b = directors(network)
    with Director.start(a, instance(priority=150, preempt=False)) as first, Director.start(b, instance()) as second:
        first.until_role("master")
        first.signal(signal.SIGSTOP)
        second.until_role("master")
        first.signal(signal.SIGCONT)
        first.until_role("backup")
        need.wait_until(lambda: (has_vip(a), has_vip(b)) == (False, True), 1, "one holds the address")
        first.until(lambda: first.router()["received"] >= 10, "the new master is left alone")
        assert (first.router()["state"], second.router()["state"]) == ("backup", "master")


def test_a_lost_quorum_is_a_fault(network: Network) -> None:
    a, b = directors(network)
    tracked = instance(priority=150, track_virtual_servers=(TrackVirtualServer("web"),))
    with Director.start(a, tracked) as first, Director.start(b, instance()) as second:
        second.until_role("master")
        assert first.router()["state"] == "init", "waits for the first word"
        first.quorums(web=True, other=False)
        first.until_role("master")
        second.until_role("backup")
        first.quorums(web=False)
        first.until_role("fault")
        assert first.router()["faults"] == ["virtual server web has lost its quorum"]
        second.until_role("master")
        need.wait_until(lambda: (has_vip(a), has_vip(b)) == (False, True), 1, "the address moves")
        first.quorums(web=True)
        first.until_role("master")


def test_a_weight_changes_priority_at_once(network: Network) -> None:
    a, b = directors(network)
    tracked = instance(priority=110, track_virtual_servers=(TrackVirtualServer("web", -30),))
    with Director.start(a, tracked) as first, Director.start(b, instance()) as second:
        first.until_role("master")
        second.until_role("backup")
        first.quorums(web=False)
        second.until_role("master")
        first.until_role("backup")
        assert first.router()["priority"] == 80
        first.quorums(web=True)
        first.until_role("master")


def test_reload_keeps_the_master_and_applies_the_difference(network: Network) -> None:
    a, b = directors(network)
    other = instance(name="other", vrid=52, addresses=(VirtualAddress("10.9.0.102"),))
    gone = instance(name="gone", vrid=53, addresses=(VirtualAddress("10.9.0.103"),))
    with Director.start(a, instance(priority=150), other, gone) as first, Director.start(b, instance(), gone) as second:
        for name in ("vi", "other", "gone"):
            first.until_role("master", name)
        second.until_role("backup")
        since = {n: first.router(n)["since"] for n in ("vi", "other")}
        more = instance(priority=151, addresses=(VirtualAddress(VIP), VirtualAddress("10.9.0.101")))
        first.configure(more, other)
        first.until(lambda: first.router()["priority"] == 151, "the reload is told")
        need.wait_until(lambda: "10.9.0.101/32" in addresses(a), 1, "the new address is there")
        need.wait_until(lambda: "10.9.0.103/32" not in addresses(a), 1, "the removed one's is not")
        assert {n: first.router(n)["since"] for n in ("vi", "other")} == since, "nobody changed its role"
        assert "gone" not in first.facts["instances"]
        second.until_role("master", "gone")
        first.configure(instance(priority=151), other)
        need.wait_until(lambda: "10.9.0.101/32" not in addresses(a), 1, "the address is taken back")
        assert has_vip(a)
        assert second.router()["became_master"] == 0
