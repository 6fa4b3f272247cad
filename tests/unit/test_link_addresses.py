"""The queue of address operations, with a kernel made of test code."""

from __future__ import annotations

import errno
import struct

import pytest

from fastha.link import addresses as module
from fastha.link import rtnl
from fastha.link.addresses import AddressQueue, Key, Operation
from oracles.virtual_reactor import VirtualReactor


class Kernel:
    """Answers each message of a send at once; `refuse` maps an IP to an errno, `mute` loses acknowledgements."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.have: list[str] = []
        self.refuse: dict[str, int] = {}
        self.mute = False
        self.answered = 0
        self._answers: list[bytes] = []

    def setblocking(self, _flag: bool) -> None: ...

    def send(self, data: bytearray) -> None:
        offset = count = 0
        while offset < len(data):
            length, _kind, flags, sequence, _ = rtnl.HEADER.unpack_from(data, offset)
            (what,) = rtnl.parse(bytes(data[offset : offset + length]))
            gone = isinstance(what, rtnl.Gone)
            address = what.what if isinstance(what, rtnl.Gone) else what
            assert isinstance(address, rtnl.Address)
            result = self.refuse.get(address.ip, 0)
            if gone and address.ip not in self.have:
                result = errno.EADDRNOTAVAIL
            elif gone:
                self.have.remove(address.ip)
            elif address.ip in self.have:
                result = errno.EEXIST
            elif not result:
                self.have.append(address.ip)
            if result or flags & rtnl.NLM_F_ACK:
                self._answers.append(rtnl.HEADER.pack(20, 2, 0, sequence, 0) + struct.pack("=i", -result))
                self.answered += 1
            offset += length
            count += 1
        self.batches.append(count)

    def recv(self, _room: int) -> bytes:
        if self.mute or not self._answers:
            raise BlockingIOError
        return self._answers.pop(0)

    def close(self) -> None: ...


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = Kernel()
        monkeypatch.setattr(module, "open_netlink", lambda *_: self.kernel)
        self.reactor = VirtualReactor()
        self.queue = AddressQueue(self.reactor)  # type: ignore[arg-type]
        self.results: list[tuple[str, int]] = []

    def operation(self, ip: str, add: bool = True) -> Operation:
        key: Key = (2, ip, 32)
        text = rtnl.add_address(*key) if add else rtnl.delete_address(*key)
        return Operation(key, text, lambda error: self.results.append((ip, error)))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_many_messages_per_send_one_answer_for_all(bench: Bench) -> None:
    ips = [f"10.0.0.{i}" for i in range(40)]
    bench.queue.submit(bench.operation(ip) for ip in ips)
    assert bench.queue.busy((2, ips[39], 32))
    bench.reactor.advance(1)
    assert bench.kernel.batches == [8] * 5
    assert bench.kernel.answered == 5, "what goes well is answered once a batch"
    assert bench.kernel.have == ips
    assert bench.results == [(ip, 0) for ip in ips]
    assert bench.queue.idle
    assert not bench.queue.busy((2, ips[39], 32))
    assert (bench.queue.operations, bench.queue.errors) == (40, 0)


def test_what_is_so_already_is_no_error(bench: Bench) -> None:
    bench.kernel.have.append("10.0.0.1")
    bench.queue.submit([bench.operation("10.0.0.1"), bench.operation("10.0.0.2", add=False)])
    bench.queue.pump()
    assert bench.results == [("10.0.0.1", 0), ("10.0.0.2", 0)]


def test_one_refusal_concerns_one_address(bench: Bench) -> None:
    bench.kernel.refuse["10.0.0.2"] = errno.EPERM
    bench.queue.submit(bench.operation(f"10.0.0.{i}") for i in (1, 2, 3))
    bench.queue.pump()
    assert bench.results == [("10.0.0.1", 0), ("10.0.0.2", errno.EPERM), ("10.0.0.3", 0)]
    assert bench.queue.errors == 1


def test_order_is_kept(bench: Bench) -> None:
    bench.queue.submit(
        [bench.operation("10.0.0.1"), bench.operation("10.0.0.1", add=False), bench.operation("10.0.0.1")]
    )
    assert bench.queue.busy((2, "10.0.0.1", 32))
    bench.queue.pump()
    assert bench.kernel.have == ["10.0.0.1"]


def test_a_lost_acknowledgement_is_an_error_not_a_wait(bench: Bench) -> None:
    bench.kernel.mute = True
    bench.queue.submit([bench.operation("10.0.0.1"), bench.operation("10.0.0.2")])
    bench.queue.pump()
    assert bench.results == [("10.0.0.1", errno.ETIMEDOUT), ("10.0.0.2", errno.ETIMEDOUT)], "neither is known"


def test_what_is_urgent_goes_first_and_all_of_it(bench: Bench) -> None:
    """Whoever is to be heard meanwhile is, between two batches."""
    breaths: list[int] = []
    queue = AddressQueue(bench.reactor, breathe=lambda: breaths.append(len(bench.kernel.have)))  # type: ignore[arg-type]
    calm, urgent = [f"10.0.0.{i}" for i in range(9)], [f"10.0.1.{i}" for i in range(20)]
    queue.submit(bench.operation(ip) for ip in calm)
    queue.submit((bench.operation(ip) for ip in urgent), urgent=True)
    assert not queue.idle
    queue.pump()
    assert bench.kernel.have == [*urgent, *calm]
    assert bench.kernel.batches == [8, 8, 4, 8, 1]
    assert breaths == [8, 16, 20]
    assert queue.idle
