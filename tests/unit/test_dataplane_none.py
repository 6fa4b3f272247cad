"""The dry-run backend answers as the kernel model does, errno for errno."""

from __future__ import annotations

import random

import pytest

from fastha.dataplane.backend import KernelBalancer
from fastha.dataplane.none import NoneBackend
from fastha.dataplane.reconcile import reconcile
from fastha.dataplane.rows import Daemon, Timeouts
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


def test_timeouts() -> None:
    backend = NoneBackend()
    assert isinstance(backend, KernelBalancer)
    assert backend.timeouts() == Timeouts(900, 120, 300)
    backend.set_timeouts(Timeouts(tcpfin_s=7))
    backend.set_timeouts(Timeouts(udp_s=8))
    with pytest.raises(OSError, match="none: Invalid argument"):
        backend.set_timeouts(Timeouts(1, -1))
    assert backend.timeouts() == Timeouts(900, 7, 8)


def test_daemons() -> None:
    """With the kernel's values; tests/vm/inside/ipvs_control.py plays more of it to the kernel and to this."""
    backend = NoneBackend()
    backend.start_daemon(Daemon(2, "eth0", 3, 1000, 5000, 9, "ff02::1"))
    backend.start_daemon(Daemon(1, "eth1"))
    master, backup = Daemon(1, "eth1", 0, 1472, 8848, 1, "224.0.0.81"), Daemon(2, "eth0", 3, 1000, 5000, 9, "ff02::1")
    assert backend.daemons() == [master, backup]
    with pytest.raises(FileExistsError):
        backend.start_daemon(Daemon(1, "eth1"))
    backend.stop_daemon(2)
    assert backend.daemons() == [master]
    with pytest.raises(ProcessLookupError):
        backend.stop_daemon(2)
    for wrong in (Daemon(3, "eth0"), Daemon(2, "eth0", group="10.0.0.1"), Daemon(2, "eth0", ttl=256), Daemon(2, "")):
        with pytest.raises(OSError, match=r"Invalid argument|No such device"):
            backend.start_daemon(wrong)
    assert backend.daemons() == [master]


def test_flush_takes_rows_alone() -> None:
    backend = NoneBackend()
    wanted = ipvs_random.table(random.Random(4))
    backend.apply(reconcile(wanted, {}, ()))
    backend.set_timeouts(Timeouts(1, 2, 3))
    assert backend.dump()
    backend.flush()
    assert backend.dump() == {}
    assert backend.timeouts() == Timeouts(1, 2, 3)
