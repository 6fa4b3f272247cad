"""Marks for the traffic of groups: which, and the tables that set them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from fastha.checker import marks
from fastha.child import nft_tables
from fastha.child.log import Limiter
from fastha.child.nft_tables import NftTables, remove
from fastha.dataplane.nft_library import NftError
from fastha.model import GroupMember, VirtualServer
from oracles.virtual_reactor import VirtualReactor

S = 10**9
WEB = VirtualServer(group="web", members=(GroupMember("10.0.0.1", "10.0.0.9", 80),))
MAIL = VirtualServer(group="mail", members=(GroupMember("10.0.1.1", "10.0.1.1", 25), GroupMember(fwmark=1001)))
PLAIN = VirtualServer(ip="10.0.2.1", port=80)


def test_marks_go_upwards_and_past_those_in_use() -> None:
    assert marks.allocate([WEB, PLAIN, MAIL], 1000, {}) == {WEB.key: 1000, MAIL.key: 1002}
    assert marks.allocate([VirtualServer(fwmark=1000), WEB], 1000, {}) == {WEB.key: 1001}
    only_marks = replace(MAIL, members=MAIL.members[1:])
    assert marks.allocate([only_marks, PLAIN], 1000, {}) == {}


def test_a_group_keeps_its_mark_and_gaps_are_filled() -> None:
    before = {"group gone/tcp": 1000, MAIL.key: 1005}
    assert marks.allocate([WEB, MAIL], 1000, before) == {WEB.key: 1000, MAIL.key: 1005}
    assert marks.allocate([WEB, MAIL], 2000, before) == {WEB.key: 2000, MAIL.key: 2001}
    taken = VirtualServer(fwmark=1005)
    assert marks.allocate([WEB, MAIL, taken], 1000, before) == {WEB.key: 1000, MAIL.key: 1002}


def test_too_few_marks() -> None:
    assert marks.allocate([WEB], (1 << 32) - 1, {}) == {WEB.key: (1 << 32) - 1}
    with pytest.raises(ValueError, match="too few marks"):
        marks.allocate([WEB, MAIL], (1 << 32) - 1, {})


def test_tables() -> None:
    udp = replace(WEB, protocol="UDP", members=(*WEB.members, GroupMember("10.0.0.5", "10.0.0.20", 80)))
    every = replace(MAIL, members=(GroupMember("10.0.3.1", "10.0.3.1"), GroupMember("::1", "::2", 25, family="inet6")))
    allotted = {WEB.key: 1000, udp.key: 1001, every.key: 1002}
    found = marks.tables(
        "m", -150, [WEB, replace(udp, group="other"), every, PLAIN], {**allotted, "group other/udp": 9}
    )
    assert (
        found["ip"]
        == """table ip m {
	map tcp_any {
		type ipv4_addr : mark
		flags interval
		elements = { 10.0.3.1 : 1002 }
	}
	map tcp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.1-10.0.0.9 . 80 : 1000 }
	}
	map udp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.1-10.0.0.20 . 80 : 9 }
	}
	chain prerouting {
		type filter hook prerouting priority -150; policy accept;
		meta l4proto tcp meta mark set ip daddr map @tcp_any
		meta mark set ip daddr . tcp dport map @tcp_map
		meta mark set ip daddr . udp dport map @udp_map
	}
	chain output {
		type route hook output priority -150; policy accept;
		meta l4proto tcp meta mark set ip daddr map @tcp_any
		meta mark set ip daddr . tcp dport map @tcp_map
		meta mark set ip daddr . udp dport map @udp_map
	}
}
"""
    )
    assert "::1-::2 . 25 : 1002" in found["ip6"]
    # IPVS schedules the host's own packets at -99: their mark comes earlier, whatever the priority.
    late = marks.tables("m", 10, [WEB], allotted)["ip"]
    assert "hook prerouting priority 10;" in late
    assert "hook output priority -100;" in late
    assert marks.tables("m", -1, [PLAIN], {}) == {}


# -- keeper --


class Nft:
    """A kernel that keeps what it was told last."""

    def __init__(self) -> None:
        self.text = ""
        self.runs: list[str] = []
        self.checks = 0
        self.dead = False
        self.closed = False

    def run(self, commands: str, *, output: int = 0, check: bool = False) -> str:
        if self.dead:
            raise NftError(1, "Operation not permitted")
        if check:
            self.checks += 1
            return ""
        if commands.startswith("list "):
            return self.text
        self.runs.append(commands)
        self.text = commands
        return ""

    def close(self) -> None:
        self.closed = True


def keeper(nft: Nft, left: str = "") -> tuple[NftTables, VirtualReactor, list[str]]:
    reactor, told = VirtualReactor(), list[str]()
    limited = Limiter(logging.getLogger("fastha.test"), reactor.now_ns)
    make: Callable[[], Nft] = lambda: nft  # noqa: E731
    there = left.__eq__
    hears = lambda _s, text: told.append(text)  # noqa: E731
    return NftTables("nftables_ipvs", reactor, limited, hears, make_nft=make, there=there), reactor, told


def test_tables_are_replaced_on_change_repaired_and_removed() -> None:
    nft = Nft()
    keep, reactor, told = keeper(nft)
    wanted = marks.tables("m", -1, [WEB], {WEB.key: 1000})
    assert keep.prepare("m", wanted) == ""
    assert (nft.checks, nft.runs) == (1, [])
    keep.commit("m", wanted)
    assert nft.runs == [nft_tables.replace("m", wanted)]
    keep.commit("m", wanted)
    reactor.advance(21 * S)
    assert len(nft.runs) == 1  # unchanged, and nobody was there
    nft.text = "something else"
    reactor.advance(10 * S)
    assert nft.runs[1:] == [nft_tables.replace("m", wanted)]
    assert told == ["somebody had changed table m: repaired"]
    keep.commit("n", wanted)
    assert nft.runs[2:] == [remove("m"), nft_tables.replace("n", wanted)]
    keep.commit("", {})  # the word is gone
    reactor.advance(30 * S)
    assert nft.runs[4:] == [remove("n")]
    keep.commit("n", wanted)
    keep.stop()
    assert nft.runs[5:] == [nft_tables.replace("n", wanted), remove("n")]
    assert nft.closed


def test_a_kernel_that_refuses_is_asked_again() -> None:
    nft = Nft()
    keep, reactor, _ = keeper(nft)
    wanted = marks.tables("m", -1, [WEB], {WEB.key: 1000})
    nft.dead = True
    assert keep.prepare("m", wanted) == "nftables_ipvs: Operation not permitted"
    keep.commit("m", wanted)
    nft.dead = False
    reactor.advance(11 * S)
    assert nft.runs == [nft_tables.replace("m", wanted)]


def test_what_an_earlier_daemon_left_goes() -> None:
    nft = Nft()
    keep, reactor, _ = keeper(nft, left="m")
    keep.commit("n", {})
    assert nft.runs == []
    keep.commit("m", {})
    reactor.advance(30 * S)
    assert nft.runs == [remove("m")]


def test_without_the_word_nobody_speaks_to_nftables() -> None:
    nft = Nft()
    keep, reactor, _ = keeper(nft)
    assert keep.prepare("", {}) == ""
    keep.commit("", {})
    reactor.advance(30 * S)
    keep.stop()
    assert nft.runs == []
    dry = NftTables("nftables_ipvs", reactor, keep._limited, make_nft=None)
    dry.commit("m", marks.tables("m", -1, [WEB], {WEB.key: 1000}))
    reactor.advance(30 * S)
    dry.stop()
