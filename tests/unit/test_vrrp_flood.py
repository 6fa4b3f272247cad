"""What peers can cause as often as they like is bounded: what is told, what waits to be played, what waits to leave."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fastha.model.units import NS_PER_S
from fastha.vrrp import child as child_module
from fastha.vrrp import lane
from fastha.vrrp.child import VrrpChild
from fastha.vrrp.peers_seen import Peers
from fastha.vrrp.sparing import AT_ONCE, EVERY_NS, Sparing


def test_a_few_are_told_at_once_and_then_one_now_and_then() -> None:
    sparing, now = Sparing(), 5 * NS_PER_S
    told = [sparing.tells("x", now) for _ in range(100)]
    assert told == ["x"] * AT_ONCE + [""] * (100 - AT_ONCE)
    assert sparing.tells("x", now + EVERY_NS - 1) == ""
    assert sparing.tells("x", now + EVERY_NS) == f"x ({100 - AT_ONCE + 1} more like this were not told)"
    assert sparing.tells("x", now + EVERY_NS) == ""
    assert sparing.tells("y", now + 100 * EVERY_NS) == "y (1 more like this were not told)"
    assert [sparing.tells("z", now + 100 * EVERY_NS) for _ in range(AT_ONCE)] == ["z"] * (AT_ONCE - 1) + [""]


def test_peers_that_are_heard_no_more_are_forgotten() -> None:
    peers = Peers(())
    for source in range(1, 1000):
        assert len(peers.told([(source, 100, 1, source)])) == 1
    assert len(peers._at) == 1


def test_the_lane_is_not_asked_for_more_while_something_is_to_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "SLICE_NS", 0)  # one event in each slice
    child = VrrpChild(None)
    asked: list[int] = []
    played: list[int] = []

    def take() -> list[tuple[int, int, int, int, int, int]]:
        asked.append(len(played))
        return [(index, lane.ADVERT, 1, 9, 0, 0) for index in range(3)]

    def router(index: int) -> Any:
        return SimpleNamespace(meet=lambda *_: None, happen=lambda *_: played.append(index))

    child._by_index.update({index: router(index) for index in range(3)})
    child._house = SimpleNamespace(lane=SimpleNamespace(take=take), addresses=SimpleNamespace(idle=True))  # type: ignore[assignment]
    for _ in range(3):
        child._look()
    assert (asked, played) == ([0], [0])
    child._play()
    child._look()
    child._play()
    assert (asked, played) == ([0], [0, 1, 2])
    child._look()
    assert asked == [0, 3]
    child._house = None
    child.child.reactor.close()
