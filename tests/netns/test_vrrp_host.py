"""A child and its host: interfaces that come and go, addresses that vanish, death of child and parent."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

import need
from fastha.lab.network import Network
from fastha.link import rtnl
from fastha.link.addresses import AddressQueue, Operation
from fastha.link.monitor import Monitor
from fastha.loop.reactor import Reactor
from fastha.model import VirtualAddress
from fastha.model.units import NS_PER_S
from netns.vrrp_director import VIP, Director, addresses, directors, has_vip, instance, keepalived_conf

pytestmark = pytest.mark.root


def test_a_deleted_address_comes_back(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, instance()) as director:
        director.until_role("master")
        a.ip(f"addr del {VIP}/32 dev eth0")
        need.wait_until(lambda: has_vip(a), 1, "it is back")
        director.until(lambda: director.router()["repaired"] == 1, "it is counted")


def test_own_additions_are_not_announced_and_what_others_do_is(network: Network) -> None:
    a = network.namespace("a")
    network.cable(a, "eth0", network.namespace("b"), "eth0")
    with a.entered():
        index = socket.if_nametoindex("eth0")
        reactor = Reactor()
        queue = AddressQueue(reactor)
        monitor = Monitor(reactor, lambda _changes: None)
        monitor.ignore_added(queue.port)
    done: list[int] = []

    def ask(message: bytes, ip: str) -> None:
        queue.submit([Operation((index, ip, 24), message, done.append)])
        queue.pump()
        assert done.pop() == 0

    for ip in ("10.7.0.1", "10.7.0.2"):
        ask(rtnl.add_address(index, ip, 24), ip)
    a.ip("addr add 10.8.0.1/24 dev eth0")
    assert monitor.read() == {(index, "10.8.0.1")}, "of ours, who added them tells the table"
    for ip in ("10.7.0.1", "10.7.0.2"):
        monitor.table.add(index, ip, 24)
    monitor.table.apply(rtnl.Gone(rtnl.Address(index, "10.7.0.1", 24)))
    ask(rtnl.delete_address(index, "10.7.0.1", 24), "10.7.0.1")
    with a.entered():
        assert monitor.read() is None, "the kernel took the other one of this network with it: all is looked at"
    assert not monitor.table.has(index, "10.7.0.2", 24)
    assert monitor.table.has(index, "10.8.0.1", 24)
    a.ip("addr del 10.8.0.1/24 dev eth0")
    assert monitor.read() == {(index, "10.8.0.1")}
    monitor.close()
    queue.close()
    reactor.close()


def test_link_down_is_a_fault_and_up_again(network: Network) -> None:
    a, b = directors(network)
    with Director.start(a, instance(priority=150)) as first, Director.start(b, instance()) as second:
        first.until_role("master")
        a.ip("link set eth0 down")
        first.until_role("fault")
        assert first.router()["faults"] == ["interface eth0 is down"]
        assert not has_vip(a)
        second.until_role("master")
        a.ip("link set eth0 up")
        first.until_role("master")
        second.until_role("backup")


def test_an_interface_that_appears_later(network: Network) -> None:
    a, b = directors(network)
    late = instance(interface="eth1", addresses=(VirtualAddress(VIP),))
    with Director.start(a, late) as director:
        director.until_role("fault")
        assert director.router()["faults"] == ["interface eth1 does not exist"]
        network.attach("lan2", a, "eth1")
        director.until(lambda: director.router()["faults"] == ["interface eth1 has no IPv4 address"], "it is there")
        a.ip("addr add 10.9.1.1/24 dev eth1")
        director.until_role("master")
        assert f"{VIP}/32" in addresses(a, "eth1")
        a.ip("link del eth1")
        director.until_role("fault")
        network.attach("lan2", a, "eth1", "10.9.1.1/24")
        director.until_role("master")
    assert b


def test_a_killed_masters_replacement_adopts(network: Network) -> None:
    """Back within the peers' patience: no peer moves, no address is touched."""
    a, b = directors(network)
    slow = {"advert_int_ns": NS_PER_S, "addresses": tuple(VirtualAddress(f"10.9.0.{100 + i}") for i in range(20))}
    with Director.start(a, instance(priority=255, **slow)) as first, Director.start(b, instance(**slow)) as second:
        first.until_role("master")
        need.wait_until(lambda: len(addresses(a)) == 21, 2, "the addresses are there")
        watch = a.popen(["ip", "monitor", "address"], stdout=subprocess.PIPE, text=True)
        first.kill()
        with first.replacement(instance(priority=254, **slow)) as again:
            again.until_role("master")
            assert again.router()["why"] == "goes on where its predecessor stopped"
            again.until(lambda: again.router()["sent"] >= 3, "it speaks", 6)
            second.poll()
            assert second.router()["became_master"] == 0
            assert again.router()["became_master"] == 2, "counted on from its predecessor"
        watch.kill()
        assert watch.communicate()[0] == ""


def test_without_a_peer_adoption_touches_no_address(network: Network) -> None:
    """Too late to simply go on: it holds, listens, and is master again."""
    a, _ = directors(network)
    with Director.start(a, instance()) as first:
        first.until_role("master")
        first.kill()
        watch = a.popen(["ip", "monitor", "address"], stdout=subprocess.PIPE, text=True)
        with Director.start(a, instance()) as again:  # no previous facts: the kernel's addresses tell
            again.until(lambda: again.router().get("holding"), "it holds")
            again.until_role("master")
        watch.kill()
        assert watch.communicate()[0] == ""


def test_when_the_parent_dies_it_gives_up_in_order(network: Network) -> None:
    a, b = directors(network)
    with Director.start(a, instance(priority=150)) as first, Director.start(b, instance()) as second:
        first.until_role("master")
        second.until_role("backup")
        first.hang_up()
        assert first.process.wait(5) == 1
        assert not has_vip(a)
        second.until_role("master")
        assert second.router()["zero_received"] == 1


def test_hundreds_of_addresses_come_and_go_while_another_instance_speaks(network: Network) -> None:
    a, b = directors(network)
    many = instance(
        name="many", vrid=2, advert_int_ns=NS_PER_S,
        addresses=tuple(VirtualAddress(f"10.20.{i // 250}.{i % 250 + 1}", dev="eth0") for i in range(250)),
    )  # fmt: skip
    quick = instance(priority=150)
    with Director.start(a, quick, many) as director, Director.start(b, instance()) as peer:
        director.until_role("master")
        director.until_role("master", "many")
        need.wait_until(lambda: len(addresses(a)) == 252, 5, "all addresses are there")
        director.configure(quick)
        need.wait_until(lambda: len(addresses(a)) == 2, 5, "all but one are gone")
        peer.until(lambda: peer.router()["received"] > 30, "adverts come all the time")
        assert peer.router()["became_master"] == 0
        assert director.stop() == 0
        assert addresses(a) == ["10.9.0.1/24"]


def test_hundreds_of_instances_on_one_interface(network: Network) -> None:
    a, b = directors(network)
    routers = [
        instance(name=f"vi{n}", vrid=n, priority=150 if n % 2 else 50, addresses=(VirtualAddress(f"10.20.0.{n}"),))
        for n in range(1, 201)
    ]
    mirrored = [
        instance(name=f"vi{n}", vrid=n, priority=50 if n % 2 else 150, addresses=(VirtualAddress(f"10.20.0.{n}"),))
        for n in range(1, 201)
    ]
    with Director.start(a, *routers) as first, Director.start(b, *mirrored) as second:

        def settled(director: Director, odd: str, even: str) -> bool:
            found = director.facts.get("instances", {})
            return len(found) == 200 and all(
                found[f"vi{n}"].get("state") == (odd if n % 2 else even) for n in range(1, 201)
            )

        first.until(lambda: settled(first, "master", "backup"), "odd ones are ours", 10)
        second.until(lambda: settled(second, "backup", "master"), "even ones are theirs", 10)
        need.wait_until(lambda: len(addresses(a)) == 101, 2, "a hundred addresses each")
        assert first.stop() == 0
        second.until(lambda: settled(second, "master", "master"), "all are theirs", 10)


def test_without_privilege_one_clear_line(network: Network) -> None:
    need.tool("setpriv")
    a, _ = directors(network)

    class Weak(Director):
        prefix = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")

    weak = Weak(a)
    try:
        with pytest.raises(AssertionError, match="CAP_NET_RAW"):
            weak.configure(instance())
        assert len(weak.reasons) == 1
        assert "\n" not in weak.reasons[0]
        assert "Traceback" not in weak.log
    finally:
        assert weak.stop() == 0


def test_by_hand(network: Network) -> None:
    """`python -m fastha.vrrp -f FILE`: no parent, no checker; SIGTERM is the orderly end."""
    a, b = directors(network)
    path = network.folder / "keepalived.conf"
    path.write_text(
        keepalived_conf(150, more="track_virtual_server {\n 10.9.0.100 80\n }")
        + "virtual_server 10.9.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n"
        + " real_server 10.9.0.7 80 {\n weight 1\n }\n}\n"
    )
    with Director.start(b, instance()) as peer:
        child = a.popen([sys.executable, "-m", "fastha.vrrp", "-f", path], stderr=subprocess.PIPE, text=True)
        need.wait_until(lambda: has_vip(a), 5, "it is master")
        peer.until_role("backup")
        child.terminate()
        _, log = child.communicate(timeout=5)
        assert child.returncode == 0, log
        assert "nobody reports on virtual server" in log
        assert not has_vip(a)
        peer.until_role("master")
        assert peer.router()["zero_received"] == 1
