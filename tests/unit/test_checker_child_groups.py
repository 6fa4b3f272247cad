"""The checker child with groups, marks, flushes, synchronisation daemons and ha_suspend, on a kernel in memory."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fastha.checker.ending import Ending
from fastha.checker.roster import SUSPENDED
from fastha.dataplane.rows import Daemon, Op, Service, ServiceKey, Timeouts, Verb
from fastha.model import GroupMember, LvsDefs, SyncDaemon, VirtualServer
from unit import test_checker_child as base

S = 10**9
VS = base.VS
GROUP = VirtualServer(
    group="web",
    members=(GroupMember("203.0.113.10", "203.0.113.12", 80),),
    scheduler="rr",
    real_servers=VS.real_servers,
)
FOREIGN = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "198.51.100.1", 25)


class Ipvs(base.Kernel):
    """The table in memory, and what IPVS has besides."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Timeouts(900, 120, 300)
        self.running: dict[int, Daemon] = {}
        self.flushed = 0

    def timeouts(self) -> Timeouts:
        return self.now

    def set_timeouts(self, timeouts: Timeouts) -> None:
        self.now = timeouts

    def daemons(self) -> list[Daemon]:
        return list(self.running.values())

    def start_daemon(self, daemon: Daemon) -> None:
        self.running[daemon.state] = daemon

    def stop_daemon(self, state: int) -> None:
        del self.running[state]

    def flush(self) -> None:
        self.flushed += 1
        self._table.clear()


class Plain:
    """A backend with a table and nothing else."""

    name = "plain"

    def __getattr__(self, name: str) -> Any:
        if name in ("dump", "apply", "refuse", "close", "counters"):
            return getattr(base.Kernel(), name)
        raise AttributeError(name)


class Host:
    """This host's addresses, as the checker's Presence tells."""

    def __init__(self, changed: Callable[[], object]) -> None:
        self.here: set[str] = set()
        self.listening = False
        self._changed = changed

    def listen(self, wanted: bool, _buffers: object) -> None:
        self.listening = wanted

    def has(self, ip: str) -> bool:
        return ip in self.here

    def close(self) -> None:
        self.listening = False

    def now_has(self, *ips: str) -> None:
        self.here = set(ips)
        self._changed()


class World(base.World):
    def __init__(self) -> None:
        self.ipvs = Ipvs()
        super().__init__()
        self.kernel = self.ipvs

    def begin(self) -> None:
        super().begin()
        checker: Any = self.checker
        checker._presence = self.host = Host(checker._addresses_changed)

    def stop(self) -> None:
        self.parent.send(type="stop")
        self.turn()

    def services(self) -> set[str]:
        return {str(key) for key in self.kernel.dump()}


@pytest.fixture
def world() -> Iterator[World]:
    w = World()
    yield w
    w.close()


def text(*ips: str) -> set[str]:
    return {f"{ip}:80/tcp" for ip in ips}


def test_one_health_for_all_services_of_a_group(world: World) -> None:
    world.configure(GROUP)
    assert world.services() == text("203.0.113.10", "203.0.113.11", "203.0.113.12")
    picture = world.picture["virtual_servers"]
    assert set(picture) == {"group web/tcp"}
    assert picture["group web/tcp"]["services"] == 3
    assert len(world.engine.slots) == 3  # a check for each real server, not for each service
    applied = world.kernel.applied
    world.end((2, Ending.REFUSED))
    assert world.kernel.applied == applied + 1
    for row in world.kernel.dump().values():
        assert {d.ip for d in row.dests} == {"192.0.2.1", "192.0.2.3"}
    assert [e for e in world.events if "quorum" in e[1]] == []


def test_a_reload_that_changes_members_touches_only_those(world: World) -> None:
    world.configure(GROUP)
    world.end((1, Ending.REFUSED))
    ops: list[Op] = []
    apply, world.kernel.apply = world.kernel.apply, lambda some: (ops.extend(some), apply(some))[1]  # type: ignore[method-assign]
    world.configure(GROUP)
    assert ops == []
    world.configure(replace(GROUP, members=(GroupMember("203.0.113.11", "203.0.113.13", 80),)))
    assert world.services() == text("203.0.113.11", "203.0.113.12", "203.0.113.13")
    assert {op.key.ip for op in ops} == {"203.0.113.13", "203.0.113.10"}
    assert world.engine.closed == 0
    world.configure()
    assert world.services() == set()


def test_after_a_crash_a_group_is_adopted_without_an_operation(world: World) -> None:
    world.configure(GROUP)
    world.end((1, Ending.REFUSED))
    applied = world.kernel.applied
    world.crash()
    world.configure(GROUP, previous={**world.picture, "died_ago_ns": 1})
    assert world.kernel.applied == applied
    world.crash()
    smaller = replace(GROUP, members=(GroupMember("203.0.113.10", "203.0.113.10", 80),))
    world.configure(smaller, previous={**world.picture, "died_ago_ns": 1})
    assert world.services() == text("203.0.113.10")


def test_with_nftables_ipvs_a_group_is_one_service_by_mark(world: World) -> None:
    lvs = LvsDefs(marks_table="marks", marks_start=1000)
    other = replace(GROUP, group="mail", members=(GroupMember("203.0.113.99", "203.0.113.99", 25),))
    world.configure(GROUP, other, lvs=lvs)
    assert world.services() == {"fwmark 1000/inet", "fwmark 1001/inet"}
    assert world.picture["virtual_servers"]["group mail/tcp"]["mark"] == 1001
    world.configure(other, lvs=lvs)
    assert world.services() == {"fwmark 1001/inet"}  # by name: it keeps its mark
    world.crash()
    world.configure(GROUP, other, lvs=lvs, previous={**world.picture, "died_ago_ns": 1})
    assert world.services() == {"fwmark 1000/inet", "fwmark 1001/inet"}
    assert world.picture["virtual_servers"]["group mail/tcp"]["mark"] == 1001
    world.configure(GROUP, other)
    assert world.services() == {
        *text("203.0.113.10", "203.0.113.11", "203.0.113.12"),
        "203.0.113.99:25/tcp",
    }


def test_what_the_dataplane_cannot_do_is_refused_in_one_line(world: World) -> None:
    world.kernel = Plain()  # type: ignore[assignment]
    for lvs in (LvsDefs(timeout_udp_s=5), LvsDefs(sync_daemon=SyncDaemon("eth0"))):
        assert "would have no effect: the plain dataplane is not IPVS" in world.propose(VS, lvs=lvs)


# -- lvs_flush, lvs_flush_on_stop --


def foreign(world: World) -> None:
    assert world.kernel.apply([Op(Verb.NEW_SERVICE, FOREIGN, Service("rr"))]) == [0]


def test_a_first_start_flushes_in_one_operation(world: World) -> None:
    foreign(world)
    world.configure(VS, lvs=LvsDefs(flush=True))
    assert world.ipvs.flushed == 1
    assert world.services() == {VS.key}


def test_a_start_that_finds_its_own_rows_takes_only_the_others_away(world: World) -> None:
    world.configure(VS)
    foreign(world)
    world.crash()
    world.configure(VS, lvs=LvsDefs(flush=True))
    assert world.ipvs.flushed == 0
    assert world.services() == {VS.key}


def test_a_respawned_checker_never_flushes(world: World) -> None:
    world.configure(VS, lvs=LvsDefs(flush=True))
    foreign(world)
    world.crash()
    world.configure(VS, lvs=LvsDefs(flush=True), previous={**world.picture, "died_ago_ns": 1})
    assert world.services() == {VS.key, str(FOREIGN)}
    world.configure(VS, replace(VS, ip="203.0.113.2"), lvs=LvsDefs(flush=True))  # nor does a reload
    assert str(FOREIGN) in world.services()


@pytest.mark.parametrize(("word", "left"), [("all", set()), ("VS", {str(FOREIGN)}), ("", {str(FOREIGN)})])
def test_what_is_flushed_on_stop(world: World, word: str, left: set[str]) -> None:
    world.configure(VS, lvs=LvsDefs(flush_on_stop=word))
    foreign(world)
    world.stop()
    assert world.services() == left


# -- timeouts, daemons --


def test_timeouts_and_daemon_from_commit_to_stop(world: World) -> None:
    lvs = LvsDefs(timeout_tcp_s=7200, sync_daemon=SyncDaemon("eth1", "outside", 51))
    world.configure(VS, lvs=lvs)
    assert world.ipvs.now == Timeouts(7200, 120, 300)
    assert world.ipvs.running == {}
    world.parent.send(type="masters", states={"outside": "backup"})
    world.turn()
    assert set(world.ipvs.running) == {2}
    world.parent.send(type="masters", states={"outside": "master"})
    world.turn()
    assert set(world.ipvs.running) == {1}
    assert ("lvs_sync_daemon", "synchronisation daemons now: master") in world.events
    assert world.picture["lvs"]["timeouts_before"] == {"tcp_s": 900, "tcpfin_s": 120, "udp_s": 300}
    world.crash()
    world.configure(VS, lvs=lvs, previous={**world.picture, "died_ago_ns": 1})
    assert set(world.ipvs.running) == {1}
    world.stop()
    assert world.ipvs.now == Timeouts(900, 120, 300)
    assert world.ipvs.running == {}


# -- ha_suspend --

HA = replace(VS, ha_suspend=True)


def scheduled(world: World) -> list[bool]:
    return [world.engine.slots[world.engine.at(f"192.0.2.{n}")].when_ns >= 0 for n in (1, 2, 3)]


def test_checks_run_only_while_the_address_is_here(world: World) -> None:
    world.configure(HA)
    assert world.host.listening
    assert scheduled(world) == [False] * 3
    picture = world.picture["virtual_servers"][HA.key]
    assert picture["suspended"] is True
    assert picture["real_servers"]["192.0.2.1:80"]["why"] == SUSPENDED
    assert world.weights() == {f"192.0.2.{n}": 1 for n in (1, 2, 3)}
    world.host.now_has(VS.ip)
    world.turn()
    assert scheduled(world) == [True] * 3
    assert "suspended" not in world.picture["virtual_servers"][HA.key]
    world.end((1, Ending.REFUSED))
    assert "192.0.2.1" not in world.weights()
    applied = world.kernel.applied
    world.host.now_has()
    world.turn()
    assert scheduled(world) == [False] * 3
    assert world.kernel.applied == applied
    assert world.health(1) == "down None"  # what was found stays
    assert world.picture["virtual_servers"][HA.key]["real_servers"]["192.0.2.1:80"]["checks"] == 1
    assert [text for subject, text in world.events if subject == HA.key and "host has" in text] == [
        f"this host has {VS.ip}: checks go on",
        f"this host has {VS.ip} no more: no checks",
    ]
    world.host.now_has(VS.ip)
    world.turn()
    world.end((1, Ending.CONNECTED))
    assert "192.0.2.1" in world.weights()


def test_others_do_not_care(world: World) -> None:
    other = replace(VS, ip="203.0.113.2")
    world.configure(replace(HA, real_servers=HA.real_servers[:1]), replace(other, real_servers=VS.real_servers[1:]))
    assert scheduled(world) == [False, True, True]


def test_a_reload_takes_the_word_away_and_gives_it(world: World) -> None:
    world.configure(HA)
    world.configure(VS)
    assert not world.host.listening
    assert scheduled(world) == [True] * 3
    world.end((1, Ending.REFUSED))
    world.configure(HA)
    assert scheduled(world) == [False] * 3
    assert world.health(1) == "down None"
