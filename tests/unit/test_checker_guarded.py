"""One bad moment of the director never empties a pool: panic_threshold, removal_limit; and weights that checks make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fastha.checker import guard
from fastha.checker.ending import Ending
from fastha.checker.engine import Answer
from fastha.model import FileCheck, MiscCheck, Script, SorryServer, TcpCheck
from unit.test_checker_child import VS, World, server

S = 10**9
TEN = replace(VS, real_servers=tuple(server(n) for n in range(1, 11)), panic_percent=50)
ALL = range(1, 11)


@pytest.fixture
def world() -> Iterator[World]:
    w = World()
    yield w
    w.close()


def lose(world: World, *numbers: int) -> None:
    """Both tries of these fail, as with retry 1."""
    for _ in range(2):
        world.end(*((n, Ending.CONNECT_TIMEOUT) for n in numbers))


def learn(world: World, *numbers: int) -> None:
    world.end(*((n, Ending.CONNECTED) for n in numbers))


def vs_facts(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.picture["virtual_servers"][VS.key]
    return found


def texts(world: World) -> list[str]:
    return [text for subject, text in world.events if subject == VS.key]


def test_the_interval_is_the_longest_time_to_notice() -> None:
    check = TcpCheck(
        ip="192.0.2.1", port=80, delay_ns=6 * S, timeout_ns=2 * S, retry=3, retry_delay_ns=1 * S, warmup_ns=0
    )
    slow = MiscCheck(script=Script(("x",)), delay_ns=30 * S, warmup_ns=0)
    assert guard.interval_ns(replace(VS, real_servers=(replace(server(1), checks=(check,)),))) == (6 + 2 + 3 * 3) * S
    assert guard.interval_ns(replace(VS, real_servers=(replace(server(1), checks=(check, slow)),))) == 60 * S
    assert guard.limits(VS) is None


def test_the_directors_own_interface_goes_down(world: World) -> None:
    """Every server fails within an interval, one after another: the pool is whole again with the sixth."""
    world.configure(TEN)
    learn(world, *ALL)
    for n in range(1, 6):
        lose(world, n)
    assert len(world.weights()) == 5, "a share of 50 % may fall"
    lose(world, 6)
    assert len(world.weights()) == 10
    for n in range(7, 11):
        lose(world, n)
    assert len(world.weights()) == 10
    assert world.quorums == {VS.key: True}
    world.turn(S)
    facts = vs_facts(world)
    assert facts["panic"]["kept"] == 10
    one = facts["real_servers"]["192.0.2.1:80"]
    assert (one["health"], one["in_table"], one["kept"]) == ("down", 1, "panic")
    assert texts(world)[-1].startswith("panic: 6 of 10 living real servers fell within ")
    assert "panic_threshold 50 %" in texts(world)[-1]
    learn(world, 1, 2, 3, 4)
    assert len(world.weights()) == 10
    learn(world, 5)  # half of them are up: panic is over, the others fall
    assert sorted(world.weights()) == [f"192.0.2.{n}" for n in range(1, 6)]
    assert texts(world)[-1] == "panic is over: 5 of 10 are still down"
    learn(world, *range(6, 11))
    world.turn(S)
    assert len(world.weights()) == 10
    assert "panic" not in vs_facts(world)
    assert all("kept" not in rs for rs in vs_facts(world)["real_servers"].values())


def test_servers_that_die_one_by_one_fall(world: World) -> None:
    world.configure(TEN)
    learn(world, *ALL)
    for n in range(1, 10):
        lose(world, n)
        world.turn(60 * S)
    assert sorted(world.weights()) == ["192.0.2.10"]
    assert texts(world) == []
    lose(world, 10)
    assert sorted(world.weights()) == ["192.0.2.10"], "the last one is the whole of the good set"


def test_an_operator_ends_it(world: World) -> None:
    sorry = replace(TEN, sorry_server=SorryServer(ip="192.0.2.99", port=80), quorum_down=Script(("/bin/lost",)))
    world.configure(sorry)
    learn(world, *ALL)
    lose(world, *ALL)
    assert len(world.weights()) == 10
    assert world.scripts == []
    world.parent.send(type="accept", virtual_servers=[VS.key, "unknown"])
    world.turn(S)
    assert world.weights() == {"192.0.2.99": 1}
    assert world.quorums == {VS.key: False}
    assert [argv for argv, _ in world.scripts] == ["/bin/lost"]
    assert "panic" not in vs_facts(world)
    assert "10 real servers that were kept in the set fall: accepted by an operator" in texts(world)
    learn(world, 3)
    assert world.weights() == {"192.0.2.3": 1}


def test_a_reload_and_a_crash_in_panic_keep_the_pool(world: World) -> None:
    world.configure(TEN)
    learn(world, *ALL)
    lose(world, *ALL)
    world.configure(replace(TEN, quorum=2, real_servers=TEN.real_servers[1:]))
    assert len(world.weights()) == 9
    world.turn(S)
    picture = world.picture
    world.crash()
    world.configure(replace(TEN, quorum=2, real_servers=TEN.real_servers[1:]), previous={**picture, "died_ago_ns": S})
    assert len(world.weights()) == 9
    assert vs_facts(world)["panic"]["kept"] == 9
    learn(world, *range(2, 11))
    world.turn(S)
    assert "panic" not in vs_facts(world)
    lose(world, 2)
    assert len(world.weights()) == 8


def test_without_the_word_a_reload_lets_them_fall(world: World) -> None:
    world.configure(TEN)
    learn(world, *ALL)
    lose(world, *ALL)
    world.configure(replace(TEN, panic_percent=0))
    assert world.weights() == {}
    assert world.quorums == {VS.key: False}


def test_who_drains_does_not_count(world: World) -> None:
    """Two of three live servers is more than half, whatever the drained seven are."""
    world.configure(TEN)
    learn(world, *ALL)
    drained = {
        f"192.0.2.{n}:80": {"mode": "disabled", "weight": 0, "deadline": 0.0, "since": 1.0, "by": "x"}
        for n in range(4, 11)
    }
    world.parent.send(type="overrides", overrides={VS.key: drained})
    world.turn(S)
    assert sorted(world.weights()) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    lose(world, 4, 5, 6)
    lose(world, 1)
    assert sorted(world.weights()) == ["192.0.2.2", "192.0.2.3"]
    lose(world, 2)
    assert sorted(world.weights()) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    world.parent.send(type="overrides", overrides={VS.key: drained | {
        f"192.0.2.{n}:80": {"mode": "disabled", "weight": 0, "deadline": 0.0, "since": 1.0, "by": "x"} for n in (1, 2)
    }})  # fmt: skip
    world.turn(S)
    assert "panic" not in vs_facts(world), "who is down is out by decision: there is nothing to keep"


def test_inhibit_on_failure_and_panic(world: World) -> None:
    world.configure(replace(TEN, real_servers=tuple(replace(rs, inhibit_on_failure=True) for rs in TEN.real_servers)))
    learn(world, *ALL)
    lose(world, 1, 2)
    assert [world.weights()[f"192.0.2.{n}"] for n in (1, 2, 3)] == [0, 0, 1]
    lose(world, *range(3, 11))
    assert set(world.weights().values()) == {1}


def test_alpha_servers_that_never_came_up_are_not_the_good_set(world: World) -> None:
    alpha = tuple(
        replace(rs, alpha=True, checks=tuple(replace(c, alpha=True) for c in rs.checks)) for rs in TEN.real_servers
    )
    world.configure(replace(TEN, alpha=True, real_servers=alpha))
    lose(world, *ALL)
    assert world.weights() == {}
    assert texts(world) == []
    learn(world, 1, 2)
    lose(world, 1)
    assert sorted(world.weights()) == ["192.0.2.2"]
    lose(world, 2)
    assert sorted(world.weights()) == ["192.0.2.1", "192.0.2.2"]


def test_a_removal_limit_lets_them_fall_one_interval_after_another(world: World) -> None:
    world.configure(replace(TEN, panic_percent=0, removal_limit=3))
    learn(world, *ALL)
    lose(world, *range(1, 9))
    assert len(world.weights()) == 7
    world.turn(S)
    assert texts(world)[-1].startswith("5 real servers are down and stay in the set for now: removal_limit 3 in ")
    assert vs_facts(world)["real_servers"]["192.0.2.8:80"]["kept"] == "limit"
    learn(world, 8)
    interval_ns = guard.interval_ns(replace(TEN, removal_limit=3))
    world.turn(interval_ns)
    assert sorted(world.weights()) == ["192.0.2.10", "192.0.2.7", "192.0.2.8", "192.0.2.9"]
    world.turn(interval_ns)
    assert sorted(world.weights()) == ["192.0.2.10", "192.0.2.8", "192.0.2.9"]
    assert "kept" not in vs_facts(world)["real_servers"]["192.0.2.8:80"]


def test_rise(world: World) -> None:
    one = server(1)
    world.configure(replace(VS, real_servers=(replace(one, checks=(replace(one.checks[0], rise=3),)), server(2))))
    lose(world, 1)
    learn(world, 1)
    learn(world, 1)
    assert sorted(world.weights()) == ["192.0.2.2"]
    lose(world, 1)
    learn(world, 1)
    learn(world, 1)
    assert sorted(world.weights()) == ["192.0.2.2"]
    learn(world, 1)
    assert sorted(world.weights()) == ["192.0.2.1", "192.0.2.2"]


# -- weights that checks make --

MISC = MiscCheck(script=Script(("check",)), dynamic=True, warmup_ns=0, delay_ns=5 * S)


def say(world: World, ending: Ending, weight: int | None = None, added: int = 0, kind: str = "MISC_CHECK") -> None:
    """The only check of its kind says so."""
    now = world.reactor.now_ns()
    watch = next(w for w in world.checker.roster.watches() if w.check.kind == kind)
    answer = Answer(
        watch.slot, world.checker.engines.generation(watch.slot), ending, 0, 0, now, now, "as told", weight, added
    )
    engine = world.checker.engines
    of, number = engine._of(watch.slot), watch.slot >> 3
    one = of._slots[number]  # type: ignore[attr-defined]
    if getattr(one, "ticket", 0):
        of._runner.cancel(one.ticket)  # type: ignore[attr-defined]
        one.ticket = 0
    world.checker._answers((answer,))
    world.turn()


def test_a_command_sets_the_weight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastha.child.runner.Runner._begin", lambda self: False)
    vs = replace(VS, quorum=3, real_servers=(replace(server(1), weight=10, checks=(MISC,)), server(2)))
    world.configure(vs)
    say(world, Ending.SUCCEEDED, 20)
    assert world.weights() == {"192.0.2.1": 20, "192.0.2.2": 1}
    world.turn(S)
    one = vs_facts(world)["real_servers"]["192.0.2.1:80"]
    assert (one["weight"], one["weight_from"], one["in_table"]) == (20, "check", 20)
    assert vs_facts(world)["live_weight"] == 21
    say(world, Ending.SUCCEEDED, 1)
    assert world.quorums == {VS.key: False}, "2 is below the quorum of 3"
    say(world, Ending.SUCCEEDED)
    assert world.quorums == {VS.key: True}
    assert world.weights()["192.0.2.1"] == 10
    say(world, Ending.SUCCEEDED, 7)
    say(world, Ending.STATUS_OF_EXIT)
    assert "192.0.2.1" not in world.weights()
    say(world, Ending.SUCCEEDED, 7)
    assert world.weights()["192.0.2.1"] == 7
    override = {"mode": "weight", "weight": 3, "deadline": 0.0, "since": 1.0, "by": "x"}
    world.parent.send(type="overrides", overrides={VS.key: {"192.0.2.1:80": override}})
    world.turn(S)
    assert world.weights()["192.0.2.1"] == 3, "an operator's word is stronger"
    assert vs_facts(world)["real_servers"]["192.0.2.1:80"]["weight_from"] == "override"
    world.parent.send(type="overrides", overrides={})
    world.turn(S)
    assert world.weights()["192.0.2.1"] == 7
    # a reload that changes something else, a crash: the weight stays
    world.configure(replace(vs, quorum=1))
    assert world.weights()["192.0.2.1"] == 7
    picture, applied = world.picture, world.kernel.applied
    world.crash()
    world.configure(replace(vs, quorum=1), previous={**picture, "died_ago_ns": S})
    assert world.weights()["192.0.2.1"] == 7
    assert world.kernel.applied == applied, "not one operation"


def test_a_file_adds_to_what_a_command_says(world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastha.child.runner.Runner._begin", lambda self: False)
    path = tmp_path / "load"
    path.write_text("-4\n")
    file = FileCheck(track_file="load", path=str(path), weight=2, retry=0, warmup_ns=0)
    world.configure(replace(VS, real_servers=(replace(server(1), weight=10, checks=(MISC, file)), server(2))))
    world.turn(S)
    assert world.weights()["192.0.2.1"] == 2
    say(world, Ending.SUCCEEDED, 30)
    assert world.weights()["192.0.2.1"] == 22
    path.write_text("-40\n")
    world.turn(S)
    assert world.weights()["192.0.2.1"] == 0, "not below 0"
    path.write_text("-1073741824\n")  # times 2 is -2^31: down (keepalived.md 2.9)
    world.turn(S)
    assert "192.0.2.1" not in world.weights()
    path.unlink()
    world.turn(S)
    assert world.weights()["192.0.2.1"] == 30
    assert vs_facts(world)["real_servers"]["192.0.2.1:80"]["why"].startswith(("as told", "succeeded"))


def test_log_all_failures(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    one = server(1)
    loud = replace(one, checks=(replace(one.checks[0], log_all_failures=True),))
    world.configure(replace(VS, real_servers=(loud, server(2))))
    learn(world, 1, 2)
    world.end((1, Ending.REFUSED), (2, Ending.REFUSED))
    assert [r.message for r in caplog.records] == [f"{VS.key} 192.0.2.1:80: TCP_CHECK failed: connection refused"]
    world.end((1, Ending.REFUSED))
    world.end((1, Ending.RESET))
    assert [r.message.partition(": ")[2] for r in caplog.records[1:]] == [
        "TCP_CHECK failed: connection refused", "down: connection refused", "TCP_CHECK failed: connection reset",
    ]  # fmt: skip
