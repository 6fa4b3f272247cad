"""The checker child on a virtual loop with an engine that the test plays: reload, adoption, facts, quorum, the end."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from fastha.channel.endpoint import Endpoint
from fastha.checker.child import Checker
from fastha.checker.ending import Ending
from fastha.child import Child
from fastha.child.patch import apply
from fastha.dataplane.none import NoneBackend
from fastha.dataplane.patience import nothing
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, Table, Verb
from fastha.model import (
    Config,
    GlobalDefs,
    LvsDefs,
    PingCheck,
    RealServer,
    Script,
    SorryServer,
    TcpCheck,
    VirtualServer,
)
from oracles.fake_probes import FakeProbes
from oracles.virtual_reactor import VirtualReactor

S = 10**9
KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "203.0.113.1", 80)


def server(number: int, **more: Any) -> RealServer:
    ip = f"192.0.2.{number}"
    check = TcpCheck(ip=ip, port=80, delay_ns=5 * S, warmup_ns=5 * S, retry=1)
    return RealServer(**{"ip": ip, "port": 80, "checks": (check,), **more})


VS = VirtualServer(ip="203.0.113.1", port=80, scheduler="rr", real_servers=(server(1), server(2), server(3)))


class Kernel(NoneBackend):
    def __init__(self) -> None:
        super().__init__()
        self.applied = 0

    def apply(self, ops: Any) -> list[int]:
        self.applied += 1
        return super().apply(ops)

    def refuse(self, server: VirtualServer) -> str:
        return "cannot do SCTP" if server.protocol == "SCTP" else ""


class World:
    """A parent, a kernel that survives children, and the child of the moment."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.picture: dict[str, Any] = {}
        self.quorums: dict[str, bool] = {}
        self.events: list[tuple[str, str]] = []
        self.scripts: list[tuple[str, str]] = []
        self.lines: list[str] = []  # for the notify FIFOs
        self.answers: list[dict[str, Any]] = []
        self.generation = 0
        self.reactor = VirtualReactor()
        self.begin()

    def begin(self) -> None:
        ours, theirs = socket.socketpair()
        self.parent = Endpoint(ours, "down")
        self.child = Child("checker", Endpoint(theirs, "up"), reactor=self.reactor)  # type: ignore[arg-type]
        self.checker = Checker(
            self.child,
            open_backend=lambda _name, _place: self.kernel,
            make_probes=lambda results: FakeProbes(self.reactor, results),
        )
        self.child._watch()

    @property
    def engine(self) -> FakeProbes:
        assert isinstance(self.checker.probes, FakeProbes)
        return self.checker.probes

    def propose(
        self,
        *servers: VirtualServer,
        previous: dict[str, Any] | None = None,
        lvs: LvsDefs | None = None,
        defs: GlobalDefs | None = None,
    ) -> str:
        self.generation += 1
        whole = Config(globals=defs or GlobalDefs(lvs=lvs or LvsDefs()), virtual_servers=servers)
        config = orjson.loads(orjson.dumps(whole))
        self.parent.send(
            type="propose", generation=self.generation, config=config, dataplane="none", previous=previous or {}
        )
        self.turn()
        answer = self.answers[-1]
        assert answer["generation"] == self.generation
        return str(answer.get("reason", answer["type"]))

    def configure(
        self,
        *servers: VirtualServer,
        previous: dict[str, Any] | None = None,
        lvs: LvsDefs | None = None,
        defs: GlobalDefs | None = None,
    ) -> None:
        assert self.propose(*servers, previous=previous, lvs=lvs, defs=defs) == "ready"
        self.parent.send(type="commit", generation=self.generation)
        self.turn()
        assert self.answers[-1] == {"type": "committed", "generation": self.generation}

    def crash(self) -> None:
        """The child dies; its timers with it; a new one begins."""
        self.close()
        self.reactor._timers.clear()
        self.begin()

    def turn(self, ns: int = 200_000_000) -> None:
        self.reactor.advance(ns)
        while select.select([self.parent], [], [], 0)[0]:
            for message in self.parent.receive():
                kind = message["type"]
                if kind == "facts":
                    apply(self.picture, message["facts"])
                elif kind == "quorum":
                    self.quorums.update(message["states"])
                elif kind == "event":
                    self.events.append((message["event"]["subject"], message["event"]["text"]))
                elif kind == "script":
                    self.scripts.append((message["script"]["argv"][0], message["subject"]))
                elif kind == "notify":
                    self.lines.append(message["line"])
                elif kind in ("ready", "refused", "committed"):
                    self.answers.append(message)

    def end(self, *answers: tuple[int, Ending]) -> None:
        """Probes of 192.0.2.N end so, in one turn."""
        self.engine.end(*((self.engine.at(f"192.0.2.{n}"), ending) for n, ending in answers))
        self.turn()

    def weights(self) -> dict[str, int]:
        table: Table = self.kernel.dump()
        return {key.ip: dest.weight for key, dest in table[KEY].dests.items()}

    def health(self, number: int) -> str:
        found = self.picture["virtual_servers"][VS.key]["real_servers"][f"192.0.2.{number}:80"]
        return f"{found['health']} {found.get('in_table')}"

    def close(self) -> None:
        self.parent.close()
        self.child.close()


@pytest.fixture
def world() -> Iterator[World]:
    w = World()
    yield w
    w.close()


def test_servers_are_in_the_table_until_a_check_says_otherwise(world: World) -> None:
    world.configure(VS)
    assert world.weights() == {"192.0.2.1": 1, "192.0.2.2": 1, "192.0.2.3": 1}
    assert world.health(1) == "unknown 1"
    assert world.quorums == {VS.key: True}
    world.end((1, Ending.REFUSED), (2, Ending.CONNECTED))
    assert world.weights() == {"192.0.2.2": 1, "192.0.2.3": 1}
    assert [world.health(n) for n in (1, 2, 3)] == ["down None", "up 1", "unknown 1"]
    assert world.events == [(f"{VS.key} 192.0.2.1:80", "down: connection refused")]
    one = world.picture["virtual_servers"][VS.key]
    assert one["live_weight"] == 2
    assert one["real_servers"]["192.0.2.1:80"]["why"] == "connection refused"
    assert one["real_servers"]["192.0.2.1:80"]["failures"] == 1
    assert one["real_servers"]["192.0.2.2:80"]["response_ns"] == 1_000_000
    assert world.picture["dataplane"]["backend"] == "none"


def test_first_probes_are_spread_over_the_warmup(world: World) -> None:
    many = replace(VS, real_servers=tuple(server(n) for n in range(1, 101)))
    start = world.reactor.now_ns()
    world.configure(many)
    phases = sorted(s.when_ns - start for s in world.engine.slots.values())
    assert phases[0] >= 0
    assert phases[-1] < 6 * S
    assert len(set(phases)) == 100


def test_a_storm_is_one_apply(world: World) -> None:
    world.configure(VS)
    world.end(*((n, Ending.CONNECTED) for n in (1, 2, 3)))
    applied = world.kernel.applied
    world.end(*((n, Ending.REFUSED) for n in (1, 2, 3)))
    assert world.kernel.applied == applied  # one retry each
    world.end(*((n, Ending.REFUSED) for n in (1, 2, 3)))
    assert world.kernel.applied == applied + 1
    assert world.weights() == {}
    assert world.quorums == {VS.key: False}


def test_the_quorum_is_told_and_the_scripts_run(world: World) -> None:
    up, down = Script(("/bin/gained",)), Script(("/bin/lost",))
    one = replace(server(1), notify_down=Script(("/bin/rs_down",)))
    vs = replace(
        VS,
        real_servers=(one,),
        quorum_up=up,
        quorum_down=down,
        sorry_server=SorryServer(ip="192.0.2.99", port=80),
    )
    world.configure(vs)
    assert world.scripts.pop(0) == ("/bin/gained", vs.key)
    world.end((1, Ending.CONNECT_TIMEOUT))
    assert world.weights() == {"192.0.2.99": 1}
    assert world.quorums == {vs.key: False}
    assert world.scripts == [("/bin/rs_down", f"{vs.key} 192.0.2.1:80"), ("/bin/lost", vs.key)]
    assert world.picture["virtual_servers"][vs.key]["sorry"] is True
    world.end((1, Ending.CONNECTED))
    assert world.weights() == {"192.0.2.1": 1}
    assert world.quorums == {vs.key: True}
    assert world.scripts[2:] == [("/bin/gained", vs.key)]


@pytest.mark.parametrize("first", [False, True])
def test_how_a_beginning_is_told(world: World, first: bool) -> None:
    """As keepalived, in its order; the process that replaces one which died says nothing again."""

    def one(n: int, **more: Any) -> RealServer:
        return replace(
            server(n), notify_up=Script((f"/bin/up{n}",)), notify_down=Script((f"/bin/down{n}",)), **more
        )  # fmt: skip

    defs = GlobalDefs(rs_init_notifies=first)
    unproved = one(2, checks=(replace(server(2).checks[0], alpha=True),))
    vs = replace(VS, real_servers=(one(1), unproved), quorum_up=Script(("/bin/gained",)))
    world.configure(vs, defs=defs)
    begun = ["RS [192.0.2.1]:tcp:80 [203.0.113.1]:tcp:80 UP"] * first + ["VS [203.0.113.1]:tcp:80 UP"]
    assert world.lines == begun
    assert [argv for argv, _ in world.scripts] == ["/bin/up1"] * first + ["/bin/gained"]
    world.lines.clear()
    world.scripts.clear()
    world.end((1, Ending.CONNECTED), (2, Ending.REFUSED))
    world.end((2, Ending.REFUSED))
    assert world.lines == ["RS [192.0.2.2]:tcp:80 [203.0.113.1]:tcp:80 DOWN"], "it has not proved itself; told once"
    assert world.scripts == [("/bin/down2", f"{vs.key} 192.0.2.2:80")]
    world.end((2, Ending.CONNECTED))
    assert world.lines[1:] == ["RS [192.0.2.2]:tcp:80 [203.0.113.1]:tcp:80 UP"]
    world.lines.clear()
    world.configure(replace(vs, real_servers=(*vs.real_servers, one(3))), defs=defs)
    assert world.lines == ["RS [192.0.2.3]:tcp:80 [203.0.113.1]:tcp:80 UP"] * first
    world.lines.clear()
    world.crash()
    world.configure(vs, previous={**world.picture, "died_ago_ns": 1}, defs=defs)
    assert world.lines == []


def test_an_unchanged_reload_does_nothing_at_all(world: World) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED))
    applied, slots = world.kernel.applied, {n: s.schedules for n, s in world.engine.slots.items()}
    world.configure(VS)
    assert world.kernel.applied == applied
    assert {n: s.schedules for n, s in world.engine.slots.items()} == slots
    assert world.engine.closed == 0
    assert world.health(1) == "down None"


def test_a_reload_touches_only_what_it_changes(world: World) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED), (2, Ending.CONNECTED))
    before = dict(world.engine.slots)
    changed = replace(server(2).checks[0], timeout_ns=2 * S)
    world.configure(
        replace(
            VS,
            real_servers=(replace(server(1), weight=7), replace(server(2), checks=(changed,)), server(4)),
        )
    )
    same, new = world.engine.slots[world.engine.at("192.0.2.1")], world.engine.slots[world.engine.at("192.0.2.2")]
    assert same in before.values()
    assert same.schedules == 2  # no more than before
    assert new not in before.values()
    assert new.when_ns <= world.reactor.now_ns() + 2 * S
    assert len(world.engine.slots) == 3
    # 1 keeps its health with its new weight, 2 is unknown and forwards on, 3 is gone, 4 is new
    assert world.weights() == {"192.0.2.2": 1, "192.0.2.4": 1}
    assert [world.health(n) for n in (1, 2, 4)] == ["down None", "unknown 1", "unknown 1"]
    assert "192.0.2.3:80" not in world.picture["virtual_servers"][VS.key]["real_servers"]


def test_a_changed_check_of_a_server_that_is_down_must_prove_itself(world: World) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED))
    changed = replace(server(1), checks=(replace(server(1).checks[0], timeout_ns=2 * S),))
    world.configure(replace(VS, real_servers=(changed, server(2), server(3))))
    assert world.health(1) == "unknown None"
    world.end((1, Ending.CONNECTED))
    assert world.health(1) == "up 1"


def test_a_removed_virtual_server_takes_its_service_along(world: World) -> None:
    other = replace(VS, ip="203.0.113.2")
    world.configure(VS, other)
    assert len(world.engine.slots) == 3  # equal checks are one
    world.configure(other)
    assert {str(k) for k in world.kernel.dump()} == {other.key}
    assert len(world.engine.slots) == 3
    assert set(world.picture["virtual_servers"]) == {other.key}


def test_a_reload_may_take_the_quorum_away(world: World) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED))
    world.configure(replace(VS, quorum=3, sorry_server=SorryServer(ip="192.0.2.99", port=80)))
    assert world.quorums == {VS.key: False}
    assert world.weights() == {"192.0.2.99": 1}
    world.configure(VS)
    assert world.quorums == {VS.key: True}
    assert world.weights() == {"192.0.2.2": 1, "192.0.2.3": 1}


def test_an_abandoned_proposal_changes_nothing(world: World) -> None:
    world.configure(VS)
    assert world.propose(replace(VS, scheduler="wrr")) == "ready"
    world.parent.send(type="abandon", generation=world.generation)
    world.turn()
    assert world.kernel.dump()[KEY].service.scheduler == "rr"
    with pytest.raises(ValueError, match="not prepared"):
        next(iter(world.checker._commit({"type": "commit", "generation": world.generation})))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(VS, protocol="SCTP"), "cannot do SCTP"),
        (replace(VS, scheduler_flags=("mh-prot",)), "mh-prot"),
        (replace(VS, real_servers=(server(1, checks=(TcpCheck(ip="192.0.2.1", port=0),)),)), "which port"),
        (
            replace(VS, real_servers=(server(1, checks=(TcpCheck(ip="192.0.2.1", port=80, bind_ip="::1"),)),)),
            "cannot bind to ::1",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_happens(world: World, bad: VirtualServer, reason: str) -> None:
    world.configure(VS)
    answer = world.propose(bad)
    assert answer.startswith(f"virtual server {bad.key}: ")
    assert reason in answer
    assert world.weights() == {"192.0.2.1": 1, "192.0.2.2": 1, "192.0.2.3": 1}


def test_after_a_crash_what_was_reported_goes_on_and_no_row_is_touched(world: World) -> None:
    vs = replace(VS, real_servers=(*VS.real_servers, replace(server(4), inhibit_on_failure=True)))
    world.configure(vs)
    world.end((1, Ending.REFUSED), (2, Ending.CONNECTED), (4, Ending.REFUSED))
    weights, applied = world.weights(), world.kernel.applied
    world.crash()
    world.configure(vs, previous=world.picture)
    assert (world.weights(), world.kernel.applied) == (weights, applied)
    assert [world.health(n).split()[0] for n in (1, 2, 3, 4)] == ["down", "up", "unknown", "down"]
    soon = world.reactor.now_ns() + 2 * S
    assert all(world.engine.slots[world.engine.at(f"192.0.2.{n}")].when_ns <= soon for n in (1, 2, 4))
    world.end((2, Ending.REFUSED))
    assert world.weights() == weights  # up and known: it has its retry
    world.end((2, Ending.REFUSED))
    assert "192.0.2.2" not in world.weights()


def test_after_the_parent_died_the_kernels_rows_tell(world: World) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED))
    applied = world.kernel.applied
    world.crash()
    world.configure(VS)
    assert world.kernel.applied == applied
    assert [world.health(n) for n in (1, 2, 3)] == ["down None", "up 1", "up 1"]


def test_a_service_dropped_while_the_child_was_dead_is_removed(world: World) -> None:
    other = replace(VS, ip="203.0.113.2")
    world.configure(VS, other)
    world.crash()
    world.configure(VS, previous=world.picture)
    assert {str(k) for k in world.kernel.dump()} == {VS.key}


def test_drift_is_repaired_and_reported(world: World) -> None:
    world.configure(VS)
    world.kernel.apply([Op(Verb.SET_DEST, KEY, dest_key=DestKey("192.0.2.1", 80), dest=Dest(Forward.NAT, 99))])
    world.turn(11 * S)
    assert world.weights()["192.0.2.1"] == 1
    world.turn(6 * S)
    assert world.picture["dataplane"]["drift"] == 1
    assert any("change destination 192.0.2.1:80" in text for _, text in world.events)


def test_counters_of_steady_probes_are_reported_within_seconds(world: World) -> None:
    world.configure(VS)
    world.end((2, Ending.CONNECTED))
    assert world.engine.slots[world.engine.at("192.0.2.2")].steady
    world.engine.slots[world.engine.at("192.0.2.2")].checks = 1000
    world.turn(6 * S)
    assert world.picture["virtual_servers"][VS.key]["real_servers"]["192.0.2.2:80"]["checks"] == 1000


def test_a_shortage_of_ours_blames_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.configure(VS)
    weights = world.weights()
    for _ in range(5):
        world.end((1, Ending.NO_PORT))
    assert world.weights() == weights
    assert world.health(1) == "unknown 1"
    assert [r.getMessage() for r in caplog.records] == [
        "a check could not be made here: no free local port; no server is blamed for it"
    ]


def test_a_patient_kernel_is_given_the_heartbeat(world: World) -> None:
    class Slow(Kernel):
        progress: Callable[[], object] = staticmethod(nothing)

    world.kernel = slow = Slow()
    world.configure(VS)
    assert slow.progress == world.child.progress


def test_stop_takes_everything_of_ours_away(world: World) -> None:
    world.kernel.apply([Op(Verb.NEW_SERVICE, replace(KEY, ip="198.51.100.1"), Service("rr"))])  # a stranger's
    lost = Script(("/bin/lost",))
    world.configure(replace(VS, omega=True, quorum_down=lost))
    world.parent.send(type="stop")
    world.turn()
    assert world.reactor.stopped
    assert {k.ip for k in world.kernel.dump()} == {"198.51.100.1"}
    assert world.scripts == [("/bin/lost", VS.key)]
    assert world.engine.slots == {}


def test_every_failure_is_logged_if_asked_for(world: World, caplog: pytest.LogCaptureFixture) -> None:
    loud = replace(VS, real_servers=tuple(
        replace(rs, checks=tuple(replace(c, log_all_failures=n == 0) for c in rs.checks))
        for n, rs in enumerate(VS.real_servers)
    ))  # fmt: skip
    world.configure(loud, replace(loud, ip="203.0.113.2"))
    with caplog.at_level("INFO", logger="fastha"):
        for _ in range(3):
            world.end((1, Ending.REFUSED), (2, Ending.REFUSED))
    lines = [r.getMessage() for r in caplog.records if " failed: " in r.getMessage()]
    assert (
        lines
        == [
            "203.0.113.1:80/tcp 192.0.2.1:80 and 1 more: TCP_CHECK failed: connection refused",
        ]
        * 3
    )


def test_who_may_not_ping_is_told_what_is_missing(world: World) -> None:
    ping = PingCheck(ip="192.0.2.9", port=0)
    world.configure(replace(VS, real_servers=(replace(VS.real_servers[0], checks=(ping,)),)))
    world.engine.end((world.engine.at("192.0.2.9", 0), Ending.DENIED), detail=1)
    world.turn()
    (text,) = [text for _, text in world.events if text.startswith("down")]
    assert "net.ipv4.ping_group_range" in text
