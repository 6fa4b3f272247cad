"""The dry-run backend answers as the kernel model does, errno for errno."""

from __future__ import annotations

import random

import pytest

from fastha.dataplane.none import NoneBackend
from fastha.dataplane.reconcile import reconcile
from fastha.model import VirtualServer
from oracles import ipvs_random
from oracles.ipvs_kernel import KernelModel


@pytest.mark.parametrize("seed", range(20))
def test_walk(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    backend, kernel = NoneBackend(), KernelModel()
    ops = [ipvs_random.op(rng) for _ in range(400)]
    expected = [kernel.play(op) for op in ops]
    assert backend.apply(ops) == expected
    assert len(set(expected)) >= 4  # the walk meets successes, EEXIST, ENOENT, ESRCH
    assert backend.dump() == kernel.table()


def test_reconciles_to_the_wanted_table() -> None:
    backend = NoneBackend()
    wanted = ipvs_random.table(random.Random(1))
    assert not any(backend.apply(reconcile(wanted, backend.dump(), ())))
    assert backend.dump() == wanted
    assert reconcile(wanted, backend.dump(), ()) == []


def test_dump_is_a_copy() -> None:
    backend = NoneBackend()
    wanted = ipvs_random.table(random.Random(2))
    backend.apply(reconcile(wanted, {}, ()))
    backend.dump().clear()
    for row in backend.dump().values():
        row.dests.clear()
    assert backend.dump() == wanted


def test_refuses_nothing_and_counts_nothing() -> None:
    backend = NoneBackend()
    assert backend.refuse(VirtualServer(ip="10.0.0.1", port=80)) == ""
    assert backend.counters() == {}
    backend.close()
