"""Timeouts, synchronisation daemons and flushes: the core's decisions, and the keeper on a balancer in memory."""

from __future__ import annotations

import errno
import logging
from typing import Any

import pytest

from fastha.checker import lvs
from fastha.checker.lvs_keeper import LvsKeeper
from fastha.child.log import Limiter
from fastha.dataplane.backend import KernelBalancer
from fastha.dataplane.rows import Daemon, Timeouts
from fastha.model import GroupMember, LvsDefs, SyncDaemon, VirtualServer
from oracles.virtual_reactor import VirtualReactor

S = 10**9
SYNC = SyncDaemon("eth1", "outside", 51, 1400)
FOLLOWS = LvsDefs(sync_daemon=SYNC)
BOTH = LvsDefs(sync_daemon=SyncDaemon("eth1"))
MASTER, BACKUP = (Daemon(state, "eth1", 51, 1400) for state in (1, 2))
# As the kernel shows a daemon whose other settings are its own defaults.
SHOWN = {1: Daemon(1, "eth1", 51, 1400, 8848, 1, "224.0.0.81"), 2: Daemon(2, "eth1", 51, 1400, 8848, 1, "224.0.0.81")}


# -- core --


@pytest.mark.parametrize(
    ("defs", "states", "wanted"),
    [
        (LvsDefs(), {}, []),
        (BOTH, {}, [1, 2]),
        (FOLLOWS, {}, None),
        (FOLLOWS, {"inside": "master"}, None),
        (FOLLOWS, {"outside": "master"}, [1]),
        (FOLLOWS, {"outside": "backup"}, [2]),
        (FOLLOWS, {"outside": "fault"}, [2]),
        (FOLLOWS, {"outside": "init"}, [2]),
    ],
)
def test_which_daemons_should_run(defs: LvsDefs, states: dict[str, str], wanted: list[int] | None) -> None:
    found = lvs.daemons(defs, states)
    assert (found if found is None else sorted(found)) == wanted


def test_steps_between_daemons() -> None:
    foreign = Daemon(2, "eth9", 7)
    assert not lvs.steps({1: MASTER}, [SHOWN[1]], [])
    assert lvs.steps({1: MASTER}, [], []) == lvs.Steps((), (MASTER,))
    assert lvs.steps({1: MASTER}, [SHOWN[2]], [MASTER, BACKUP]) == lvs.Steps((2,), (MASTER,))
    assert lvs.steps({1: MASTER}, [SHOWN[1], foreign], [MASTER, BACKUP]) == lvs.Steps()  # not ours, not in the way
    assert lvs.steps({2: BACKUP}, [foreign], []) == lvs.Steps((2,), (BACKUP,))  # in the way
    assert lvs.steps({}, [SHOWN[1], foreign], [MASTER]) == lvs.Steps((1,), ())


def test_a_flush_of_everything_only_where_nothing_is_ours_to_keep() -> None:
    flush = LvsDefs(flush=True)
    kernel: Any = {"a": 1, "b": 2}
    assert lvs.flush_whole(flush, True, ["c"], kernel)
    assert not lvs.flush_whole(flush, True, ["b"], kernel)
    assert not lvs.flush_whole(flush, False, ["c"], kernel)
    assert not lvs.flush_whole(LvsDefs(), True, ["c"], kernel)
    assert not lvs.flush_whole(flush, True, ["c"], {})


class Plain:
    name = "nft"


def test_what_only_ipvs_has_is_refused_elsewhere() -> None:
    group = VirtualServer(group="g", members=(GroupMember("10.0.0.1", "10.0.0.9", 80),))
    plain: Any = Plain()
    for defs, word in (
        (LvsDefs(timeout_tcp_s=5), "lvs_timeouts"),
        (BOTH, "lvs_sync_daemon"),
        (LvsDefs(flush_on_stop="all"), "lvs_flush_on_stop"),
        (LvsDefs(marks_table="t"), "nftables_ipvs"),
    ):
        reason = lvs.refusal(defs, [group], plain)
        assert reason.startswith(word)
        assert "would have no effect" in reason
        assert "\n" not in reason
        assert lvs.refusal(defs, [group], Balancer()) == ""  # type: ignore[arg-type]
    assert lvs.refusal(LvsDefs(flush=True, flush_on_stop="VS"), [group], plain) == ""
    assert lvs.refusal(LvsDefs(marks_table="t"), [], plain) == ""


# -- keeper --


class Balancer:
    """What IPVS has besides its table, in memory."""

    def __init__(self) -> None:
        self.now = Timeouts(900, 120, 300)
        self.running: dict[int, Daemon] = {}
        self.calls: list[str] = []
        self.dead = False

    def timeouts(self) -> Timeouts:
        self._ask()
        return self.now

    def set_timeouts(self, timeouts: Timeouts) -> None:
        self.calls.append("set")
        self.now = lvs.over(timeouts, self.now)

    def daemons(self) -> list[Daemon]:
        self._ask()
        return list(self.running.values())

    def start_daemon(self, daemon: Daemon) -> None:
        if daemon.state in self.running:
            raise OSError(errno.EEXIST, "File exists")
        self.calls.append(f"start {daemon.state}")
        maxlen = daemon.maxlen or 1472
        self.running[daemon.state] = Daemon(
            daemon.state, daemon.interface, daemon.sync_id, maxlen, daemon.port or 8848, 1, "224.0.0.81"
        )

    def stop_daemon(self, state: int) -> None:
        self.calls.append(f"stop {state}")
        del self.running[state]

    def flush(self) -> None:
        self.calls.append("flush")

    def _ask(self) -> None:
        if self.dead:
            raise OSError(errno.EPERM, "Operation not permitted")


class Bench:
    def __init__(self, balancer: Balancer | None = None) -> None:
        self.reactor = VirtualReactor()
        self.balancer = balancer or Balancer()
        assert isinstance(self.balancer, KernelBalancer)
        self.told: list[str] = []
        limited = Limiter(logging.getLogger("fastha.test"), self.reactor.now_ns)
        self.keeper = LvsKeeper(
            self.balancer,
            self.reactor,
            limited,
            lambda subject, text: self.told.append(f"{subject}: {text}"),  # type: ignore[arg-type]
        )

    def calls(self) -> list[str]:
        calls, self.balancer.calls = self.balancer.calls, []
        return calls


def test_timeouts_are_set_kept_and_put_back() -> None:
    bench = Bench()
    bench.keeper.commit(LvsDefs(timeout_tcp_s=7200, timeout_udp_s=30), {})
    assert bench.balancer.now == Timeouts(7200, 120, 30)
    bench.keeper.commit(LvsDefs(timeout_tcp_s=7200, timeout_udp_s=30), {})
    assert bench.calls() == ["set"]  # an unchanged reload does nothing
    bench.balancer.now = Timeouts(1, 1, 1)
    bench.reactor.advance(10 * S + S // 10)
    assert bench.balancer.now == Timeouts(7200, 120, 30)
    assert bench.told == ["lvs_timeouts: somebody had changed the timeouts to tcp 1, tcpfin 1, udp 1: repaired"]
    bench.keeper.commit(LvsDefs(timeout_udp_s=31), {})
    assert bench.balancer.now == Timeouts(900, 120, 31)
    bench.keeper.stop()
    assert bench.balancer.now == Timeouts(900, 120, 300)


def test_without_the_word_nothing_is_asked_nor_set() -> None:
    bench = Bench()
    bench.balancer.dead = True
    bench.keeper.commit(LvsDefs(), {})
    bench.keeper.states({"outside": "master"})
    bench.keeper.stop()
    assert bench.calls() == []
    assert bench.told == []


def test_a_successor_knows_what_was_there_before_its_predecessor() -> None:
    first = Bench()
    first.keeper.commit(LvsDefs(timeout_tcp_s=7200), {})
    previous = {"lvs": {k: v for k, v in (first.keeper.facts() or {}).items() if v is not None}}
    first.keeper.close()
    second = Bench(first.balancer)
    second.calls()
    second.keeper.commit(LvsDefs(timeout_tcp_s=7200), previous)
    assert second.calls() == []
    second.keeper.stop()
    assert second.balancer.now == Timeouts(900, 120, 300)


def test_the_daemon_follows_its_instance() -> None:
    bench = Bench()
    bench.keeper.commit(FOLLOWS, {})
    assert bench.calls() == []  # nobody knows the state yet
    assert bench.keeper.states({"outside": "backup", "inside": "master"})
    assert bench.keeper.states({"outside": "master"})
    assert bench.calls() == ["start 2", "stop 2", "start 1"]
    assert not bench.keeper.states({"inside": "backup"})
    assert bench.keeper.states({"outside": "fault"})
    bench.keeper.stop()
    assert bench.calls() == ["stop 1", "start 2", "stop 2"]


def test_a_daemon_that_somebody_stopped_runs_again() -> None:
    bench = Bench()
    bench.keeper.commit(BOTH, {})
    assert bench.calls() == ["start 1", "start 2"]
    del bench.balancer.running[1]
    bench.reactor.advance(10 * S + S // 10)
    assert bench.calls() == ["start 1"]
    assert "stopped or changed by somebody" in bench.told[-1]


def test_a_successor_takes_daemons_over_and_stops_the_one_that_is_wrong() -> None:
    first = Bench()
    first.keeper.commit(FOLLOWS, {})
    first.keeper.states({"outside": "backup"})
    second = Bench(first.balancer)
    second.calls()
    second.keeper.commit(FOLLOWS, {"lvs": {"daemons": (first.keeper.facts() or {})["daemons"]}})
    assert second.calls() == []
    second.keeper.states({"outside": "backup"})
    assert second.calls() == []
    second.keeper.states({"outside": "master"})
    assert second.calls() == ["stop 2", "start 1"]


def test_a_reload_that_changes_or_drops_the_daemon() -> None:
    bench = Bench()
    bench.keeper.commit(FOLLOWS, {})
    bench.keeper.states({"outside": "master"})
    bench.calls()
    bench.keeper.commit(LvsDefs(sync_daemon=SyncDaemon("eth2", "outside", 51)), {})
    assert bench.calls() == ["stop 1", "start 1"]
    assert bench.balancer.running[1].interface == "eth2"
    bench.keeper.commit(LvsDefs(), {})
    assert bench.calls() == ["stop 1"]
    assert bench.keeper.facts() is None


def test_a_kernel_that_refuses_is_asked_again() -> None:
    bench = Bench()
    bench.balancer.dead = True
    bench.keeper.commit(LvsDefs(timeout_tcp_s=5), {})
    assert bench.calls() == []
    bench.balancer.dead = False
    bench.reactor.advance(10 * S + S // 10)
    assert bench.calls() == ["set"]
