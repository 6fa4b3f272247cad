"""The firewall's tables as text, for every mixture of what needs them; libnftables takes the same in tests/netns."""

from __future__ import annotations

from dataclasses import replace

from fastha.child import nft_tables
from fastha.model import Device, FirewallDefs, VirtualAddress, VrrpInstance
from fastha.model.wire import Wire
from fastha.vrrp import filter_rules

OPEN = VrrpInstance("open", "eth0", 1, addresses=(VirtualAddress("10.0.0.1"),))
CLOSED = VrrpInstance("closed", "eth0", 2, addresses=(VirtualAddress("10.0.0.2"),), accept=False)
SIX = VrrpInstance("six", "eth0", 3, addresses=(VirtualAddress("2001:db8::3", 128),), accept=False)
OWNER = VrrpInstance("owner", "eth0", 4, priority=255, addresses=(VirtualAddress("10.0.0.4"),), accept=False)
VMAC = VrrpInstance("vmac", "eth0", 5, vmac=Device("vrrp.5", "eth0", "00:00:5e:00:01:05"))


def test_who_accepts_needs_none() -> None:
    assert filter_rules.tables([OPEN, OWNER], FirewallDefs()) == {}


def test_addresses_are_dropped_both_ways() -> None:
    table = filter_rules.tables([OPEN, CLOSED, OWNER], FirewallDefs("mine", 7, True))["ip"]
    assert table.startswith("table ip mine {")
    assert "elements = { 10.0.0.2 }" in table
    assert "hook input priority 7; policy accept;\n\t\tip daddr @vips counter drop" in table
    assert "hook output priority 7; policy accept;\n\t\tip saddr @vips counter drop" in table


def test_neighbour_discovery_passes() -> None:
    found = filter_rules.tables([SIX], FirewallDefs())
    assert list(found) == ["ip6"]
    assert found["ip6"].index("nd-neighbor-solicit") < found["ip6"].index("daddr @vips drop")


def test_a_vmac_reports_no_groups() -> None:
    table = filter_rules.tables([VMAC], FirewallDefs())["ip"]
    assert 'elements = { "vrrp.5" }' in table
    assert "hook input" not in table
    assert "meta l4proto igmp oifname @vmacs drop" in table


def test_a_vmac_of_ipv6_reports_none_either() -> None:
    device = Device("vrrp6.5", "eth0", "00:00:5e:00:02:05", ipv6=True)
    found = filter_rules.tables([VrrpInstance("six", "eth0", 5, family=6, vmac=device)], FirewallDefs())
    assert list(found) == ["ip", "ip6"]
    assert 'elements = { "vrrp6.5" }' in found["ip6"]
    assert "hook input" not in found["ip6"]
    assert "ip6 saddr :: icmpv6 type" in found["ip6"]


def test_nothing_is_dropped_that_nobody_reports() -> None:
    silent = FirewallDefs(local_igmp=False)
    assert filter_rules.tables([VMAC], silent) == {}
    elsewhere = replace(
        VMAC, name="b", vmac=Device("vrrp.6", "eth0", "00:00:5e:00:01:06"), wire=Wire(group="239.1.1.1")
    )
    table = filter_rules.tables([VMAC, elsewhere], silent)["ip"]
    assert 'elements = { "vrrp.6" }' in table, "the kernel reports that group"


def test_replacing_takes_away_first() -> None:
    assert nft_tables.replace("t", {}) == nft_tables.remove("t")
    assert nft_tables.remove("t").count("delete table") == 2
