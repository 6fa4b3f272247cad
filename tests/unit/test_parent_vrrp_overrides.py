"""Operators' decisions about instances: names, refusals, all or none, the state file."""

from __future__ import annotations

from typing import Any

import pytest

from fastha.model.override import VrrpOverride
from fastha.parent.protocol import BadRequest
from fastha.parent.state import State, decode, encode
from fastha.parent.vrrp_overrides import Decided, VrrpChange, apply, decide, describe, over, wish

CONFIGURED = {"VI_1": 100, "VI_2": 150, "own": 255}
PEERS = [{"ip": "10.0.0.2"}]
FACTS: dict[str, Any] = {
    "VI_1": {"state": "master", "peers": PEERS}, "VI_2": {"state": "backup", "peers": PEERS},
    "own": {"state": "master", "peers": []},
}  # fmt: skip
NOW = 1_700_000_000.0


def done(action: str, *names: str, decided: Decided | None = None, **more: Any) -> list[VrrpChange]:
    fields = {"action": action, "instances": list(names), **more}
    return decide(wish(fields), CONFIGURED, decided or {}, FACTS, NOW, "uid 0")


def refused(action: str, *names: str, **more: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        done(action, *names, **more)
    return caught.value.code


def test_a_failover_concerns_the_masters_among_the_named() -> None:
    (change,) = done("failover", "VI_*")
    assert change == VrrpChange("VI_1", None, VrrpOverride(failover=True, since=NOW, by="uid 0"))
    assert refused("failover", "VI_2") == "role"
    assert refused("failover", "own") == "alone"
    assert [c.instance for c in done("failover", "*", force=True)] == ["VI_1", "own"]


def test_hold_and_priority_are_kept_apart() -> None:
    held = apply({}, done("hold", "VI_1", "VI_2"))
    assert describe(held["VI_1"]) == "held"
    both = apply(held, done("priority", "VI_1", decided=held, priority=20))
    assert describe(both["VI_1"]) == "held, priority 20"
    assert describe(apply(both, done("unhold", "VI_1", decided=both))["VI_1"]) == "priority 20"
    assert "VI_2" not in apply(both, done("unhold", "VI_2", decided=both))
    assert describe(apply(both, done("unset", "VI_1", decided=both))["VI_1"]) == "held"
    assert apply(both, done("release", "*", decided=both)) == {}


def test_the_same_again_changes_nothing() -> None:
    held = apply({}, done("hold", "VI_2"))
    (change,) = done("hold", "VI_2", decided=held)
    assert change.before == change.after
    (change,) = done("release", "VI_1")
    assert change.before is change.after is None


def test_all_or_none() -> None:
    assert refused("hold", "VI_2", "nobody") == "unmatched"
    assert refused("hold", "VI_*", "own") == "alone"
    assert refused("priority", "VI_1", "own", priority=10) == "role"
    left = {"gone": VrrpOverride(hold=True, since=1.0, by="uid 0")}
    assert refused("hold", "gone", decided=left) == "unmatched"
    assert done("release", "gone", decided=left)[0].after is None


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "explode", "instances": ["a"]}, {"action": "hold"}, {"action": "hold", "instances": []},
        {"action": "hold", "instances": "a"}, {"action": "hold", "instances": ["a"], "priority": 1},
        {"action": "priority", "instances": ["a"]}, {"action": "priority", "instances": ["a"], "priority": 255},
        {"action": "priority", "instances": ["a"], "priority": 0}, {"action": "hold", "instances": ["a"], "force": 1},
    ],
)  # fmt: skip
def test_what_is_no_wish(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        wish(fields)


def test_a_failover_is_over_once_and_only_that_of_its_time() -> None:
    decided = apply({}, done("failover", "VI_1"))
    assert over(decided, "VI_1", NOW - 1) is decided
    assert over(decided, "VI_2", NOW) is decided
    assert over(decided, "VI_1", NOW) == {}
    with_priority = {"VI_1": VrrpOverride(failover=True, priority=7, since=NOW)}
    assert over(with_priority, "VI_1", NOW) == {"VI_1": VrrpOverride(priority=7, since=NOW)}


def test_the_state_file_keeps_them() -> None:
    state = State(vrrp=apply({}, [*done("hold", "VI_1"), *done("priority", "VI_2", priority=3)]))
    assert decode(encode(state)) == state
    assert decode(b'{"version": 1, "overrides": {}}').vrrp == {}  # what earlier versions wrote
    for nonsense in ('"x"', '{"a": {"hold": 1}}', '{"a": {"priority": 300}}', '{"a": {"other": 1}}', "[]"):
        with pytest.raises(ValueError, match="decision"):
            decode(f'{{"version": 1, "overrides": {{}}, "vrrp": {nonsense}}}'.encode())


def test_a_sync_group_stands_for_its_members() -> None:
    groups = {"inside": ("VI_1", "VI_2"), "VI_2": ("own",)}

    def named(*words: str) -> list[str]:
        asked = wish({"action": "priority", "instances": list(words), "priority": 9})
        return [one.instance for one in decide(asked, CONFIGURED | {"own": 1}, {}, FACTS, NOW, "uid 0", groups)]

    assert named("inside") == ["VI_1", "VI_2"]
    assert named("in*", "VI_1") == ["VI_1", "VI_2"]
    assert named("VI_2") == ["VI_2"], "an instance of that name comes first"
    with pytest.raises(BadRequest, match="no instance or sync group is called 'outside'"):
        named("outside")
