"""One probe, many answers: equal checks behind several virtual servers run once; suspension, reload, adoption hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from fastha.checker.ending import Ending
from fastha.model import TcpCheck, VirtualServer
from unit.test_checker_child import VS, World, server

OTHER = replace(VS, ip="203.0.113.2")
THIRD = replace(VS, ip="203.0.113.3")


@pytest.fixture
def world() -> Iterator[World]:
    w = World()
    yield w
    w.close()


def healths(world: World, number: int) -> list[str]:
    """The health of real server N behind each virtual server."""
    return [vs["real_servers"][f"192.0.2.{number}:80"]["health"] for vs in world.picture["virtual_servers"].values()]


def test_one_probe_answers_for_all(world: World) -> None:
    world.configure(VS, OTHER, THIRD)
    assert len(world.engine.slots) == len(VS.real_servers)
    world.end((1, Ending.REFUSED))
    assert healths(world, 1) == ["down"] * 3
    assert len([e for e in world.events if "192.0.2.1:80" in e[0]]) == 3
    world.end((1, Ending.CONNECTED), (2, Ending.CONNECTED))
    assert healths(world, 1) == healths(world, 2) == ["up"] * 3


def test_a_check_that_differs_in_anything_is_asked_apart(world: World) -> None:
    check = VS.real_servers[0].checks[0]
    assert isinstance(check, TcpCheck)
    others = [replace(check, bind_if="eth0"), replace(check, fwmark=1), replace(check, delay_ns=check.delay_ns + 1)]
    reals = tuple(replace(VS.real_servers[0], checks=(c,)) for c in (check, *others))
    world.configure(*(replace(VS, ip=f"203.0.113.{i}", real_servers=(rs,)) for i, rs in enumerate(reals)))
    assert len(world.engine.slots) == 4


def test_one_who_joins_later_knows_at_once(world: World) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED), (2, Ending.CONNECTED))
    slots = dict(world.engine.slots)
    world.configure(VS, OTHER)
    assert world.engine.slots == slots, "no slot is opened or started anew"
    assert healths(world, 1) == ["down"] * 2
    assert healths(world, 2) == ["up"] * 2
    assert "192.0.2.1" not in {k.ip for key, row in world.kernel.dump().items() if "2" in str(key) for k in row.dests}


def test_who_goes_leaves_the_probe_to_the_others(world: World) -> None:
    world.configure(VS, OTHER, THIRD)
    world.configure(OTHER, THIRD)
    world.end((1, Ending.REFUSED))
    assert healths(world, 1) == ["down"] * 2
    world.configure(THIRD)
    assert len(world.engine.slots) == len(VS.real_servers)
    world.configure(replace(THIRD, real_servers=(server(2),)))
    assert len(world.engine.slots) == 1
    world.configure()
    assert world.engine.slots == {}


def test_a_reload_that_changes_one_check_parts_it(world: World) -> None:
    world.configure(VS, OTHER)
    check = VS.real_servers[0].checks[0]
    apart = replace(VS.real_servers[0], checks=(replace(check, retry_delay_ns=123),))
    world.configure(VS, replace(OTHER, real_servers=(apart, *OTHER.real_servers[1:])))
    assert len(world.engine.slots) == len(VS.real_servers) + 1
    world.configure(VS, OTHER)
    assert len(world.engine.slots) == len(VS.real_servers)
    world.end((1, Ending.REFUSED))
    assert healths(world, 1) == ["down"] * 2


def test_the_same_check_twice_on_one_server_is_one(world: World) -> None:
    check = VS.real_servers[0].checks[0]
    other = replace(check, retry_delay_ns=5)
    twice = replace(VS, real_servers=(replace(VS.real_servers[0], checks=(check, other, check)),))
    once = replace(VS, real_servers=(replace(VS.real_servers[0], checks=(check,)),))
    for config in (twice, once, twice, replace(twice, scheduler="wrr")):
        world.configure(config)
        assert len(world.engine.slots) == (1 if config is once else 2)
    world.configure()
    assert world.engine.slots == {}


def test_two_that_a_predecessor_knew_apart_are_not_thrown_together(world: World) -> None:
    """No row changes before a check has an answer, whatever the others are known to be."""

    def known(server_: VirtualServer, health: str) -> dict[str, Any]:
        reals = {rs.key: {"health": health if rs is server_.real_servers[0] else "up"} for rs in server_.real_servers}
        return {server_.key: {"up": True, "real_servers": reals}}

    previous = {"virtual_servers": known(VS, "up") | known(OTHER, "down")}
    world.configure(VS, OTHER, previous=previous)
    assert healths(world, 1) == ["up", "down"]
    assert healths(world, 2) == ["up", "up"]
    assert len(world.engine.slots) == len(VS.real_servers) + 1


def test_a_suspended_one_keeps_what_it_knew_and_joins_again(world: World) -> None:
    here: set[str] = {VS.ip, OTHER.ip}
    suspendable = replace(OTHER, ha_suspend=True)
    presence = SimpleNamespace(has=here.__contains__, listen=lambda _wanted, _buffers: None, close=lambda: None)
    world.checker._presence = presence  # type: ignore[assignment]
    world.configure(VS, suspendable)
    assert len(world.engine.slots) == len(VS.real_servers)
    world.end((1, Ending.CONNECTED))
    here.discard(OTHER.ip)
    world.checker._addresses_changed()
    world.turn()
    slots = sorted(s.target[0] for s in world.engine.slots.values())
    assert len(slots) == 2 * len(VS.real_servers), "held slots of its own"
    (asked,) = [n for n, s in world.engine.slots.items() if s.target[0] == "192.0.2.1" and s.when_ns >= 0]
    for _ in range(5):
        world.engine.end((asked, Ending.REFUSED))
        world.turn()
    assert healths(world, 1) == ["down", "up"]
    here.add(OTHER.ip)
    world.checker._addresses_changed()
    world.turn()
    assert healths(world, 1) == ["down", "down"], "the answer is there already"
    assert len(world.engine.slots) == len(VS.real_servers)
