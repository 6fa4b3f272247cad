"""What tracked things do to an instance. The figures of `reverse` are those in adverts of keepalived 2.2.7."""

from __future__ import annotations

import pytest

from fastha.model import Tracker, TrackVirtualServer, VrrpInstance
from fastha.vrrp.trackers import effective_priority, faults, told, unknown


def instance(**more: object) -> VrrpInstance:
    return VrrpInstance(name="a", interface="eth0", vrid=1, **more)  # type: ignore[arg-type]


def servers(**states: bool) -> dict[tuple[str, str], bool]:
    return {("virtual_server", key): up for key, up in states.items()}


def test_weights() -> None:
    tracked = instance(track_virtual_servers=(TrackVirtualServer("a", 20), TrackVirtualServer("b", -30)))
    assert effective_priority(tracked, {}) == 100, "nobody has spoken"
    assert effective_priority(tracked, servers(a=True, b=True)) == 120
    assert effective_priority(tracked, servers(a=False, b=False)) == 70
    assert effective_priority(tracked, servers(a=True, b=False)) == 90


@pytest.mark.parametrize(
    ("weight", "reverse", "up", "down"),
    [(20, False, 120, 100), (-20, False, 100, 80), (20, True, 80, 100), (-20, True, 100, 120)],
)
@pytest.mark.parametrize("kind", ["interface", "bfd", "script"])
def test_reverse_turns_the_sign(kind: str, weight: int, reverse: bool, up: int, down: int) -> None:
    tracked = instance(track=(Tracker(kind, "x", weight, reverse),))
    assert effective_priority(tracked, {(kind, "x"): True}) == up
    assert effective_priority(tracked, {(kind, "x"): False}) == down
    assert faults(tracked, {(kind, "x"): False}) == faults(tracked, {(kind, "x"): True}) == []
    assert unknown(tracked, {}) == []


def test_weights_are_held_within_bounds_at_the_end_and_an_owner_never_changes() -> None:
    down, up = (TrackVirtualServer("a", -253),), (TrackVirtualServer("a", 253),)
    assert effective_priority(instance(track_virtual_servers=down), servers(a=False)) == 1
    assert effective_priority(instance(track_virtual_servers=up), servers(a=True)) == 254
    assert effective_priority(instance(priority=255, track_virtual_servers=down), servers(a=False)) == 255
    both = instance(track_virtual_servers=down, track=(Tracker("bfd", "b", 253),))
    assert effective_priority(both, servers(a=False) | {("bfd", "b"): True}) == 100, "not 1 + 253"


def test_without_weight() -> None:
    tracked = instance(
        track_virtual_servers=(TrackVirtualServer("a"), TrackVirtualServer("b"), TrackVirtualServer("c", 9))
    )
    assert faults(tracked, servers(a=False, b=True, c=False)) == ["virtual server a has lost its quorum"]
    assert unknown(tracked, servers(a=False)) == ["virtual server b"]


def test_names_of_two_kinds_do_not_meet() -> None:
    tracked = instance(track_virtual_servers=(TrackVirtualServer("a"),), track=(Tracker("bfd", "a"),))
    assert unknown(tracked, servers(a=True)) == ["BFD session a"]
    assert faults(tracked, servers(a=True) | {("bfd", "a"): False}) == ["BFD session a is down"]


def test_zero_reverse_is_fault_while_up() -> None:
    tracked = instance(track=(Tracker("bfd", "b", 0, True),))
    assert faults(tracked, {("bfd", "b"): True}) == ["BFD session b is up"]
    assert faults(tracked, {("bfd", "b"): False}) == []
    assert unknown(tracked, {}) == ["BFD session b"]


def test_a_file_counts_its_number_times_the_weight() -> None:
    """keepalived.md 2.6: at or below -254 FAULT, above 253 clipped; without weight anything but 0 is FAULT."""
    tracked = instance(track=(Tracker("file", "f", 3),))
    for value, priority in ((0, 100), (10, 130), (-10, 70), (1000, 254), (-84, 1)):
        assert effective_priority(tracked, {("file", "f"): value}) == priority
        assert faults(tracked, {("file", "f"): value}) == []
    assert faults(tracked, {("file", "f"): -85}) == ["track_file f is not 0"]
    backwards = instance(track=(Tracker("file", "f", 3, True),))
    assert effective_priority(backwards, {("file", "f"): 10}) == 70
    needed, other = instance(track=(Tracker("file", "f"),)), instance(track=(Tracker("file", "f", 0, True),))
    assert faults(needed, {("file", "f"): 1}) == ["track_file f is not 0"]
    assert faults(needed, {("file", "f"): 0}) == faults(other, {("file", "f"): 7}) == []
    assert faults(other, {("file", "f"): 0}) == ["track_file f is 0"]
    assert told(tracked, {("file", "f"): 10}) == "base 100, track_file f is 10 +30"
