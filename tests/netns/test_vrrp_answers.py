"""Startup delay, strangers and unanswered adverts, with real children on a virtual network."""

from __future__ import annotations

from typing import Any

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Config, GlobalDefs
from fastha.model.units import NS_PER_S
from netns.vrrp_director import Director, directors, has_vip, instance

pytestmark = pytest.mark.root
DELAY_S = 4


class Delayed(Director):
    def config(self, values: tuple[Any, ...]) -> Config:
        defs = GlobalDefs(startup_delay_ns=DELAY_S * NS_PER_S, log_unknown_vrids=True)
        return Config(globals=defs, instances=values)


def test_a_startup_delay_is_no_delay_for_a_replacement(network: Network) -> None:
    a, b = directors(network)
    with Director.start(b, instance(priority=100)) as peer, Delayed.start(a, instance(priority=200)) as late:
        peer.until_role("master")
        late.until(lambda: late.router().get("why") == "startup delay", "it says what it waits for")
        assert late.router()["state"] == "init"
        assert late.router()["sent"] == 0
        assert not has_vip(a)
        late.until_role("master", deadline_s=DELAY_S + 15)
        need.wait_until(lambda: (peer.poll(), peer.router()["state"] == "backup")[1], 10, "the peer yields")
        late.kill()
        with late.replacement(instance(priority=200)) as again:
            assert "startup delay" not in again.log
            again.until(lambda: again.router().get("state") in ("backup", "master"), "it takes part at once", 20)
            assert again.router()["why"] != "startup delay"


def test_unknown_vrids_are_told_once(network: Network) -> None:
    a, b = directors(network)
    with Director.start(b, instance(vrid=77)) as stranger, Delayed.start(a, instance()) as one:
        stranger.until_role("master")
        one.until(lambda: [e for e in one.events if e["kind"] == "unknown_vrid"], "it is told", 15)
        before = one.facts["interfaces"]["eth0"]["unknown_vrid"]
        one.until(lambda: one.facts["interfaces"]["eth0"]["unknown_vrid"] > before + 10, "more of them come", 15)
        (event,) = [e for e in one.events if e["kind"] == "unknown_vrid"]
        assert event["subject"] == "eth0"
        assert "VRID 77" in event["text"]
        assert "10.9.0.2" in event["text"]
