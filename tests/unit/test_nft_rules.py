"""Tables as nftables commands: their text, their order, and that they touch only what changed."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP

import pytest

from fastha.dataplane.nft_rules import (
    chain_name,
    change_family,
    dest_comment,
    key_of_chain,
    read_dest_comment,
    read_service_comment,
    rewrite_family,
    service_comment,
    service_rule,
)
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceFlag, ServiceKey, ServiceRow

KEY = ServiceKey(AF_INET, IPPROTO_TCP, "192.0.2.1", 80)
OTHER = ServiceKey(AF_INET, IPPROTO_UDP, "192.0.2.1", 53)
KEY6 = ServiceKey(AF_INET6, IPPROTO_UDP, "2001:db8::1", 53)


def row(scheduler: str, *weights: int, flags: int = 0, prefix: str = "198.51.100.") -> ServiceRow:
    dests = {DestKey(f"{prefix}{i}", 8080): Dest(Forward.NAT, weight) for i, weight in enumerate(weights, 1)}
    return ServiceRow(Service(scheduler, flags), dests)


@pytest.mark.parametrize(
    "key", [KEY, OTHER, KEY6, ServiceKey(AF_INET6, 6, "::", 1), ServiceKey(AF_INET6, 6, "::ffff:192.0.2.1", 65535)]
)
def test_chain_name_says_whose_it_is(key: ServiceKey) -> None:
    assert ":" not in chain_name(key)
    assert key_of_chain(key.family, chain_name(key)) == key


@pytest.mark.parametrize("name", ["prerouting", "svc_sctp_192.0.2.1_80", "svc_tcp_192.0.2_80", "svc_tcp_192.0.2.1_"])
def test_other_chains_are_nobodys(name: str) -> None:
    assert key_of_chain(AF_INET, name) is None


def test_rows_survive_in_comments() -> None:
    service = Service("wlc", ServiceFlag.SCHED1 | ServiceFlag.SCHED2, 300, 24, "sip")
    assert read_service_comment(service_comment(service)) == service
    longest = Service("x" * 15, 0xFFFFFFFF, 2**32 - 1, 128, "y" * 15, False)  # linux/ip_vs.h IP_VS_SCHEDNAME_MAXLEN 16
    assert len(service_comment(longest)) < 128
    shown = Service("rr", masquerade=False)
    assert read_service_comment(service_comment(shown)) == shown
    dest = Dest(Forward.NAT, 65535, 2**32 - 1, 2**32 - 1)
    assert read_dest_comment(dest_comment(dest)) == dest
    assert len(dest_comment(dest)) < 128
    assert read_service_comment("by hand") is read_dest_comment("") is None


def test_rules() -> None:
    comment = 'comment "scheduler={} flags={} timeout=0 netmask=32 pe="'
    assert service_rule(KEY, row("wrr", 1, 2)) == (
        "meta l4proto tcp dnat ip addr . port to numgen inc mod 3 map "
        "{ 0 : 198.51.100.2 . 8080, 1 : 198.51.100.1 . 8080, 2 : 198.51.100.2 . 8080 } " + comment.format("wrr", 0)
    )
    assert service_rule(KEY6, row("sh", 1, 2, flags=16, prefix="2001:db8::2")) == (
        "meta l4proto udp dnat ip6 addr . port to jhash ip6 saddr . udp sport mod 3 seed 0x5eed map "
        "{ 0 : 2001:db8::21 . 8080, 1-2 : 2001:db8::22 . 8080 } " + comment.format("sh", 16)
    )
    assert service_rule(KEY, row("rr", 0)) == f"meta l4proto tcp reject with tcp reset {comment.format('rr', 0)}"
    assert "reject with icmpv6 port-unreachable" in service_rule(KEY6, row("rr"))


def test_nothing_changed_is_no_command() -> None:
    assert change_family(AF_INET, {KEY: row("rr", 1)}, {KEY: row("rr", 1)}) == ""
    assert change_family(AF_INET, {}, {}) == ""


def test_first_service_brings_the_table_and_last_one_takes_it() -> None:
    rows = {KEY: row("rr", 1)}
    assert change_family(AF_INET, {}, rows) == rewrite_family(AF_INET, rows)
    assert rewrite_family(AF_INET, rows).startswith(
        "add table ip fastha\ndelete table ip fastha\nadd table ip fastha\n"
    )
    assert change_family(AF_INET, rows, {}) == "add table ip fastha\ndelete table ip fastha\n"


def test_a_weight_rewrites_one_rule_and_one_record() -> None:
    before = {KEY: row("wrr", 1, 1), OTHER: row("wrr", 1, 1)}
    after = {KEY: row("wrr", 1, 3), OTHER: row("wrr", 1, 1)}
    lines = change_family(AF_INET, before, after).splitlines()
    assert [line.split(" { ")[0].split(" meta ")[0] for line in lines] == [
        "delete element ip fastha dests",
        "flush chain ip fastha svc_tcp_192.0.2.1_80",
        "add rule ip fastha svc_tcp_192.0.2.1_80",
        "add rule ip fastha svc_tcp_192.0.2.1_80 drop",
        "add element ip fastha dests",
    ]
    assert lines[0].endswith("{ 192.0.2.1 . tcp . 80 . 198.51.100.2 . 8080 }")
    assert lines[-1].endswith('8080 comment "weight=3 uthreshold=0 lthreshold=0" }')


def test_masquerade_is_one_element_and_the_record() -> None:
    before = {KEY: row("rr", 1), OTHER: row("rr", 1)}
    after = {KEY: ServiceRow(Service("rr", masquerade=False), row("rr", 1).dests), OTHER: row("rr", 1)}
    off = change_family(AF_INET, before, after).splitlines()
    assert [line.split(" { ")[0].split(" meta ")[0] for line in off] == [
        "delete element ip fastha addresses",
        "flush chain ip fastha svc_tcp_192.0.2.1_80",
        "add rule ip fastha svc_tcp_192.0.2.1_80",
        "add rule ip fastha svc_tcp_192.0.2.1_80 drop",
    ]
    on = change_family(AF_INET, after, before).splitlines()
    assert on[-1] == "add element ip fastha addresses { 192.0.2.1 . tcp . 80 }"
    assert "addresses {" not in change_family(AF_INET, {OTHER: row("rr", 1)}, after).replace("set ip", "")


def test_a_weight_that_does_not_count_leaves_the_rule() -> None:
    """rr knows 0 and the rest: the turn goes on where it was."""
    lines = change_family(AF_INET, {KEY: row("rr", 1, 1)}, {KEY: row("rr", 1, 3)}).splitlines()
    assert [line.split(" { ")[0] for line in lines] == ["delete element ip fastha dests", "add element ip fastha dests"]


def test_a_service_that_goes_loses_its_way_before_its_chain() -> None:
    lines = change_family(AF_INET, {KEY: row("rr", 1), OTHER: row("rr", 1)}, {OTHER: row("rr", 1)}).splitlines()
    assert [line.split(" { ")[0] for line in lines] == [
        "delete element ip fastha services",
        "delete element ip fastha addresses",
        "delete element ip fastha dests",
        "flush chain ip fastha svc_tcp_192.0.2.1_80",
        "delete chain ip fastha svc_tcp_192.0.2.1_80",
    ]
