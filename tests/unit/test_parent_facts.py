"""The merged picture: RFC 7396 and its own examples, and what a successor's first facts do."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fastha.parent.facts import Picture, merge


@pytest.mark.parametrize(  # RFC 7396 appendix A, where both sides are objects
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "foo"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_merge_patch(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = copy.deepcopy(patch)
    merge(target, patch)
    assert target == result
    assert patch == before


def test_a_patch_is_not_shared_with_the_picture() -> None:
    picture, patch = Picture(), {"instances": {"VI_1": {"state": "master"}}}
    picture.merge("vrrp", patch)
    picture.merge("vrrp", {"instances": {"VI_1": {"state": "backup"}}})
    assert patch["instances"]["VI_1"]["state"] == "master"


def test_a_successors_first_facts_replace_and_then_merge() -> None:
    picture = Picture()
    picture.started("vrrp")
    picture.merge("vrrp", {"instances": {"a": {"state": "master"}, "b": {"state": "backup"}}})
    picture.started("vrrp")
    assert set(picture.of("vrrp")["instances"]) == {"a", "b"}, "until it has spoken, its predecessor's facts stay"
    picture.merge("vrrp", {"instances": {"a": {"state": "backup"}}})
    assert picture.of("vrrp") == {"instances": {"a": {"state": "backup"}}}
    picture.merge("vrrp", {"instances": {"c": {}}})
    assert set(picture.of("vrrp")["instances"]) == {"a", "c"}


def test_versions_grow_with_every_change() -> None:
    picture = Picture()
    picture.merge("vrrp", {"a": 1})
    first = picture.version
    picture.merge("checker", {"a": 1})
    assert picture.version > first
    picture.forget("vrrp")
    assert picture.of("vrrp") == {}
    assert set(picture.all()) == {"checker"}
    last = picture.version
    picture.forget("vrrp")
    assert picture.version == last
