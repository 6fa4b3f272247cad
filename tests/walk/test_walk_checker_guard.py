"""The guard against its slow twin, and what it promises whatever happens, by seeded random walks."""

from __future__ import annotations

from fastha.checker import guard
from fastha.checker.guard import Guard, Limits
from oracles.guard import SlowPool, SlowServer
from walk.seeds import walk


def test_guard_equals_the_slow_twin() -> None:
    rng = walk("guard")
    for _ in range(150):
        count = rng.randrange(1, 9)
        limits = Limits(rng.choice([0, 10, 34, 50, 75, 99]), rng.choice([0, 0, 1, 2, 5]), rng.choice([10, 100, 1000]))
        members = [rng.random() < 0.8 for _ in range(count)]
        healthy = list(members)
        pool = SlowPool(
            limits.panic_percent, limits.removal_limit, limits.interval_ns, [SlowServer(m, m) for m in members]
        )
        state, now, luck = Guard(), 0, rng.random()
        for _ in range(120):
            now += rng.choice([0, 1, 5, 50, 500])
            if rng.random() < 0.1:
                luck = rng.random()
            changed = {i: rng.random() < luck for i in range(count) if rng.random() < 0.4}
            for i, good in changed.items():
                healthy[i] = good
            if rng.random() < 0.1:
                pool.servers[rng.randrange(count)].counts ^= True
            pool.find(now, changed)
            counts = [s.counts for s in pool.servers]
            state, passed = guard.step(limits, state, members, healthy, counts, now)
            for i, there in passed.changes.items():
                assert members[i] is not there
                members[i] = there
            assert members == [s.in_set for s in pool.servers], (state, pool)
            assert state.panic == pool.panic
            down = [i for i in range(count) if members[i] and not healthy[i]]
            assert sorted(state.kept) == down
            if state.kept and not state.panic:
                assert passed.again_ns > now
            else:
                assert passed.again_ns == 0


def test_what_is_promised() -> None:
    """With a panic threshold no pool is ever emptied; with a removal limit no interval sees more falls than that; who
    waits falls in the end; an operator's word is followed at once."""
    rng = walk("guard promises")
    for _ in range(200):
        count = rng.randrange(1, 12)
        limits = Limits(rng.choice([0, 20, 50, 90]), rng.choice([1, 2, 3]), 100)
        members, healthy, counts = [True] * count, [True] * count, [True] * count
        state, now = Guard(), 0
        falls: list[int] = []
        for _ in range(60):
            now += rng.choice([1, 10, 60])
            for i in range(count):
                if rng.random() < 0.2:
                    healthy[i] = rng.random() < 0.4
            state, passed = guard.step(limits, state, members, healthy, counts, now)
            for i, there in passed.changes.items():
                members[i] = there
                if not there:
                    falls.append(now)
            if state.panic:
                falls.clear()  # they are back
            assert len([at for at in falls if now - at < limits.interval_ns]) <= limits.removal_limit
            if limits.panic_percent:
                assert any(members)
        wanted = state.kept
        state, changes = guard.accept(state)
        assert dict(changes) == dict.fromkeys(wanted, False)
        for i in changes:
            members[i] = False
        state, passed = guard.step(limits, state, members, healthy, counts, now)
        assert not passed.changes


def test_who_waits_falls_in_its_order() -> None:
    limits = Limits(0, 2, 100)
    members, healthy, counts = [True] * 7, [True] * 7, [True] * 7
    state, order = Guard(), []
    for now, i in enumerate((4, 1, 6, 0, 5), 1):
        healthy[i] = False
        state, passed = guard.step(limits, state, members, healthy, counts, now)
        order += [(now, n) for n in passed.changes]
        for n in passed.changes:
            members[n] = False
    while passed.again_ns:
        now = passed.again_ns
        state, passed = guard.step(limits, state, members, healthy, counts, now)
        order += [(now, n) for n in passed.changes]
        for n in passed.changes:
            members[n] = False
    assert order == [(1, 4), (2, 1), (101, 6), (102, 0), (201, 5)]
