"""Two masters are an event: a wire that was cut, two passwords, a link that works one way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Auth
from fastha.model.units import NS_PER_S
from netns.vrrp_director import VIP, Director, directors, has_vip, instance

pytestmark = pytest.mark.root


def told(director: Director) -> list[dict[str, Any]]:
    return [event for event in director.events if event["kind"] == "two_masters"]


def both(one: Director, other: Director, condition: Callable[[], object], why: str) -> None:
    """Wait while both are listened to."""
    need.wait_until(lambda: (one.poll(), other.poll(), condition())[2], 30, why, 0.02)


def test_a_wire_that_was_cut(network: Network) -> None:
    a, b = network.namespace("a"), network.namespace("b")
    network.attach("left", a, "eth0", "10.9.0.1/24")
    network.attach("right", b, "eth0", "10.9.0.2/24")
    network.switch.ip("link add lr type veth peer name rl", "link set lr master left", "link set rl master right")
    with Director.start(a, instance(priority=200)) as high, Director.start(b, instance(priority=100)) as low:
        high.until_role("master", deadline_s=15)
        low.until_role("master", deadline_s=15)
        assert has_vip(a)
        assert has_vip(b)
        chance = random.Random(1)
        for _ in range(20):  # it is told by one who hears the loser before that hears the winner: half of the times
            assert told(high) == told(low) == []
            time.sleep(chance.uniform(0, 0.1))  # anywhere in their interval
            network.switch.ip("link set lr up", "link set rl up")
            both(high, low, lambda: low.router()["state"] == "backup", "the loser leaves")
            need.wait_until(lambda: not has_vip(b), 10, "and gives the address back")
            assert has_vip(a)
            assert high.router()["state"] == "master"
            high.poll()
            if told(high):
                break
            network.switch.ip("link set lr down")
            both(high, low, lambda: low.router()["state"] == "master", "the wire is cut again")
        assert "10.9.0.2 is master too, with priority 100 (ours: 200)" in told(high)[0]["text"]
        assert "until now" in told(high)[0]["cause"]
        assert told(low) == []


def test_two_passwords(network: Network) -> None:
    a, b = directors(network)
    v2 = {"version": 2, "advert_int_ns": NS_PER_S, "down_timer_adverts": 1}
    with (
        Director.start(a, instance(priority=200, auth=Auth("pass", "secret"), **v2)) as high,
        Director.start(b, instance(priority=100, auth=Auth("pass", "other"), **v2)) as low,
    ):
        both(high, low, lambda: told(high) and told(low), "both tell")
        assert "another password" in told(low)[0]["text"]
        both(high, low, lambda: high.router().get("two_masters"), "it is a fact")
        fact = high.router()["two_masters"]
        assert (fact["our_priority"], "peer" in fact) == (200, False)
        assert "another password" in fact["reason"]


def test_one_that_does_not_hear_us(network: Network) -> None:
    need.tool("nft")
    a, b = directors(network)
    b.run(["nft", "add table ip deaf; add chain ip deaf in { type filter hook input priority 0; }; "
           "add rule ip deaf in ip protocol 112 drop"])  # fmt: skip
    with Director.start(a, instance(priority=200)) as high, Director.start(b, instance(priority=100)) as low:
        both(high, low, lambda: len(told(high)) >= 2, "it is told, and then judged")
        assert "does not hear us" in told(high)[-1]["cause"]
        both(high, low, lambda: high.router().get("two_masters"), "it is a fact")
        fact = high.router()["two_masters"]
        assert (fact["peer"], fact["priority"], fact["our_priority"]) == ("10.9.0.2", 100, 200)
        assert told(low) == [], "it hears nothing"
        b.run(["nft", "delete table ip deaf"])
        both(high, low, lambda: low.router()["state"] == "backup", "it hears, and leaves")
        both(high, low, lambda: not high.router().get("two_masters"), "and it is over")
        assert not has_vip(b, VIP)
