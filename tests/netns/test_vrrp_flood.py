"""Adverts of masters of lower priority, from thousands of sources, as fast as one core can send them: what is told of
them is limited, nothing grows, nobody leaves."""

from __future__ import annotations

import random
import socket
from collections import Counter
from pathlib import Path

import pytest

from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import VirtualAddress
from fastha.vrrp.sparing import AT_ONCE
from fastha.wire import advert
from netns.vrrp_director import Director, directors, instance

pytestmark = pytest.mark.root
ROUTERS = 100
PACKETS = 120_000


def packets(chance: random.Random) -> list[bytes]:
    """Acceptable ones, half of them with other addresses than ours."""
    out = []
    for number in range(20 * ROUTERS):
        vrid = 1 + number % ROUTERS
        out.append(
            advert.encode(
                src=f"10.9.{chance.randrange(1, 250)}.{chance.randrange(1, 250)}",
                dst="224.0.0.18",
                version=3,
                vrid=vrid,
                priority=chance.choice((1, 50, 199)),
                adver_cs=10,
                addresses=[chance.choice((f"10.99.0.{vrid}", "1.2.3.4"))],
            )
        )
    return out


def send(namespace: Namespace, all_of: list[bytes], count: int) -> None:
    with namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with sock:
        for number in range(count):
            sock.sendto(all_of[number % len(all_of)], ("224.0.0.18", 0))


def resident_kb(director: Director) -> int:
    lines = Path(f"/proc/{director.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def test_a_flood_of_lower_priority(network: Network) -> None:
    a, b = directors(network)
    b.ip("route add 224.0.0.0/4 dev eth0")
    seed = random.randrange(1 << 32)
    print(f"flood: FASTHA_SEED={seed}")
    flood = packets(random.Random(seed))
    routers = [
        instance(name=f"v{n}", vrid=n, priority=200, addresses=(VirtualAddress(f"10.99.0.{n}"),))
        for n in range(1, ROUTERS + 1)
    ]
    with Director.start(a, *routers) as director:
        director.until(
            lambda: all(director.router(r.name).get("state") == "master" for r in routers), "all are masters", 20
        )
        send(b, flood, 2 * ROUTERS)
        director.until(lambda: all(director.router(r.name).get("received") for r in routers), "all have heard it", 20)
        before_kb = resident_kb(director)
        for _ in range(10):
            send(b, flood, PACKETS // 10)
            director.poll()
        grown_kb = resident_kb(director) - before_kb
        heard = director.router("v1").get("received", 0)
        director.until(lambda: director.router("v1").get("received", 0) > heard, "it still counts", 20)
        told = Counter(e["subject"] for e in director.events if e["kind"] in ("two_masters", "addresses"))
        assert told, "it is told"
        assert max(told.values()) <= AT_ONCE + 3, "one more in 10 s"
        assert grown_kb < 3000
        assert all(director.router(r.name)["state"] == "master" for r in routers)
        assert len(director.router("v1")["peers"]) <= 8
        assert director.stop() == 0
