"""The keeper of the kernel's table: one apply per turn, errors, drift, ownership."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Sequence

import pytest

from fastha.checker.table import TableKeeper
from fastha.child.log import Limiter
from fastha.dataplane.none import NoneBackend
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, ServiceRow, Table, Verb
from oracles.virtual_reactor import VirtualReactor

S = 10**9


def key(number: int) -> ServiceKey:
    return ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, f"203.0.113.{number}", 80)


def row(*weights: int) -> ServiceRow:
    return ServiceRow(
        Service("rr"), {DestKey(f"192.0.2.{i + 1}", 80): Dest(Forward.NAT, w) for i, w in enumerate(weights)}
    )


class Kernel(NoneBackend):
    """Counts, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.applied: list[list[Op]] = []
        self.dumps = 0
        self.refused: set[ServiceKey] = set()
        self.dead = False

    def apply(self, ops: Sequence[Op]) -> list[int]:
        self.applied.append(list(ops))
        if self.dead:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return [errno.ENOENT if op.key in self.refused else super(Kernel, self).apply([op])[0] for op in ops]

    def dump(self) -> Table:
        self.dumps += 1
        if self.dead:
            raise OSError(errno.EPERM, "Operation not permitted")
        return super().dump()


class Bench:
    def __init__(self) -> None:
        self.reactor = VirtualReactor()
        self.kernel = Kernel()
        self.drift: list[str] = []
        limited = Limiter(logging.getLogger("fastha.test"), self.reactor.now_ns)
        self.table = TableKeeper(self.kernel, self.reactor, limited, self.drift.append)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_changes_of_a_turn_are_one_apply(bench: Bench) -> None:
    for i in range(5):
        bench.table.want(key(i), row(1, 2))
    bench.table.flush()
    assert len(bench.kernel.applied) == 1
    assert bench.kernel.dump() == {key(i): row(1, 2) for i in range(5)}
    bench.table.want(key(1), row(0, 2))
    bench.table.want(key(2), row(1))
    bench.table.flush()
    assert [op.verb for op in bench.kernel.applied[1]] == [Verb.SET_DEST, Verb.DEL_DEST]
    bench.table.want(key(1), row(0, 2))
    bench.table.flush()
    bench.table.flush()
    assert len(bench.kernel.applied) == 2
    assert bench.table.operations == 17


def test_rows_that_are_right_already_are_not_touched(bench: Bench) -> None:
    bench.kernel.apply([Op(Verb.NEW_SERVICE, key(1), Service("rr"))])
    bench.kernel.apply([Op(Verb.NEW_DEST, key(1), dest_key=DestKey("192.0.2.1", 80), dest=Dest(Forward.NAT, 1))])
    bench.kernel.applied.clear()
    bench.table.adopt(bench.kernel.dump())
    bench.table.want(key(1), row(1))
    bench.table.flush()
    assert bench.kernel.applied == []


def test_services_a_predecessor_left_behind_go_and_strangers_stay(bench: Bench) -> None:
    for i in (1, 2):
        bench.kernel.apply([Op(Verb.NEW_SERVICE, key(i), Service("rr"))])
    bench.table.adopt(bench.kernel.dump(), [key(1)])
    bench.table.want(key(3), row(1))
    bench.table.flush()
    assert set(bench.kernel.dump()) == {key(2), key(3)}
    assert bench.table.clear()
    assert set(bench.kernel.dump()) == {key(2)}
    assert bench.table.drift == 0


def test_what_somebody_else_did_is_repaired_within_10_s_and_counted(bench: Bench) -> None:
    bench.table.want(key(1), row(1, 1))
    bench.table.flush()
    bench.table.start()
    bench.kernel.apply([Op(Verb.DEL_DEST, key(1), dest_key=DestKey("192.0.2.1", 80))])
    bench.kernel.apply([Op(Verb.NEW_SERVICE, key(9), Service("rr"))])
    bench.reactor.advance(10 * S)
    assert bench.kernel.dump() == {key(1): row(1, 1), key(9): ServiceRow(Service("rr"), {})}
    assert bench.table.drift == 1
    assert bench.drift == ["add destination 192.0.2.1:80 to 203.0.113.1:80/tcp (NAT, weight 1)"]
    bench.kernel.apply([Op(Verb.DEL_SERVICE, key(1))])
    bench.reactor.advance(10 * S)
    assert bench.kernel.dump()[key(1)] == row(1, 1)
    assert bench.table.drift == 4
    applied = len(bench.kernel.applied)
    bench.reactor.advance(100 * S)
    assert len(bench.kernel.applied) == applied


class Slow(Kernel):
    """Every piece takes a millisecond."""

    def __init__(self, reactor: VirtualReactor) -> None:
        super().__init__()
        self.reactor = reactor
        self.read: list[ServiceKey] = []

    def dests(self, key: ServiceKey) -> dict[DestKey, Dest]:
        self.reactor.pass_time(S // 1000)
        self.read.append(key)
        if self.dead:
            raise OSError(errno.EPERM, "Operation not permitted")
        return super().dests(key)


@pytest.fixture
def slow(bench: Bench) -> Slow:
    """Nine services with two destinations each, ten seconds before the look."""
    kernel = Slow(bench.reactor)
    bench.kernel = bench.table.backend = kernel
    for i in range(9):
        bench.table.want(key(i), row(1, 1))
    bench.table.flush()
    bench.table.start()
    return kernel


def test_the_look_gives_others_their_turn(bench: Bench, slow: Slow) -> None:
    seen: set[int] = set()

    def tick() -> None:
        seen.add(len(slow.read))
        bench.reactor.call_later(S // 1000, tick)

    bench.reactor.advance(10 * S - 1)
    bench.reactor.call_later(0, tick)
    bench.reactor.advance(S)
    assert slow.read == [key(i) for i in range(9)]
    assert seen >= set(range(1, 10)), "something else ran between any two services"
    assert slow.dumps == 0


def test_what_we_change_during_the_look_is_no_drift(bench: Bench, slow: Slow) -> None:
    for i in (3, 7):
        slow.apply([Op(Verb.DEL_DEST, key(i), dest_key=DestKey("192.0.2.1", 80))])
    slow.apply([Op(Verb.DEL_SERVICE, key(5))])

    def change() -> None:
        assert 0 < len(slow.read) < 7
        bench.table.want(key(8), row(1, 5))
        bench.table.want(key(20), row(3))
        bench.table.forget(key(6))
        bench.table.flush()

    bench.reactor.call_later(10 * S + 4 * S // 1000, change)
    bench.reactor.advance(11 * S)
    wanted = {key(i): row(1, 1) for i in (0, 1, 2, 3, 4, 5, 7)} | {key(8): row(1, 5), key(20): row(3)}
    assert slow.dump() == wanted
    assert bench.table.drift == 5, "two destinations, and a service with two"
    assert bench.table.errors == 0
    assert len(bench.drift) == 1
    bench.reactor.advance(10 * S)
    assert slow.dump() == wanted
    assert bench.table.drift == 5


@pytest.mark.parametrize("piecewise", [False, True])
def test_what_waits_for_the_flush_is_no_drift(bench: Bench, slow: Slow, piecewise: bool) -> None:
    """A reload wants new rows over many turns and flushes at its end; a look may begin between."""
    bench.reactor.call_later(10 * S - 1, lambda: bench.table.want(key(3), row(7, 1, 1)))
    bench.reactor.call_later(10 * S - 1, lambda: bench.table.forget(key(4)))
    bench.reactor.call_later(10 * S - 1, lambda: bench.table.want(key(20), row(2)))
    slow.apply([Op(Verb.DEL_DEST, key(5), dest_key=DestKey("192.0.2.1", 80))])
    if piecewise:
        bench.reactor.advance(11 * S)
        assert len(slow.read) >= 6
    else:
        bench.reactor.advance(10 * S - 1)
        assert bench.table.resync()
    assert bench.table.drift == 1
    assert bench.drift == ["add destination 192.0.2.1:80 to 203.0.113.5:80/tcp (NAT, weight 1)"]
    bench.table.flush()
    assert slow.dump() == {key(i): row(1, 1) for i in (0, 1, 2, 5, 6, 7, 8)} | {key(3): row(7, 1, 1), key(20): row(2)}
    bench.reactor.advance(20 * S)
    assert (bench.table.drift, bench.table.errors) == (1, 0)


@pytest.mark.parametrize("dead", [False, True])
def test_what_waited_for_the_end_of_trouble_is_no_drift(bench: Bench, dead: bool) -> None:
    bench.kernel.dead, bench.kernel.refused = dead, {key(1)}
    bench.table.want(key(1), row(1))
    bench.table.flush()
    for number in (1, 2):
        bench.table.want(key(number), row(1, 1))
    bench.table.flush()
    bench.kernel.dead = False
    bench.kernel.refused.clear()
    bench.reactor.advance(20 * S)
    assert bench.kernel.dump() == {key(1): row(1, 1), key(2): row(1, 1)}
    assert bench.table.errors >= 1
    assert (bench.table.drift, bench.drift) == (0, [])


def test_a_look_that_fails_is_made_good(bench: Bench, slow: Slow) -> None:
    bench.reactor.call_later(10 * S + 4 * S // 1000, lambda: setattr(slow, "dead", True))
    bench.reactor.advance(11 * S)
    assert bench.table.errors
    slow.dead = False
    slow.apply([Op(Verb.DEL_SERVICE, key(8))])
    bench.reactor.advance(10 * S)
    assert slow.dump() == {key(i): row(1, 1) for i in range(9)}


def test_a_change_that_fails_during_the_look_is_made_good(bench: Bench, slow: Slow) -> None:
    slow.apply([Op(Verb.DEL_DEST, key(2), dest_key=DestKey("192.0.2.1", 80))])
    slow.refused.add(key(2))
    bench.reactor.advance(10 * S + 5 * S // 1000)
    assert bench.table.errors
    slow.refused.clear()
    bench.reactor.advance(S)
    assert slow.dump() == {key(i): row(1, 1) for i in range(9)}


def test_a_change_that_meets_a_changed_kernel_is_settled_at_once(bench: Bench) -> None:
    bench.table.want(key(1), row(1, 1))
    bench.table.flush()
    bench.kernel.apply([Op(Verb.DEL_SERVICE, key(1))])  # ipvsadm -C
    bench.table.want(key(1), row(1, 2))
    bench.table.flush()
    bench.reactor.advance(S)
    assert bench.kernel.dump() == {key(1): row(1, 2)}
    assert bench.table.errors == 1
    assert bench.table.drift == 2  # the service and one destination were not what failed


def test_one_service_in_trouble_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.kernel.refused.add(key(1))
    bench.table.want(key(1), row(1))
    bench.table.want(key(2), row(1))
    bench.table.flush()
    bench.reactor.advance(60 * S)
    tries = len(bench.kernel.applied)
    assert 8 <= tries <= 16  # pauses grow to 10 s
    bench.table.want(key(2), row(5))
    bench.table.flush()
    assert bench.kernel.dump() == {key(2): row(5)}
    bench.kernel.refused.clear()
    bench.reactor.advance(10 * S)
    assert bench.kernel.dump() == {key(1): row(1), key(2): row(5)}
    assert bench.table.drift == 0
    assert bench.table.errors > 8


def test_a_kernel_that_does_not_answer_is_asked_again(bench: Bench) -> None:
    bench.table.want(key(1), row(1))
    bench.kernel.dead = True
    bench.table.flush()
    bench.table.want(key(2), row(1))
    bench.table.flush()
    assert len(bench.kernel.applied) == 1  # nothing is known: not before a dump
    bench.reactor.advance(5 * S)
    assert bench.kernel.dumps > 3
    bench.kernel.dead = False
    bench.reactor.advance(10 * S)
    assert bench.kernel.dump() == {key(1): row(1), key(2): row(1)}
    assert bench.table.reconciled > 0


def test_clear_says_when_it_could_not(bench: Bench) -> None:
    bench.table.want(key(1), row(1))
    bench.table.flush()
    bench.kernel.dead = True
    assert not bench.table.clear()
    bench.kernel.dead = False
    assert bench.table.clear()
    assert bench.kernel.dump() == {}


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST])
def test_a_resync_that_somebody_waits_for_converges_over_errors(bench: Bench, number: int) -> None:
    """The table changes between the dump and the repair: what fails is looked at and sent again, at once."""
    bench.table.want(key(1), row(1, 1))
    bench.table.flush()
    bench.kernel.apply([Op(Verb.DEL_DEST, key(1), dest_key=DestKey("192.0.2.1", 80))])
    real, errors = bench.kernel.apply, [number]

    def unlucky(ops: Sequence[Op]) -> list[int]:
        return [errors.pop() for _ in ops] if errors else real(ops)

    bench.kernel.apply = unlucky  # type: ignore[method-assign]
    done = bench.table.resync_now()
    assert (done.ok, done.operations) == (True, 2)
    assert "192.0.2.1:80" in done.text
    assert bench.kernel.dump() == {key(1): row(1, 1)}
    assert (bench.table.errors, bench.table.drift) == (1, 1)
    assert [one["text"] for one in bench.table.differed] == bench.drift
    assert bench.table.resync_now().operations == 0


def test_a_resync_that_cannot_says_why(bench: Bench) -> None:
    bench.table.want(key(1), row(1))
    bench.kernel.dead = True
    done = bench.table.resync_now()
    assert not done.ok
    assert done.text == "cannot read the table: Operation not permitted"


def test_only_the_last_differences_are_kept(bench: Bench) -> None:
    bench.table.want(key(1), row(1))
    bench.table.flush()
    for _ in range(9):
        bench.kernel.apply([Op(Verb.DEL_SERVICE, key(1))])
        assert bench.table.resync_now().operations == 2
    assert len(bench.table.differed) == 5
    assert bench.table.drift == 18


def test_clear_is_one_operation_a_service_without_a_look_first(bench: Bench) -> None:
    bench.table.want(key(1), row(*range(1, 200)))
    bench.table.want(key(2), row(1))
    bench.table.flush()
    bench.kernel.apply([Op(Verb.DEL_SERVICE, key(2))])  # somebody was faster: it is gone all the same
    bench.kernel.applied.clear()
    assert bench.table.clear()
    (ops,) = bench.kernel.applied
    assert {op.key for op in ops} == {key(1), key(2)}
    assert {op.verb for op in ops} == {Verb.DEL_SERVICE}
    assert len(ops) == 2
    assert (bench.kernel.dumps, bench.kernel.dump()) == (0, {})


def test_clear_looks_first_when_it_is_in_doubt(bench: Bench) -> None:
    bench.table.want(key(1), row(1))
    bench.table.want(key(2), row(1))
    bench.kernel.refused = {key(2)}
    bench.table.flush()
    bench.kernel.refused.clear()
    assert bench.table.clear()
    assert bench.kernel.dumps > 0
    assert bench.kernel.dump() == {}
