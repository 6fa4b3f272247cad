"""Marks of nftables_ipvs in a real kernel: which packets get which, and the tables kept true."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

import need
from fastha.checker import marks
from fastha.child.log import Limiter
from fastha.child.nft_tables import NftTables
from fastha.dataplane.nft_library import Library
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import GroupMember, VirtualServer
from oracles.virtual_reactor import VirtualReactor

S = 10**9
WEB = VirtualServer(
    group="web",
    members=(GroupMember("10.7.0.1", "10.7.0.9", 80), GroupMember("fd07::1", "fd07::ff", 80, family="inet6")),
)
ANY = VirtualServer(group="any", protocol="UDP", members=(GroupMember("10.7.0.5", "10.7.1.5"),))
LARGE = VirtualServer(group="large", members=(GroupMember("10.128.0.0", "10.255.255.255", 443),))
GROUPS = (WEB, ANY, LARGE)


@pytest.fixture
def space(network: Network) -> Namespace:
    """A namespace that owns whole networks of addresses, so that packets to them go somewhere."""
    need.kernel("nft")
    space = network.namespace("marks")
    space.ip("link set lo up")
    for family, net in (("-4", "10.0.0.0/8"), ("-6", "fd07::/64")):
        space.run(["ip", family, "route", "add", "local", net, "dev", "lo"])
    return space


@pytest.fixture
def library(space: Namespace) -> Iterator[Library]:
    with space.entered():
        library = Library()
    yield library
    library.close()


class Counters:
    """Counts what arrives by mark: rules behind ours, at the input hook."""

    def __init__(self, library: Library, *wanted: int) -> None:
        self._library = library
        rules = "".join(f'meta mark {mark} counter comment "m{mark}"\n' for mark in wanted)
        library.run(
            f"table inet watch {{ chain in {{ type filter hook input priority 100; policy accept;\n{rules}}}\n}}\n"
        )

    def read(self) -> dict[int, int]:
        """{mark: packets so far}."""
        listed = orjson.loads(self._library.run("list table inet watch", output=1 << 4))
        found = {}
        for item in listed["nftables"]:
            if rule := item.get("rule"):
                (count,) = [e["counter"]["packets"] for e in rule["expr"] if "counter" in e]
                found[int(rule["comment"][1:])] = count
        return found


def send(space: Namespace, ip: str, port: int, kind: int = socket.SOCK_STREAM) -> None:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with space.socket(family, kind) as sock:
        sock.settimeout(1)
        if kind == socket.SOCK_DGRAM:
            sock.sendto(b"x", (ip, port))
        else:
            assert sock.connect_ex((ip, port)) == 111  # refused: the packet has arrived


def keeper(library: Library) -> tuple[NftTables, VirtualReactor, list[str]]:
    reactor, told = VirtualReactor(), list[str]()
    limited = Limiter(logging.getLogger("fastha.test"), reactor.now_ns)
    keep: Any = NftTables(
        "nftables_ipvs", reactor, limited, lambda _s, text: told.append(text), make_nft=lambda: library
    )
    return keep, reactor, told


def test_packets_get_the_mark_of_their_group(space: Namespace, library: Library) -> None:
    counters = Counters(library, 1000, 1001, 1002, 0)
    keep, _, _ = keeper(library)
    allotted = marks.allocate(GROUPS, 1000, {})
    wanted = marks.tables("fastha_marks", -1, GROUPS, allotted)
    assert keep.prepare("fastha_marks", wanted) == ""
    keep.commit("fastha_marks", wanted)

    def got(ip: str, port: int, kind: int = socket.SOCK_STREAM) -> set[int]:
        before = counters.read()
        send(space, ip, port, kind)
        return {mark for mark, count in counters.read().items() if count > before[mark]} - {0}

    for ip in ("10.7.0.1", "10.7.0.5", "10.7.0.9", "fd07::1", "fd07::ff"):
        assert got(ip, 80) == {1000}, ip
    for ip, port in (("10.7.0.10", 80), ("10.7.0.1", 81), ("fd07::1:0", 80), ("10.127.255.255", 443)):
        assert got(ip, port) == set(), ip
    assert got("10.7.0.5", 80, socket.SOCK_DGRAM) == {1001}
    assert got("10.7.1.5", 9999, socket.SOCK_DGRAM) == {1001}
    assert got("10.7.1.6", 9999, socket.SOCK_DGRAM) == set()
    for ip in ("10.128.0.0", "10.200.1.2", "10.255.255.254"):  # eight million addresses, one element
        assert got(ip, 443) == {1002}, ip


def test_the_tables_are_kept_true_and_removed(library: Library) -> None:
    keep, reactor, told = keeper(library)
    wanted = marks.tables("fastha_marks", -1, GROUPS, marks.allocate(GROUPS, 1000, {}))
    keep.commit("fastha_marks", wanted)
    listing = library.run("list ruleset")
    reactor.advance(21 * S)
    assert told == []
    library.run("flush table ip fastha_marks")
    library.run("add element ip6 fastha_marks tcp_map { fd07::8000 . 80 : 7 }")
    assert library.run("list ruleset") != listing
    reactor.advance(10 * S)
    assert library.run("list ruleset") == listing
    library.run("delete table ip fastha_marks")
    reactor.advance(10 * S)
    assert library.run("list ruleset") == listing
    assert len(told) == 2
    close, library.close = library.close, lambda: None  # type: ignore[method-assign]
    keep.stop()
    library.close = close  # type: ignore[method-assign]
    assert library.run("list ruleset") == ""


def test_a_reload_replaces_them_in_one_step(space: Namespace, library: Library) -> None:
    keep, _, _ = keeper(library)
    first = marks.allocate([WEB], 1000, {})
    keep.commit("fastha_marks", marks.tables("fastha_marks", -1, [WEB], first))
    both = marks.allocate([ANY, WEB], 1000, first)
    keep.commit("fastha_marks", marks.tables("fastha_marks", -1, [ANY, WEB], both))
    listing = library.run("list ruleset")
    assert f"0x{both[WEB.key]:08x}" in listing
    assert both[WEB.key] == 1000
    keep.commit("fastha_marks", {})
    assert library.run("list ruleset") == ""


def test_a_bad_table_is_refused_before_the_commit(library: Library) -> None:
    keep, _, _ = keeper(library)
    reason = keep.prepare("fastha_marks", {"ip": "table ip fastha_marks { map x { type nonsense : mark; } }\n"})
    assert reason.startswith("nftables_ipvs: ")
    assert "\n" not in reason
    assert library.run("list ruleset") == ""
