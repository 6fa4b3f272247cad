"""Words that change the wire, or whom an instance believes: what they mean together, and that a dump reads back."""

from __future__ import annotations

import pytest

from fastha.config.build import build
from fastha.config.dump import dump
from fastha.config.expand import Environment
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from fastha.model import Config, VrrpInstance
from fastha.model.wire import PeerTtl, Wire
from unit.test_config_effects import Text

PEER = "unicast_src_ip 10.0.0.5\nunicast_peer {\n10.0.0.9\n}"


def config(*lines: str, defs: str = "", vip: str = "10.0.0.7", version: int = 3) -> tuple[Config, list[str]]:
    text = "\n".join(
        (f"global_defs {{\n{defs}\n}}", "vrrp_instance vi {\ninterface eth0\nvirtual_router_id 7", f"version {version}",
         *lines, f"virtual_ipaddress {{\n{vip}\n}}\n}}\n")
    )  # fmt: skip
    return whole(text)


def whole(text: str) -> tuple[Config, list[str]]:
    found, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    return found, [f"{f.severity.value}: {f.message}" for f in faults]


def built(*lines: str, defs: str = "", vip: str = "10.0.0.7") -> VrrpInstance:
    """Without a fault; and its dump means the same."""
    found, faults = config(*lines, defs=defs, vip=vip)
    assert faults == []
    again, _ = whole(dump(found))
    assert again.instances == found.instances, dump(found)
    return found.instances[0]


@pytest.mark.parametrize(
    ("lines", "wire"),
    [
        ([PEER, "unicast_ttl 7"], Wire(ttl=7)),
        ([PEER, "unicast_ttl 0"], Wire(ttl=0)),
        ([PEER, "check_unicast_src"], Wire(listed=True)),
        (["unicast_peer {\n10.0.0.9 min_ttl 3\n}"], Wire(listed=True, bounds=(PeerTtl("10.0.0.9", 3, 255),))),
        (
            ["unicast_peer {\n10.0.0.9 max_ttl 9\n10.0.0.8\n10.0.0.4 min_ttl 1 max_ttl 2\n}"],
            Wire(listed=True, bounds=(PeerTtl("10.0.0.9", 0, 9), PeerTtl("10.0.0.4", 1, 2))),
        ),
        (["unicast_fault_no_peer"], Wire(lacks_peer=True)),
        ([PEER, "unicast_fault_no_peer"], Wire()),
        (["mcast_src_ip 10.0.0.6", "track_src_ip"], Wire(source="10.0.0.6", track_source=True)),
        ([PEER, "track_src_ip"], Wire(track_source=True)),
        (["mcast_dst_ip 224.0.0.99"], Wire(group="224.0.0.99")),
        (["mcast_dst_ip 224.0.0.18"], Wire()),
        (["v3_checksum_as_v2"], Wire(plain_sum=True)),
        ([PEER, "old_unicast_checksum"], Wire(old_sum=True)),
        ([PEER, "old_unicast_checksum never"], Wire()),
        (["skip_check_adv_addr"], Wire(trusting=True)),
        (["dont_track_primary"], Wire(track_primary=False)),
    ],
)
def test_words(lines: list[str], wire: Wire) -> None:
    assert built(*lines).wire == wire


def test_global_words_are_the_default() -> None:
    defs = "vrrp_skip_check_adv_addr\nv3_checksum_as_v2\nvrrp_mcast_group4 224.0.0.99"
    assert built(defs=defs).wire == Wire(trusting=True, plain_sum=True, group="224.0.0.99")
    assert built("mcast_dst_ip 224.0.0.98", defs=defs).group == "224.0.0.98"
    assert (
        built("skip_check_adv_addr off", "v3_checksum_as_v2 off", "mcast_dst_ip 224.0.0.18", defs=defs).wire == Wire()
    )
    assert built(PEER, defs="vrrp_check_unicast_src").wire == Wire(listed=True)
    assert built(defs="vrrp_check_unicast_src").wire == Wire(), "multicast has no list"
    six = built(defs="vrrp_mcast_group6 ff02::99\nvrrp_mcast_group4 224.0.0.99", vip="fe80::7")
    assert six.group == "ff02::99"
    assert six.identity[2] == "ff02::99"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["mcast_dst_ip 10.0.0.1"], "error: 10.0.0.1 is not a multicast address"),
        (["mcast_dst_ip ff02::99"], "error: ff02::99 is not IPv4, which this instance speaks"),
        (["mcast_dst_ip ff05::99"], "error: ff05::99 is not of link-local scope"),
        (["mcast_src_ip fe80::1"], "error: fe80::1 is not IPv4, which this instance speaks"),
        (["mcast_src_ip 10.0.0.300"], "error: '10.0.0.300' is not an IP address"),
        ([PEER, "mcast_src_ip 10.0.0.6"], "warning: mcast_src_ip has no effect with unicast_peer"),
        (["track_src_ip"], "warning: track_src_ip has no effect without mcast_src_ip"),
        (["unicast_ttl 7"], "warning: unicast_ttl has no effect without unicast_peer"),
        (["unicast_peer {\n10.0.0.9 min_ttl 9 max_ttl 3\n}"], "error: min_ttl is above max_ttl"),
        (
            ["v3_checksum_as_v2", f"auth_hmac {{\nkey 1 {32 * 'a'}\nactive_key 1\n}}"],
            "error: v3_checksum_as_v2 does not go with auth_hmac",
        ),
    ],
)
def test_what_cannot_be_is_said(lines: list[str], fault: str) -> None:
    assert fault in config(*lines)[1]


def test_other_checksums_are_those_of_version_3() -> None:
    found, faults = config("v3_checksum_as_v2", version=2)
    assert faults == ["warning: v3_checksum_as_v2 has no effect but with version 3 over IPv4"]
    assert not found.instances[0].wire.plain_sum
