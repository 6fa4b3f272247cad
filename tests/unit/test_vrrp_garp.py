"""Which gratuitous ARP frames leave when, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastha.link.rtnl import Link
from fastha.model import Device, Garp, GarpGroup, VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.vrrp import frames
from fastha.vrrp.garp import Announcer
from fastha.wire.arp import FRAME_SIZE
from oracles.virtual_reactor import VirtualReactor

ETH0 = Link(2, "eth0", bytes.fromhex("020000000001"), 1500, True, True, True)


class Bench:
    def __init__(self) -> None:
        self.reactor = VirtualReactor()
        self.began = self.reactor.now_ns()
        self.left: list[tuple[int, str]] = []
        self.announcer = Announcer(self.reactor, self.send)  # type: ignore[arg-type]

    def send(self, data: bytes | memoryview, size: int, to: bytes) -> tuple[int, int]:
        assert size == FRAME_SIZE
        assert len(data) % size == 0
        now = self.reactor.now_ns() - self.began
        for at in range(0, len(data), size):
            self.left.append((now, ".".join(map(str, data[at + 28 : at + 32]))))
        return len(data) // size, 0

    def blocks(self, *ips: str) -> list[frames.ArpBlock]:
        instance = VrrpInstance("vi", "eth0", 1, addresses=tuple(map(VirtualAddress, ips)))
        return frames.arp_blocks(instance, {"eth0": ETH0})

    def ips(self) -> list[str]:
        return [ip for _, ip in self.left]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_one_copy_of_every_address_before_any_repeat(bench: Bench) -> None:
    plan = Garp(master_delay_ns=0, master_repeat=3)
    bench.announcer.announce(bench.blocks("10.0.0.1", "10.0.0.2"), plan, "master")
    bench.announcer.announce(bench.blocks("10.0.0.3"), plan, "master")
    bench.reactor.advance(1)
    first = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert bench.ips()[:3] == first, "also of another instance on the same interface"
    assert sorted(bench.ips()[3:]) == sorted(first * 2)
    assert bench.announcer.sent == 9


def test_nothing_is_repeated_while_addresses_are_added() -> None:
    bench, busy = Bench(), True
    bench.announcer = Announcer(bench.reactor, bench.send, lambda: busy)  # type: ignore[arg-type]
    bench.announcer.announce(bench.blocks("10.0.0.1"), Garp(master_delay_ns=0, master_repeat=3), "master")
    bench.reactor.advance(NS_PER_S)
    assert bench.ips() == ["10.0.0.1"]
    busy = False
    bench.reactor.advance(NS_PER_S)
    assert bench.ips() == ["10.0.0.1"] * 3


def test_second_block_and_refresh(bench: Bench) -> None:
    plan = Garp(master_repeat=2, master_refresh_ns=10 * NS_PER_S, master_refresh_repeat=1)
    bench.announcer.announce(bench.blocks("10.0.0.1"), plan, "master")
    bench.reactor.advance(36 * NS_PER_S)
    assert [t // NS_PER_S for t, _ in bench.left] == [0, 0, 5, 5, 15, 25, 35]


def test_lower_prio_has_its_own_numbers(bench: Bench) -> None:
    plan = Garp(lower_prio_delay_ns=0, lower_prio_repeat=1)
    bench.announcer.announce(bench.blocks("10.0.0.1"), plan, "lower_prio")
    bench.reactor.advance(10 * NS_PER_S)
    assert len(bench.left) == 1
    bench.announcer.announce(bench.blocks("10.0.0.1"), Garp(lower_prio_repeat=0, lower_prio_delay_ns=0), "lower_prio")
    bench.reactor.advance(10 * NS_PER_S)
    assert len(bench.left) == 1


def test_adverts_of_lower_priority_neither_stop_nor_move_what_comes_again(bench: Bench) -> None:
    plan = Garp(
        master_delay_ns=0, master_repeat=1, master_refresh_ns=10 * NS_PER_S, master_refresh_repeat=3,
        lower_prio_delay_ns=0, lower_prio_repeat=0, extra_ns=4 * NS_PER_S,
    )  # fmt: skip
    blocks, extra = bench.blocks("10.0.0.1"), bench.blocks("10.0.0.2")
    token = bench.announcer.announce(blocks, plan, "master", extra)
    for _ in range(25):  # one more often than anything is due
        bench.reactor.advance(NS_PER_S)
        token = bench.announcer.announce(blocks, plan, "lower_prio", extra, token)
    seconds = [(t // NS_PER_S, ip) for t, ip in bench.left]
    assert [t for t, ip in seconds if ip == "10.0.0.1"] == [0, 10, 10, 10, 20, 20, 20]
    assert [t for t, ip in seconds if ip == "10.0.0.2"] == [4, 8, 12, 16, 20, 24]
    bench.announcer.cancel(token)
    bench.reactor.advance(100 * NS_PER_S)
    assert len(bench.left) == len(seconds)


def test_interval_is_kept_across_instances(bench: Bench) -> None:
    plan = Garp(master_delay_ns=0, master_repeat=2, interval_ns=10 * NS_PER_MS)
    bench.announcer.announce(bench.blocks("10.0.0.1", "10.0.0.2"), plan, "master")
    bench.announcer.announce(bench.blocks("10.0.0.3"), plan, "master")
    bench.reactor.advance(NS_PER_S)
    assert [t for t, _ in bench.left] == [i * 10 * NS_PER_MS for i in range(6)]
    assert bench.ips()[:3] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_cancelled_means_silence(bench: Bench) -> None:
    token = bench.announcer.announce(bench.blocks("10.0.0.1"), Garp(master_refresh_ns=NS_PER_S), "master")
    bench.announcer.cancel(token)
    bench.reactor.advance(60 * NS_PER_S)
    assert bench.left == []


def test_interfaces_without_arp_are_skipped() -> None:
    instance = VrrpInstance("vi", "eth0", 1, addresses=(VirtualAddress("10.0.0.1"),))
    silent = Link(2, "eth0", bytes(6), 1500, True, True, False)
    assert frames.arp_blocks(instance, {"eth0": silent}) == []
    assert frames.arp_blocks(instance, {}) == []


def test_a_group_of_interfaces_has_one_rhythm(bench: Bench) -> None:
    """And a VMAC the rhythm of its base; others keep theirs."""
    plan = Garp(master_delay_ns=0, master_repeat=2, interval_ns=10 * NS_PER_MS)
    bench.announcer.pace([GarpGroup(("eth0", "eth1"), 100 * NS_PER_MS)])
    vmac = Device("vrrp.1", "eth1", "00:00:5e:00:01:01")
    addresses = tuple(VirtualAddress(f"10.0.{i}.1", dev=f"eth{i}", vmac=i == 1) for i in range(3))
    instance = VrrpInstance("vi", "eth9", 1, addresses=addresses, address_vmacs=(vmac,))
    names = ("eth0", "vrrp.1", "eth2")
    links = {name: replace(ETH0, index=i + 2, name=name) for i, name in enumerate(names)}
    bench.announcer.announce(frames.arp_blocks(instance, links), plan, "master")
    bench.reactor.advance(NS_PER_S)
    shared = [(at // NS_PER_MS, ip) for at, ip in bench.left if ip != "10.0.2.1"]
    assert shared == [(0, "10.0.0.1"), (100, "10.0.1.1"), (200, "10.0.0.1"), (300, "10.0.1.1")]
    assert [at // NS_PER_MS for at, ip in bench.left if ip == "10.0.2.1"] == [0, 10]


def test_a_group_without_a_limit_has_none(bench: Bench) -> None:
    plan = Garp(master_delay_ns=0, master_repeat=3, interval_ns=10 * NS_PER_MS)
    bench.announcer.pace([GarpGroup(("eth0",), 0, NS_PER_S)])
    bench.announcer.announce(bench.blocks("10.0.0.1"), plan, "master")
    bench.reactor.advance(1)
    assert bench.ips() == ["10.0.0.1"] * 3


def test_extra_frames_go_on_until_it_is_no_master(bench: Bench) -> None:
    plan = Garp(master_delay_ns=0, master_repeat=1, extra_ns=NS_PER_S)
    blocks = bench.blocks("10.0.0.1", "10.0.0.2")
    token = bench.announcer.announce(blocks, plan, "master", bench.blocks("10.0.0.2"))
    bench.reactor.advance(3 * NS_PER_S + 1)
    assert bench.ips() == ["10.0.0.1", *["10.0.0.2"] * 4]
    bench.announcer.cancel(token)
    bench.reactor.advance(3 * NS_PER_S)
    assert len(bench.left) == 5


def test_what_waits_to_leave_is_not_queued_again(bench: Bench) -> None:
    """Adverts of lower priority that come faster than frames leave."""
    plan = Garp(lower_prio_repeat=2, lower_prio_delay_ns=0, interval_ns=10 * NS_PER_MS)
    blocks = bench.blocks("10.0.0.1", "10.0.0.2")
    token = bench.announcer.announce(blocks, plan, "lower_prio")
    for _ in range(1000):
        assert bench.announcer.announce(blocks, plan, "lower_prio", (), token) is token
    bench.reactor.advance(NS_PER_S)
    assert bench.ips() == ["10.0.0.1", "10.0.0.2"] * 2
    assert token.waiting == 0
    again = bench.announcer.announce(blocks, plan, "lower_prio", (), token)
    assert again is not token, "all of it had left"
    other = bench.blocks("10.0.0.3")
    assert bench.announcer.announce(other, plan, "lower_prio", (), again) is not again, "other frames"
