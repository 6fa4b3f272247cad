"""rtnetlink messages: what we write, what we read, and that garbage is skipped."""

from __future__ import annotations

import random
import struct

import pytest

from fastha.link import rtnl
from fastha.link.rtnl import Address, Gone, Link, Reply
from fastha.link.table import Table

ETH0 = Link(2, "eth0", bytes.fromhex("020000000001"), 1500, True, True, True)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes, sequence: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body


def link_message(flags: int = 0x1043, family: int = 0, kind: int = rtnl.RTM_NEWLINK, name: bytes = b"eth0\0") -> bytes:
    body = struct.pack("=BxHiII", family, 1, 2, flags, 0)
    body += attribute(3, name) + attribute(1, ETH0.mac) + attribute(4, struct.pack("=I", 1500))
    return message(kind, body)


def test_links() -> None:
    assert list(rtnl.parse(link_message())) == [ETH0]
    assert list(rtnl.parse(link_message(kind=rtnl.RTM_DELLINK))) == [Gone(ETH0)]
    assert list(rtnl.parse(link_message(family=7))) == [], "news about a bridge port is not about the link"
    down, no_carrier, no_arp = (next(iter(rtnl.parse(link_message(f)))) for f in (0x1002, 0x1003, 0x10C3))
    assert isinstance(down, Link)
    assert isinstance(no_carrier, Link)
    assert isinstance(no_arp, Link)
    assert (down.up, down.running) == (False, False)
    assert (no_carrier.up, no_carrier.running) == (True, False)
    assert not no_arp.arp


def test_what_we_write_reads_back() -> None:
    data = rtnl.add_address(2, "10.0.0.1", 32, 253, "eth0:1") + rtnl.delete_address(3, "10.0.0.2", 24)
    assert list(rtnl.parse(data)) == [Address(2, "10.0.0.1", 32), Gone(Address(3, "10.0.0.2", 24))]
    length, kind, flags, sequence, _ = rtnl.HEADER.unpack_from(data)
    assert (length % 4, kind, flags, sequence) == (0, 20, 1 | 4 | 0x400 | 0x200, 0)
    assert rtnl.IFADDR.unpack_from(data, 16) == (2, 32, 0, 253, 2)
    assert b"eth0:1\0" in data
    buffer = bytearray(data)
    rtnl.number(buffer, length, 77)
    assert rtnl.HEADER.unpack_from(buffer, length)[3] == 77
    assert rtnl.HEADER.unpack_from(buffer)[3] == 0


def test_answers() -> None:
    acks = message(2, struct.pack("=i", 0), 5) + message(2, struct.pack("=i", -17), 6) + message(3, b"\0\0\0\0", 7)
    assert list(rtnl.parse(acks)) == [Reply(5, 0), Reply(6, 17), Reply(7, 0)]


def test_garbage_is_skipped_never_raised(rng: random.Random) -> None:
    good = link_message() + rtnl.add_address(2, "10.0.0.1", 32)
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        list(rtnl.parse(bytes(data[: rng.randint(0, len(data))])))


@pytest.fixture
def table() -> Table:
    return Table([ETH0, Address(2, "10.0.0.5", 24), Address(2, "10.0.0.100", 32)])


def test_table_answers(table: Table) -> None:
    assert table.link("eth0") == ETH0
    assert table.link("eth1") is None
    assert table.has(2, "10.0.0.5", 24)
    assert not table.has(2, "10.0.0.5", 32)
    assert table.primary(2) == "10.0.0.5"
    assert table.primary(2, {"10.0.0.5"}) == "10.0.0.100"
    assert table.primary(2, {"10.0.0.5", "10.0.0.100"}) == "10.0.0.5", "an owner speaks from a service address"
    assert table.primary(9) == ""


def test_table_says_whether_anything_changed(table: Table) -> None:
    assert not table.apply(ETH0)
    assert not table.apply(Address(2, "10.0.0.5", 24))
    assert not table.apply(Gone(Address(2, "10.0.0.6", 24)))
    assert not table.apply(Reply(1, 0))
    assert table.apply(Gone(Address(2, "10.0.0.5", 24)))
    assert table.primary(2) == "10.0.0.100"


def test_renamed_and_replaced_links(table: Table) -> None:
    renamed = Link(2, "lan0", ETH0.mac, 1500, True, True, True)
    assert table.apply(renamed)
    assert table.link("eth0") is None
    assert table.link("lan0") == renamed
    other = Link(9, "eth0", ETH0.mac, 1500, True, True, True)
    table.apply(other)
    assert table.apply(Gone(ETH0)), "the old name in a late farewell"
    assert table.link("eth0") == other
    assert table.primary(2) == ""
