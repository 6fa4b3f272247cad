"""The backend around the C library, with a library that plays the kernel: errors, repeats, growth, opening again."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from fastha._ipvs import ffi

from fastha.dataplane import ipvs
from fastha.dataplane.ipvs_rows import fill_service
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, Verb
from fastha.errors import SystemFault
from oracles.ipvs_structs import fill_dest

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.1", 80)
OP = Op(Verb.DEL_SERVICE, KEY)


class Kernel:
    """Stands for `lib`: return values to give, in order; then 0. Holds rows to dump."""

    FHA_IPVS_NAME_SIZE = 16

    def __init__(self) -> None:
        self.opened = 0
        self.open_answers: list[int] = []
        self.apply_answers: list[int] = []
        self.dump_answers: list[int] = []
        self.services: list[tuple[ServiceKey, Service]] = []
        self.dests: list[tuple[DestKey, Dest]] = []

    def fha_ipvs_open(self, s: Any) -> int:
        rc = self.open_answers.pop(0) if self.open_answers else 0
        if rc == 0:
            assert s.fd == -1, "opened over an open socket"
            self.opened += 1
            s.fd = 1000 + self.opened
        return rc

    def fha_ipvs_close(self, s: Any) -> None:
        s.fd = -1

    def fha_ipvs_apply(self, s: Any, ops: Any, n: int, results: Any) -> int:
        assert s.fd >= 0
        for i in range(n):
            results[i] = ops[i].verb
        return self.apply_answers.pop(0) if self.apply_answers else 0

    def fha_ipvs_dump_services(self, s: Any, out: Any, counters: Any, cap: int, count: Any) -> int:
        return self._dump(s, self.services, fill_service, out, counters, cap, count)

    def fha_ipvs_dump_dests(self, s: Any, service: Any, out: Any, counters: Any, cap: int, count: Any) -> int:
        return self._dump(s, self.dests, fill_dest, out, counters, cap, count)

    def _dump(self, s: Any, rows: list[Any], fill: Any, out: Any, counters: Any, cap: int, count: Any) -> int:
        assert s.fd >= 0
        count[0] = len(rows)
        for i, row in enumerate(rows[:cap]):
            fill(out[i], *row)
            if counters != ffi.NULL:
                assert len(counters) >= cap
                counters[i].connections = i + 1
        return self.dump_answers.pop(0) if self.dump_answers else 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    fake = Kernel()
    monkeypatch.setattr(ipvs, "lib", fake)
    return fake


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (errno.ENOENT, "ipvs: the kernel has no IPVS (module ip_vs), or not in this network namespace"),
        (errno.EPERM, "ipvs: needs root (CAP_NET_ADMIN)"),
        (errno.EMFILE, "ipvs: Too many open files"),
    ],
)
def test_a_kernel_that_refuses_is_one_line(kernel: Kernel, code: int, line: str) -> None:
    kernel.open_answers = [-code]
    with pytest.raises(SystemFault) as fault:
        ipvs.IpvsBackend()
    assert str(fault.value) == line


def test_results_come_back_in_order(kernel: Kernel) -> None:
    ops = [OP, Op(Verb.DEL_DEST, KEY, dest_key=DestKey("10.2.0.1", 80)), OP]
    assert ipvs.IpvsBackend().apply(ops) == [3, 7, 3]


def test_after_an_error_a_new_socket_is_opened(kernel: Kernel) -> None:
    backend = ipvs.IpvsBackend()
    kernel.apply_answers = [-errno.ENOBUFS]
    with pytest.raises(OSError, match="ipvs: No buffer space") as fault:
        backend.apply([OP])
    assert fault.value.errno == errno.ENOBUFS
    kernel.open_answers = [-errno.EMFILE]
    with pytest.raises(OSError, match="Too many open files"):
        backend.apply([OP])
    assert backend.apply([OP]) == [3]
    assert kernel.opened == 2


def test_a_dump_that_was_interrupted_is_repeated(kernel: Kernel) -> None:
    backend = ipvs.IpvsBackend()
    kernel.services = [(KEY, Service("rr"))]
    kernel.dests = [(DestKey("10.2.0.1", 80), Dest(Forward.NAT, 1))]
    kernel.dump_answers = [-errno.EINTR, 0, -errno.EINTR, -errno.EINTR, 0]
    table = backend.dump()
    assert table[KEY].dests == dict(kernel.dests)
    kernel.dump_answers = [-errno.EINTR] * ipvs.DUMP_TRIES
    with pytest.raises(InterruptedError):  # the OSError of EINTR
        backend.dump()
    assert backend.dump() == table


def test_a_dump_larger_than_the_room_is_repeated_with_more(kernel: Kernel) -> None:
    backend = ipvs.IpvsBackend()
    kernel.services = [(ServiceKey(socket.AF_INET, 0, fwmark=i + 1), Service("rr")) for i in range(300)]
    assert len(backend.dump()) == 300
    kernel.services = [(KEY, Service("rr"))]
    kernel.dests = [(DestKey(f"10.2.{i >> 8}.{i & 255}", 80), Dest(Forward.DR, i)) for i in range(5000)]
    assert backend.dump()[KEY].dests == dict(kernel.dests)
    counted = backend.counters()
    assert len(counted) == 5001
    assert counted[KEY, "10.2.0.3:80"]["connections"] == 4
    assert counted[KEY, ""].keys() == counted[KEY, "10.2.0.3:80"].keys() - {"active", "inactive", "persistent"}


def test_nothing_to_do_asks_nothing(kernel: Kernel) -> None:
    backend = ipvs.IpvsBackend()
    backend.close()
    assert backend.apply([]) == []
    with pytest.raises(OSError, match="closed"):
        backend.apply([OP])


def test_the_library_is_the_compiled_one() -> None:
    assert ffi.sizeof("struct fha_ipvs_op") > 100
    assert callable(ipvs.lib.fha_ipvs_open)
