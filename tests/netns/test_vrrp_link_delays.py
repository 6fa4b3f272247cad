"""`interface_up_down_delays` with real links."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fastha.lab.network import Network
from fastha.model import Config, GlobalDefs, LinkDelay, Tracker
from netns.vrrp_director import Director, directors, instance

pytestmark = pytest.mark.root

MS = 1_000_000
SECOND = 1_000 * MS


class Delayed(Director):
    delays: tuple[LinkDelay, ...] = ()

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(GlobalDefs(link_delays=self.delays), instances=values)


def test_a_flapping_link_is_no_fault_and_a_lost_one_is_when_its_delay_is_over(network: Network) -> None:
    a, _ = directors(network)
    network.attach("side", a, "eth1", "10.8.0.1/24")
    with Delayed(a) as us:
        us.delays = (LinkDelay("eth1", 1500 * MS, 800 * MS), LinkDelay("eth0", 100 * SECOND))
        us.configure(instance(track=(Tracker("interface", "eth1"),)))
        us.until_role("master", deadline_s=20)
        became = us.router()["became_master"]

        for _ in range(3):
            a.ip("link set eth1 down")
            a.ip("link set eth1 up")
        began = time.monotonic()
        a.ip("link set eth1 down")
        us.until_role("fault", deadline_s=20)
        assert time.monotonic() - began >= 1.5
        assert us.router()["faults"] == ["tracked interface eth1 is down"]
        assert sum("interface eth1 is down" in e["text"] for e in us.events) == 1, us.events

        began = time.monotonic()
        a.ip("link set eth1 up")
        us.until_role("master", deadline_s=20)
        assert time.monotonic() - began >= 0.8

        # Its own link: no longer than two of its intervals of 0.1 s, whatever is written.
        a.ip("link set eth0 down")
        us.until_role("fault", deadline_s=20)
        assert us.router()["faults"] == ["interface eth0 is down"]
        a.ip("link set eth0 up")
        us.until_role("master", deadline_s=20)
        assert us.router()["became_master"] == became + 2
        assert us.stop() == 0
