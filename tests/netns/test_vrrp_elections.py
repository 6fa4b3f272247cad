"""Two real children on a bridge: who is master, and how it changes hands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from netns.vrrp_director import Director, addresses, has_vip, instance

pytestmark = pytest.mark.root


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    need.kernel("veth", "bridge")
    with Network() as net:
        a, b = net.namespace("a"), net.namespace("b")
        net.attach("lan", a, "eth0", "10.9.0.1/24")
        net.attach("lan", b, "eth0", "10.9.0.2/24")
        yield a, b


def test_election_takeover_and_preemption(pair: tuple[Namespace, Namespace]) -> None:
    a, b = pair
    with Director.start(a, instance(priority=150)) as first, Director.start(b, instance()) as second:
        first.until_role("master")
        second.until_role("backup")
        assert has_vip(a)
        assert not has_vip(b)
        first.kill()
        second.until_role("master")
        assert has_vip(b)
        with first.replacement(instance(priority=150)) as again:
            again.until_role("master")
            second.until_role("backup")
            assert (has_vip(a), has_vip(b)) == (True, False)
            assert again.stop() == 0
        assert addresses(a) == ["10.9.0.1/24"]
        second.until_role("master")
        assert "resign" in second.router()["why"] or second.router()["zero_received"] == 1
