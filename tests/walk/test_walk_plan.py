"""Random configurations, random health, random changes: the operations that are planned are those that are done."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace

from fastha.checker.ending import Ending
from fastha.cli import kernel_changes
from fastha.config.difference import difference
from fastha.model import Config, RealServer, TcpCheck, VirtualServer
from random_model import Make
from unit.test_checker_child import World
from unit.test_cli_plan import closed_and_opened, real
from walk.seeds import walk

ROUNDS = 60


def own(rs: RealServer, check: TcpCheck) -> TcpCheck:
    """A question that nobody else asks."""
    return replace(check, ip=rs.ip, bind_ip="")


def servers(r: random.Random, make: Make) -> tuple[VirtualServer, ...]:
    """What a checker with fake probes can run."""
    out = []
    for server in (make.server() for _ in range(r.randint(1, 3))):
        reals = tuple(
            replace(rs, lthreshold=0, checks=tuple(own(rs, c) for c in rs.checks if isinstance(c, TcpCheck)))
            for rs in server.real_servers
        )
        protocol = "TCP" if server.protocol == "SCTP" else server.protocol
        server = replace(server, protocol=protocol, real_servers=reals, ha_suspend=False, masquerade=True)
        # What panic_threshold and removal_limit hold back nobody is told; a row of weight 0 may mean two things.
        reals = tuple(replace(rs, inhibit_on_failure=rs.inhibit_on_failure and rs.weight > 0) for rs in reals)
        out.append(replace(server, real_servers=reals, panic_percent=0, removal_limit=0))
    return tuple(out)


def changed(r: random.Random, make: Make, old: tuple[VirtualServer, ...]) -> tuple[VirtualServer, ...]:
    """Some of them as they were, some changed a little, some gone, some new."""
    out = []
    for server in old:
        match r.randrange(6):
            case 0:
                continue
            case 1:
                reals = list(server.real_servers)
                at = r.randrange(len(reals))
                reals[at] = replace(reals[at], weight=r.choice([0, 1, 9]))
                server = replace(server, real_servers=tuple(reals))
            case 2:
                server = replace(server, real_servers=server.real_servers[r.randrange(len(server.real_servers)) :])
            case 3:
                server = replace(server, scheduler=r.choice(["rr", "wrr"]), scheduler_flags=(), quorum=r.choice([1, 5]))
            case 4:
                reals = tuple(
                    replace(rs, checks=tuple(replace(c, timeout_ns=c.timeout_ns + 1000) for c in rs.checks))
                    for rs in server.real_servers
                )
                server = replace(server, real_servers=reals)
        out.append(replace(server, hysteresis=0))
    return (*out, *(servers(r, make) if r.random() < 0.3 else ()))


def test_what_is_planned_is_done() -> None:
    r = walk("plan")
    done_anything = 0
    for _ in range(int(os.environ.get("FASTHA_ROUNDS", ROUNDS))):
        make, world = Make(r), World()
        try:
            old = servers(r, make)
            world.configure(*old)
            slots = list(world.engine.slots)
            answers = [(s, r.choice([Ending.CONNECTED, Ending.REFUSED])) for s in slots if r.random() < 0.7]
            for _again in range(3):
                world.engine.end(*answers)
                world.turn()
            new = changed(r, make, old)
            a, b = Config(virtual_servers=old), Config(virtual_servers=new)
            changes = difference(a, b)
            assert bool(changes) == ({s.key: s for s in old} != {s.key: s for s in new})
            planned = kernel_changes.operations(a, b, world.picture)
            closed, opened = world.engine.closed, world.engine._opened
            done = real(world, *new)
            assert Counter(map(repr, done)) == Counter(map(repr, planned))
            done_anything += len(done)
            counts = world.engine.closed - closed, world.engine._opened - opened
            assert counts == closed_and_opened(changes, a, b)
        finally:
            world.close()
    assert done_anything
