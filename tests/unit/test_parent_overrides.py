"""Operators' decisions in the parent: names and patterns, all or nothing, the quorum, the state file; a seeded walk."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fastha.log import Log
from fastha.model import Config, RealServer, VirtualServer
from fastha.model.lvs import GroupMember
from fastha.model.override import Override
from fastha.parent import overrides, state
from fastha.parent.configuration import configured
from fastha.parent.events import Events
from fastha.parent.memory import Memory
from fastha.parent.overrides import Change, Decided, apply, decide, describe, match, wish
from fastha.parent.protocol import BadRequest
from fastha.parent.state import State
from walk.seeds import walk

WALL = 1_700_000_000.0


def vs(ip: str, *reals: tuple[str, int], **more: Any) -> VirtualServer:
    return VirtualServer(ip=ip, real_servers=tuple(RealServer(ip=a, port=p) for a, p in reals), **more)


SERVERS = {
    server.key: server
    for server in (
        vs("10.0.0.1", ("10.2.0.11", 80), ("10.2.0.12", 80), ("10.2.0.12", 81), port=80),
        vs("10.0.0.1", ("10.2.0.11", 53), port=53),
        vs("10.0.0.1", ("10.2.0.11", 53), port=53, protocol="UDP"),
        vs("2001:db8::1", ("2001:db8::11", 80), ("2001:db8::12", 80), port=80),
        vs("", ("10.2.0.13", 0), fwmark=7),
        vs("", ("10.2.0.14", 80), group="web"),
    )
}
KEYS = {key: [rs.key for rs in server.real_servers] for key, server in SERVERS.items()}


def asked(action: str, virtual: str, *real: str, **more: Any) -> overrides.Wish:
    return wish({"action": action, "virtual_servers": [virtual], "real_servers": list(real), **more})


def found(virtual: str, *real: str) -> list[str]:
    return [f"{a} {b}" for a, b in match(asked("drain", virtual, *real), KEYS)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("10.0.0.1:80/tcp", "10.2.0.11:80"), ["10.0.0.1:80/tcp 10.2.0.11:80"]),
        (("10.0.0.1:80", "10.2.0.11"), ["10.0.0.1:80/tcp 10.2.0.11:80"]),
        (("10.0.0.1:53/udp", "10.2.0.11"), ["10.0.0.1:53/udp 10.2.0.11:53"]),
        (("10.0.0.1:53*", "*"), ["10.0.0.1:53/tcp 10.2.0.11:53", "10.0.0.1:53/udp 10.2.0.11:53"]),
        (("10.0.0.1:80", "10.2.0.12:*", "10.2.0.12:81"),
         ["10.0.0.1:80/tcp 10.2.0.12:80", "10.0.0.1:80/tcp 10.2.0.12:81"]),
        (("10.0.0.1:80", "10.2.0.1[12]:80"), ["10.0.0.1:80/tcp 10.2.0.11:80", "10.0.0.1:80/tcp 10.2.0.12:80"]),
        (("[2001:db8::1]:80", "2001:DB8:0::11"), ["[2001:db8::1]:80/tcp [2001:db8::11]:80"]),
        (("[2001:db8:0::1]:80/TCP", "[2001:db8::12]:80"), ["[2001:db8::1]:80/tcp [2001:db8::12]:80"]),
        (("*", "[2001:db8::*]:80"),
         ["[2001:db8::1]:80/tcp [2001:db8::11]:80", "[2001:db8::1]:80/tcp [2001:db8::12]:80"]),
        (("fwmark 7", "10.2.0.13"), ["fwmark 7/inet 10.2.0.13:0"]),
        (("web", "*"), ["group web/tcp 10.2.0.14:80"]),
        (("group web/tcp", "10.2.0.14:80"), ["group web/tcp 10.2.0.14:80"]),
    ],
)  # fmt: skip
def test_names(words: tuple[str, ...], expected: list[str]) -> None:
    assert found(*words) == expected


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("10.0.0.2:80", "*"), "unmatched"),
        (("10.0.0.1:53", "*"), "ambiguous"),
        (("10.0.0.1:80", "10.2.0.12"), "ambiguous"),
        (("10.0.0.1:80", "10.2.0.11", "10.2.0.99"), "unmatched"),
        (("10.0.0.1:80", "nonsense*"), "unmatched"),
        (("[", "]"), "unmatched"),
        (("10.0.0.1:99999999999999999999", "*"), "unmatched"),
    ],
)
def test_names_that_mean_nothing_or_too_much(words: tuple[str, ...], code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        found(*words)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"action": "explode"},
        {"action": ["drain"]},
        {"action": "drain", "weight": 1},
        {"action": "weight"},
        {"action": "weight", "weight": 65536},
        {"action": "weight", "weight": True},
        {"action": "weight", "weight": -1},
        {"action": "enable", "timeout_s": 3},
        {"action": "drain", "timeout_s": 0},
        {"action": "drain", "timeout_s": "3"},
        {"action": "drain", "timeout_s": 1e99},
        {"action": "drain", "force": 1},
        {"action": "drain", "real_servers": "x"},
        {"action": "drain", "real_servers": []},
        {"action": "drain", "virtual_servers": [7]},
    ],
)
def test_malformed(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        wish({"virtual_servers": ["*"], "real_servers": ["*"], **fields})
    assert caught.value.code == "malformed"


def decided(action: str, *words: str, before: Decided | None = None, facts: Any = None, **more: Any) -> list[Change]:
    return decide(asked(action, *words, **more), SERVERS, before or {}, facts or {}, WALL, "uid 0")


def test_what_follows_what() -> None:
    key, rs = "10.0.0.1:80/tcp", "10.2.0.11:80"
    kinds = {
        "": None,
        "drain": Override(mode="drain", since=1.0),
        "disabled": Override(mode="disabled", since=1.0),
        "weight": Override(mode="weight", weight=5, since=1.0),
    }
    becomes = {}
    for name, before in kinds.items():
        for action in ("drain", "enable", "disable", "weight"):
            more = {"weight": 5} if action == "weight" else {}
            (change,) = decided(action, key, rs, before={key: {rs: before}} if before else {}, **more)
            assert change.before == before
            kept = "=" if change.after == before else ""
            becomes[name, action] = f"{kept}{change.after.mode if change.after else ''}"
    assert becomes == {
        ("", "drain"): "drain", ("", "enable"): "=", ("", "disable"): "disabled", ("", "weight"): "weight",
        ("drain", "drain"): "=drain", ("drain", "enable"): "", ("drain", "disable"): "disabled",
        ("drain", "weight"): "weight",
        ("disabled", "drain"): "drain", ("disabled", "enable"): "", ("disabled", "disable"): "=disabled",
        ("disabled", "weight"): "weight",
        ("weight", "drain"): "drain", ("weight", "enable"): "=weight", ("weight", "disable"): "disabled",
        ("weight", "weight"): "=weight",
    }  # fmt: skip
    (later,) = decided("drain", key, rs, before={key: {rs: Override(mode="drain", since=1.0)}}, timeout_s=9)
    assert later.after == Override(mode="drain", since=1.0, deadline=WALL + 9, by="uid 0")
    assert describe(later.after).startswith("drain, at most ")


def test_forget_is_about_decisions_not_about_the_configuration() -> None:
    gone = {"10.9.9.9:80/tcp": {"10.2.0.99:80": Override(mode="drain")}}
    (change,) = decided("forget", "*", "*", before=gone)
    assert apply(gone, [change]) == {}
    with pytest.raises(BadRequest):
        decided("forget", "10.0.0.1:80", "10.2.0.11", before=gone)
    with pytest.raises(BadRequest):
        decided("drain", "10.9.9.9:80", "10.2.0.99", before=gone)


def test_the_quorum() -> None:
    key = "10.0.0.1:80/tcp"
    with pytest.raises(BadRequest) as caught:
        decided("drain", key, "*")
    assert caught.value.code == "quorum"
    assert len(decided("drain", key, "*", force=True)) == 3
    one_up = {key: {"up": True, "real_servers": {rs: {"health": "down"} for rs in KEYS[key][1:]}}}
    with pytest.raises(BadRequest):
        decided("drain", key, KEYS[key][0], facts=one_up)
    with pytest.raises(BadRequest):
        decided("weight", key, KEYS[key][0], facts=one_up, weight=0)
    assert decided("drain", key, KEYS[key][1], facts=one_up), "one that is down is not missed"
    assert decided("drain", key, "*", facts={key: {"up": False}}), "it has no quorum to lose"
    with pytest.raises(BadRequest):  # all or nothing: one virtual server of many is enough
        decided("drain", "*", "10.2.0.11:*")


def test_walk_and_every_state_survives_the_file(tmp_path: Path) -> None:
    """Random wishes: the decisions equal a dict that is edited one by one; each state is read back equal."""
    rng = walk("decisions")
    path = str(tmp_path / "deep" / "state.json")
    now: dict[str, dict[str, Override]] = {}
    twin: dict[tuple[str, str], Override] = {}
    pairs = [(key, rs) for key, those in KEYS.items() for rs in those]
    for step in range(300):
        key, rs = rng.choice(pairs)
        action = rng.choice(["drain", "enable", "disable", "weight", "forget"])
        more: dict[str, Any] = {"weight": rng.randint(0, 65535)} if action == "weight" else {}
        if action == "drain" and rng.random() < 0.5:
            more["timeout_s"] = rng.uniform(0.1, 1e6)
        try:
            changes = decide(asked(action, key, rs, force=True, **more), SERVERS, now, {}, WALL + step, "uid 0")
        except BadRequest:
            assert action == "forget"
            assert (key, rs) not in twin
            continue
        (change,) = changes
        assert change.before == twin.get((key, rs))
        if action == "forget" or (action == "enable" and change.before and change.before.mode != "weight"):
            assert twin.pop((key, rs), None) is not None
        elif action != "enable":
            assert change.after is not None
            assert change.after.mode == {"disable": "disabled"}.get(action, action)
            twin[key, rs] = change.after
        now = apply(now, changes)
        assert {(v, r): one for v, those in now.items() for r, one in those.items()} == twin
        if step % 20 == 0:
            state.save(path, State(now, frozenset(KEYS), frozenset({"eth0 10.0.0.1/24"})))
            assert state.load(path) == (State(now, frozenset(KEYS), frozenset({"eth0 10.0.0.1/24"})), "")
    assert os.listdir(tmp_path / "deep") == ["state.json"]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "\udcff", '{"version": 2, "overrides": {}}', '{"version": 1}',
        '{"version": 1, "overrides": {"a": []}}',
        '{"version": 1, "overrides": {"a": {"b": {"mode": "explode"}}}}',
        '{"version": 1, "overrides": {"a": {"b": {"mode": "weight", "weight": "1"}}}}',
        '{"version": 1, "overrides": {"a": {"b": {"mode": "weight", "weight": 70000}}}}',
        '{"version": 1, "overrides": {"a": {"b": {"mode": "drain", "extra": 1}}}}',
        '{"version": 1, "overrides": {}, "services": [1]}',
        '{"version": 1, "overrides": {}, "addresses": {}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_moved_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text, errors="surrogateescape")
    loaded, warning = state.load(str(path))
    assert loaded == State()
    assert warning.startswith(f"state file {path}: ")
    assert "\n" not in warning
    assert not path.exists()
    assert len(list(tmp_path.glob("state.json.damaged-*"))) == 1
    assert state.load(str(path)) == (State(), "")


def test_a_decision_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = Log("test", syslog="")
    memory = Memory(str(tmp_path / "file" / "state.json"), log, Events(log))
    memory.load()
    config = configured(Config(virtual_servers=tuple(SERVERS.values())))
    fields = {"action": "drain", "virtual_servers": ["10.0.0.1:80"], "real_servers": ["10.2.0.11"]}
    with pytest.raises(BadRequest) as caught:
        memory.decide(fields, config, {}, 0)
    assert caught.value.code == "state"
    assert memory.decided == {}
    memory.own("checker", ["10.0.0.1:80/tcp"])  # a warning, once; the daemon goes on
    assert memory.owned("checker") == {"10.0.0.1:80/tcp"}
    log.close()


def test_a_listing_says_what_is_carried_out(tmp_path: Path) -> None:
    log = Log("test", syslog="")
    memory = Memory(str(tmp_path / "state.json"), log, Events(log))
    config = configured(Config(virtual_servers=tuple(SERVERS.values())))
    key, rs = "10.0.0.1:80/tcp", "10.2.0.11:80"
    memory.decide({"action": "drain", "virtual_servers": [key], "real_servers": [rs]}, config, {}, 1000)
    (one,) = memory.listing(config, {})
    assert (one["known"], one["in_force"], one["by"]) == (True, False, "uid 1000")
    told = {"override": {"mode": "drain", "since": one["since"], "state": "draining"}, "active": 3, "in_table": 0}
    (one,) = memory.listing(config, {key: {"real_servers": {rs: told}}})
    assert (one["in_force"], one["state"], one["active"]) == (True, "draining", 3)
    (one,) = memory.listing(configured(Config()), {})
    assert one["known"] is False
    assert memory.plain() == {key: {rs: asdict(memory.decided[key][rs])}}
    log.close()


def test_names_of_services() -> None:
    members = (
        GroupMember(first_ip="10.0.0.8", last_ip="10.0.0.10", port=80),
        GroupMember(first_ip="2001:db8::f", last_ip="2001:db8::10", port=0, family="inet6"),
        GroupMember(fwmark=9, family="inet6"),
    )
    config = configured(Config(virtual_servers=(VirtualServer(group="web", members=members), VirtualServer(fwmark=3))))
    assert config.owned("virtual_server", {}) == {
        "10.0.0.8:80/tcp", "10.0.0.9:80/tcp", "10.0.0.10:80/tcp", "[2001:db8::f]:0/tcp", "[2001:db8::10]:0/tcp",
        "fwmark 9/inet6", "fwmark 3/inet",
    }  # fmt: skip
    marked = {"group web/tcp": {"mark": 1000}}
    assert config.owned("virtual_server", marked) == {
        "fwmark 1000/inet", "fwmark 1000/inet6", "fwmark 9/inet6", "fwmark 3/inet",
    }  # fmt: skip
