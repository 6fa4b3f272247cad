"""Elections on a virtual wire: whatever happened, once it is quiet each connected side has exactly one master.

Seeds are in the test ids: a failure names the run that shows it.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from fastha.vrrp.machine import Resign, Role, RulesChanged
from fastha.vrrp.rules import Rules
from oracles.vrrp_wire import MS, Wire, some_rules

RUNS = 200  # per chunk; chunks keep the report short


def settle(wire: Wire) -> None:
    """Longer than every timer there is, on a wire that now behaves."""
    wire.loss = wire.double = 0.0
    rules = wire.routers[0].rules
    wire.run(wire.now + 12 * rules.silence_ns + max(r.rules.preempt_delay_ns for r in wire.routers))


def one_master_each(wire: Wire, seed: int) -> None:
    for side in {r.side for r in wire.routers if not r.dead}:
        masters = wire.masters(side)
        assert len(masters) == 1, f"seed {seed}: masters of side {side}: {masters}"
    for i, r in enumerate(wire.routers):
        if not r.dead:
            assert r.addresses == (r.state.role is Role.MASTER), f"seed {seed}: addresses of router {i}"


def best(wire: Wire) -> int:
    return max(
        (i for i, r in enumerate(wire.routers) if not r.dead),
        key=lambda i: (wire.routers[i].rules.priority, wire.routers[i].rules.own_ip),
    )


@pytest.mark.parametrize("chunk", range(5))
def test_lossy_wire_and_accidents(chunk: int) -> None:
    for seed in range(chunk * RUNS, (chunk + 1) * RUNS):
        rnd = random.Random(seed)
        wire = Wire(seed, some_rules(rnd, rnd.randint(2, 7)), loss=rnd.choice((0, 0.1, 0.4)), double=0.2)
        interval = wire.routers[0].rules.advert_int_ns
        wire.jitter_ns = rnd.choice((0, interval // 10, interval))
        for i in range(len(wire.routers)):
            wire.start(i)
            wire.run(wire.now + rnd.randint(0, 3 * interval))
        for _ in range(rnd.randint(1, 12)):
            i = rnd.randrange(len(wire.routers))
            router = wire.routers[i]
            match rnd.randrange(4):
                case 0:
                    if router.frozen:
                        wire.thaw(i)
                    else:
                        wire.freeze(i)
                case 1:
                    if router.dead:
                        wire.start(i)
                    else:
                        wire.kill(i)
                case 2:
                    router.side ^= 1
                case 3:
                    wire.loss = rnd.choice((0, 0.5, 1))
            wire.run(wire.now + rnd.randint(0, 6 * interval))
        for i, router in enumerate(wire.routers):
            if router.frozen and not router.dead:
                wire.thaw(i)
        settle(wire)
        one_master_each(wire, seed)


@pytest.mark.parametrize("chunk", range(3))
def test_where_all_preempt_the_best_wins_and_stays(chunk: int) -> None:
    for seed in range(chunk * RUNS, (chunk + 1) * RUNS):
        rnd = random.Random(seed)
        rules = some_rules(rnd, rnd.randint(2, 7), preempt=True)
        wire = Wire(seed, rules, jitter_ns=rnd.choice((0, rules[0].advert_int_ns // 20)))
        for i in range(len(rules)):
            wire.start(i)
            wire.run(wire.now + rnd.randint(0, rules[0].advert_int_ns))
        settle(wire)
        one_master_each(wire, seed)
        top = max(r.priority for r in rules)
        (master,) = wire.masters()
        assert rules[master].priority == top, f"seed {seed}"
        marks = [len(r.changes) for r in wire.routers]
        wire.run(wire.now + 20 * rules[0].advert_int_ns)
        assert marks == [len(r.changes) for r in wire.routers], f"seed {seed}: not quiet"


def test_a_healed_wire_has_one_master_within_an_interval() -> None:
    for seed in range(RUNS):
        rnd = random.Random(seed)
        rules = some_rules(rnd, 4, preempt=True)
        wire = Wire(seed, rules)
        for i, router in enumerate(wire.routers):
            router.side = i % 2
            wire.start(i)
        settle(wire)
        assert len(wire.masters(0)) == len(wire.masters(1)) == 1
        for router in wire.routers:
            router.side = 0
        wire.run(wire.now + rules[0].advert_int_ns + 5 * MS)
        assert wire.masters() == [best(wire)], f"seed {seed}"


def test_losing_less_than_a_master_down_interval_never_flaps() -> None:
    """Two adverts in a row may be lost; nobody moves."""
    for seed in range(RUNS):
        rnd = random.Random(seed)
        rules = some_rules(rnd, 3, preempt=True)
        wire = Wire(seed, rules, jitter_ns=0)
        for i in range(3):
            wire.start(i)
        settle(wire)
        (master,) = wire.masters()
        marks = [len(r.changes) for r in wire.routers]
        for _ in range(5):
            wire.loss = 1.0
            wire.run(wire.now + 2 * rules[0].advert_int_ns)
            wire.loss = 0.0
            wire.run(wire.now + 2 * rules[0].advert_int_ns)
        assert wire.masters() == [master], f"seed {seed}"
        assert marks == [len(r.changes) for r in wire.routers], f"seed {seed}"


def test_a_replacement_adopts_without_anybody_noticing() -> None:
    """Killed and back within one interval with `resume`: no peer changes its state."""
    for seed in range(RUNS):
        rnd = random.Random(seed)
        rules = some_rules(rnd, 3, preempt=rnd.random() < 0.5)
        wire = Wire(seed, rules)
        for i in range(3):
            wire.start(i)
        settle(wire)
        (master,) = wire.masters()
        marks = [len(r.changes) for r in wire.routers]
        wire.kill(master)
        wire.run(wire.now + rnd.randint(0, rules[0].advert_int_ns))
        wire.start(master, resume=True)
        settle(wire)
        assert wire.masters() == [master], f"seed {seed}"
        assert [len(r.changes) for i, r in enumerate(wire.routers) if i != master] == [
            m for i, m in enumerate(marks) if i != master
        ], f"seed {seed}"


def test_a_frozen_master_without_preempt_does_not_return() -> None:
    for seed in range(RUNS):
        rnd = random.Random(seed)
        rules = some_rules(rnd, 3, preempt=False)
        wire = Wire(seed, rules)
        for i in range(3):
            wire.start(i)
        settle(wire)
        (master,) = wire.masters()
        wire.freeze(master)
        wire.run(wire.now + 3 * rules[0].silence_ns)
        (heir,) = wire.masters()
        wire.thaw(master)
        settle(wire)
        assert wire.masters() == [heir], f"seed {seed}"
        one_master_each(wire, seed)


def change(wire: Wire, index: int, rules: Rules) -> None:
    """Other rules for one router, as a decision of an operator or a reload brings them."""
    router = wire.routers[index]
    old, router.rules = router.rules, rules
    wire.happen(index, RulesChanged(old))


@pytest.mark.parametrize("chunk", range(2))
def test_a_failover_moves_mastership_once_and_it_stays_there(chunk: int) -> None:
    for seed in range(chunk * RUNS, (chunk + 1) * RUNS):
        rnd = random.Random(seed)
        wire = Wire(seed, some_rules(rnd, rnd.randint(2, 5), preempt=True))
        for i in range(len(wire.routers)):
            wire.start(i)
        settle(wire)
        (first,) = wire.masters()
        before = len(wire.routers[first].changes)
        old = wire.routers[first].rules
        wire.routers[first].rules = replace(old, preempt=False)
        wire.loss = rnd.choice((0, 1))  # also where nobody hears that it resigns
        wire.happen(first, Resign("failover"))
        wire.loss = 0
        wire.happen(first, RulesChanged(old))
        assert not wire.routers[first].addresses, f"seed {seed}"
        settle(wire)
        one_master_each(wire, seed)
        (second,) = wire.masters()
        assert second != first, f"seed {seed}"
        assert len(wire.routers[first].changes) == before + 1, f"seed {seed}: it went once, and stayed"
        wire.kill(second)
        for i in range(len(wire.routers)):
            if i not in (first, second):
                wire.kill(i)
        settle(wire)
        assert wire.masters() == [first], f"seed {seed}: it is there when it is needed"


@pytest.mark.parametrize("chunk", range(2))
def test_who_is_held_is_never_master_whoever_dies(chunk: int) -> None:
    for seed in range(chunk * RUNS, (chunk + 1) * RUNS):
        rnd = random.Random(seed)
        wire = Wire(seed, some_rules(rnd, rnd.randint(2, 5)), loss=rnd.choice((0, 0.3)))
        for i in range(len(wire.routers)):
            wire.start(i)
        settle(wire)
        held = rnd.choice((best(wire), rnd.randrange(len(wire.routers))))
        free = wire.routers[held].rules
        change(wire, held, replace(free, held=True, preempt=False, preempt_delay_ns=0))
        from_here = len(wire.routers[held].changes)
        for _ in range(6):
            i = rnd.randrange(len(wire.routers))
            if wire.routers[i].dead:
                wire.start(i)
            else:
                wire.kill(i)
            wire.run(wire.now + rnd.randint(0, 6) * free.silence_ns)
        settle(wire)
        roles = [role for _, role in wire.routers[held].changes[from_here:]]
        assert Role.MASTER not in roles, f"seed {seed}: {roles}"
        if any(not r.dead for i, r in enumerate(wire.routers) if i != held):
            one_master_each(wire, seed)
        if not wire.routers[held].dead:
            for i in range(len(wire.routers)):
                if i != held:
                    wire.kill(i)
            change(wire, held, free)
            settle(wire)
            assert wire.masters() == [held], f"seed {seed}: released, it is master again"
