"""Sync groups on a virtual wire: two groups on two or three directors, accidents, and then quiet: no group is torn
apart, and each has exactly one master.

Seeds are in the messages: a failure names the run that shows it.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from fastha.vrrp import group, machine
from fastha.vrrp.machine import Role
from fastha.vrrp.rules import Rules
from oracles.group_wire import GroupWire, Seat
from oracles.vrrp_wire import MS

RUNS = 100  # per chunk
GROUPS = {0: (1, 2), 1: (3, 4, 5)}  # group -> its virtual routers
ORDER = [
    machine.SendAdvert, machine.RemoveAddresses, machine.AddAddresses, machine.Garp, machine.Notify, group.GroupNotify
]  # fmt: skip


def wire_of(seed: int, priorities: list[list[int]], *, interval_ms: int = 100, preempt: bool = True) -> GroupWire:
    """`priorities`: of each group, for each director."""
    seats = [
        (
            Seat(director, number, vrid),
            Rules(
                version=3, priority=priorities[director][number], advert_int_ns=interval_ms * MS, preempt=preempt,
                own_ip=0x0A000001 + director,
            ),
        )
        for director in range(len(priorities))
        for number, vrids in GROUPS.items()
        for vrid in vrids
    ]  # fmt: skip
    return GroupWire(seed, seats)


def begin(wire: GroupWire, director: int) -> None:
    """The states of all members first: a director starts as a whole."""
    for i in wire.of(director):
        router = wire.routers[i]
        router.dead = router.frozen = False
        router.queue.clear()
        faults = frozenset({"link"}) if (director, wire.seats[i].vrid) in wire.cut else frozenset()
        router.state = machine.State(priority=router.rules.priority, holding=router.addresses, faults=faults)
    for i in wire.of(director):
        wire.happen(i, machine.Startup())


def settle(wire: GroupWire) -> None:
    wire.loss = 0.0
    wire.run(wire.now + 12 * wire.routers[0].rules.silence_ns)


def one_master_each(wire: GroupWire, seed: int, directors: int) -> None:
    for number in GROUPS:
        roles = [
            wire.role(d, number) for d in range(directors) if not wire.routers[wire.of(d)[0]].dead
        ]  # fmt: skip
        assert roles.count(Role.MASTER) == bool(roles), f"seed {seed}: group {number}: {roles}"
    for i, router in enumerate(wire.routers):
        if not router.dead:
            assert router.addresses == (router.state.role is Role.MASTER), f"seed {seed}: addresses of {wire.seats[i]}"


@pytest.mark.parametrize("chunk", range(4))
def test_accidents(chunk: int) -> None:
    for seed in range(chunk * RUNS, (chunk + 1) * RUNS):
        rnd = random.Random(seed)
        directors = rnd.choice((2, 2, 3))
        levels = [rnd.choice((50, 100, 100, 150, 254)) for _ in range(directors)]
        priorities = [[level, rnd.choice((level, 100))] for level in levels]
        wire = wire_of(seed, priorities, preempt=rnd.random() < 0.7, interval_ms=rnd.choice((10, 100)))
        interval = wire.routers[0].rules.advert_int_ns
        wire.loss, wire.jitter_ns = rnd.choice((0, 0.2)), rnd.choice((MS // 10, interval // 10))
        for director in range(directors):
            begin(wire, director)
            wire.run(wire.now + rnd.randint(0, 3 * interval))
        for _ in range(rnd.randint(1, 12)):
            director = rnd.randrange(directors)
            own = wire.of(director)
            one = rnd.choice(own)
            match rnd.randrange(6):
                case 0:
                    for i in own:
                        if wire.routers[i].frozen:
                            wire.thaw(i)
                        else:
                            wire.freeze(i)
                case 1:
                    if wire.routers[own[0]].dead:
                        begin(wire, director)
                    else:
                        for i in own:
                            wire.kill(i)
                case 2:
                    for i in own:
                        wire.routers[i].side ^= 1
                case 3:
                    wire.fault(one)
                case 4:
                    wire.heal(one)
                case 5:
                    wire.loss = rnd.choice((0, 0.5, 1))
            wire.run(wire.now + rnd.randint(0, 6 * interval))
        for i, router in enumerate(wire.routers):
            router.side = 0
            if router.frozen and not router.dead:
                wire.thaw(i)
            wire.heal(i)
        settle(wire)
        one_master_each(wire, seed, directors)
        for burst in wire.told:
            ranks = [ORDER.index(kind) for kind in burst if kind is not machine.Warn and kind is not group.GroupNotify]
            assert ranks == sorted(ranks), f"seed {seed}: {burst}"


def test_a_link_that_fails_moves_the_group_and_no_other() -> None:
    for seed in range(8):
        wire = wire_of(seed, [[150, 150], [100, 100]])
        for director in range(2):
            begin(wire, director)
        settle(wire)
        marks = len(wire.lines[0])
        victim = wire.of(0)[0]
        wire.fault(victim)
        wire.run(wire.now + 10 * MS)
        assert wire.lines[0][marks:] == ["INSTANCE 1 fault", "INSTANCE 2 fault", "GROUP 0 fault"]
        settle(wire)
        assert [wire.role(d, 0) for d in range(2)] == [Role.FAULT, Role.MASTER]
        assert [wire.role(d, 1) for d in range(2)] == [Role.MASTER, Role.BACKUP]
        assert wire.routers[wire.of(0)[1]].state.faults == {group.DRAGGED}
        wire.fault(wire.of(0)[1])
        wire.heal(victim)
        settle(wire)
        assert wire.role(0, 0) is Role.FAULT, "the other one has a fault of its own now"
        wire.heal(wire.of(0)[1])
        settle(wire)
        assert [wire.role(d, 0) for d in range(2)] == [Role.MASTER, Role.BACKUP]
        one_master_each(wire, seed, 2)


def test_one_that_hears_nobody_does_not_move_the_group() -> None:
    """A cut link without carrier loss: the backup's member on it would be master, the rest hears the master."""
    wire = wire_of(1, [[150, 150], [100, 100]])
    for director in range(2):
        begin(wire, director)
    settle(wire)
    wire.cut.add((1, 1))
    wire.run(wire.now + 5000 * MS)
    assert [wire.role(d, 0) for d in range(2)] == [Role.MASTER, Role.BACKUP]
    lonely = wire.of(1)[0]
    assert wire.routers[lonely].state.deadline_ns is None, "it waits for the rest"
    wire.cut.clear()
    wire.run(wire.now + 500 * MS)
    assert wire.routers[lonely].state.deadline_ns is not None, "an advert takes that back"
    for i in wire.of(0):
        wire.kill(i)
    wire.run(wire.now + 450 * MS)
    assert wire.role(1, 0) is wire.role(1, 1) is Role.MASTER
    assert wire.lines[1][-1].startswith("GROUP")


def test_a_group_yields_together_and_says_so() -> None:
    """Of two masters the one with the lower priority leaves with all members; the winner need not wait for the rest."""
    wire = wire_of(3, [[150, 150], [100, 100]])
    for i in wire.of(1):
        wire.routers[i].side = 1
    for director in range(2):
        begin(wire, director)
    settle(wire)
    assert wire.role(0, 0) is wire.role(1, 0) is Role.MASTER
    wire.cut.add((1, 2))  # its second member would never hear the winner
    for i in wire.of(1):
        wire.routers[i].side = 0
    wire.run(wire.now + 150 * MS)
    assert [wire.role(d, 0) for d in range(2)] == [Role.MASTER, Role.BACKUP]


def test_start_says_the_group_first_and_then_last() -> None:
    """The order of keepalived 2.2.7's FIFO, observed."""
    wire = wire_of(5, [[150, 150]])
    begin(wire, 0)
    settle(wire)
    for i in wire.of(0):
        wire.happen(i, machine.Shutdown())
    said = [line for line in wire.lines[0] if line.rpartition(" ")[0] in ("GROUP 0", "INSTANCE 1", "INSTANCE 2")]
    assert said[:3] == ["GROUP 0 backup", "INSTANCE 1 backup", "INSTANCE 2 backup"]
    assert sorted(said[3:5]) == ["INSTANCE 1 master", "INSTANCE 2 master"]
    assert said[5:] == ["GROUP 0 master", "INSTANCE 1 init", "INSTANCE 2 init", "GROUP 0 init"]


def test_who_goes_on_waits_for_the_rest_of_the_group() -> None:
    wire = wire_of(7, [[150, 150]])
    own = [i for i in wire.of(0) if wire.seats[i].group == 0]
    for i in own:
        wire.routers[i].dead, wire.routers[i].addresses = False, True
        wire.routers[i].state = replace(wire.routers[i].state, holding=True)
    wire.happen(own[0], machine.Startup(resume=True))
    assert wire.routers[own[0]].state.role is Role.BACKUP
    assert wire.routers[own[0]].state.holding
    wire.happen(own[1], machine.Startup(resume=True))
    assert wire.role(0, 0) is Role.MASTER, "and at once"
    assert all(wire.routers[i].addresses for i in own)


def test_members_brought_together_become_of_one_mind() -> None:
    rules = [Rules(version=3, own_ip=1)] * 2
    master = machine.State(Role.MASTER, 100, 10, 10**9, 1)
    backup = machine.State(Role.BACKUP, 100, 10**9, 10**9, 2)
    fresh = replace(backup, master_ip=0)
    fault = machine.State(Role.FAULT, 100, None, 10**9, faults=frozenset({"link"}))
    for members, wanted in (
        ([master, backup], Role.BACKUP), ([master, fresh], Role.MASTER), ([master, fault], Role.FAULT),
        ([backup, fault], Role.FAULT), ([backup, backup], Role.BACKUP),
    ):  # fmt: skip
        states, moves = group.settle(rules, members, 5, True)
        assert {s.role for s in states} == {wanted}, (members, states)
        assert states == members or moves
    state, effects = group.alone(replace(fault, faults=frozenset({group.DRAGGED})), 5, rules[0])
    assert (state.role, state.faults) == (Role.BACKUP, frozenset())
    assert effects
