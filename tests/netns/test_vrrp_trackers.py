"""What an instance follows, on a real network: interfaces as the kernel has them, BFD sessions as the parent says."""

from __future__ import annotations

from fastha.lab.network import Network
from fastha.model import Tracker
from netns.vrrp_director import Director, directors, has_vip, instance


def priority(us: Director, wanted: int) -> None:
    us.until(lambda: us.router().get("priority") == wanted, f"priority {wanted}")


def test_an_interface_with_weight_moves_the_priority(network: Network) -> None:
    a, _ = directors(network)
    port = network.attach("other", a, "eth1", "10.8.0.1/24")
    cells = {(20, False): (120, 100), (-20, False): (100, 80), (20, True): (80, 100), (-20, True): (100, 120)}
    for (weight, reverse), (up, down) in cells.items():
        with Director.start(a, instance(track=(Tracker("interface", "eth1", weight, reverse),))) as us:
            us.until_role("master")
            priority(us, up)
            network.unplug(port)
            priority(us, down)
            assert us.router()["state"] == "master"
            network.plug(port)
            priority(us, up)
            assert us.stop() == 0


def test_an_interface_without_weight_is_needed(network: Network) -> None:
    a, b = directors(network)
    with Director.start(a, instance(track=(Tracker("interface", "eth1"),))) as us:
        us.until_role("fault")
        assert us.router()["faults"] == ["tracked interface eth1 is down"], "it is not there"
        a.ip("link add eth1 type veth peer name eth9", "link set eth9 up", "link set eth1 up")
        us.until_role("master")
        assert has_vip(a)
        a.ip("link set eth9 down")
        us.until_role("fault")
        us.until(lambda: not has_vip(a), "the address is given up")
        with Director.start(b, instance(priority=50)) as them:
            them.until_role("master")
            a.ip("link set eth9 up")
            us.until_role("master")
            them.until_role("backup")


def test_a_session_without_weight_is_waited_for_and_needed(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, instance(track=(Tracker("bfd", "gw"), Tracker("bfd", "far", 30, True)))) as us:
        us.until(lambda: us.router().get("why") == "waits for the first word about BFD session gw", "it waits")
        us.endpoint.send(type="bfds", states={"gw": True, "somebody": False})
        us.until_role("master")
        priority(us, 100)
        us.endpoint.send(type="bfds", states={"far": True})
        priority(us, 70)
        us.endpoint.send(type="bfds", states={"far": False})
        priority(us, 100)
        us.endpoint.send(type="bfds", states={"gw": False})
        us.until_role("fault")
        assert us.router()["faults"] == ["BFD session gw is down"]
        us.configure(instance(track=(Tracker("bfd", "far", 30, True),)))
        us.until_role("master")
