"""Words that change the wire beside Debian's keepalived with the same words; and those that concern the host."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import need
from fastha.lab.network import Network
from fastha.model import VirtualAddress
from fastha.model.units import NS_PER_S
from fastha.model.wire import PeerTtl, Wire
from netns.vrrp_director import VIP, Director, Keepalived, directors, instance, keepalived_conf

pytestmark = pytest.mark.root

PEERS = "unicast_src_ip 10.9.0.2\n unicast_peer {\n 10.9.0.1 min_ttl 7 max_ttl 7\n }"


@dataclass(frozen=True)
class Variant:
    """The same words for both; `defs`, `more` are keepalived's, `wire` is ours."""

    name: str
    wire: Wire
    more: str = ""
    defs: str = ""
    source: str = "10.9.0.2"
    unicast: bool = False


VARIANTS = [
    Variant("group4", Wire(group="224.0.0.99"), defs="vrrp_mcast_group4 224.0.0.99"),
    Variant("mcast_dst_ip", Wire(group="224.0.0.77", trusting=True), "mcast_dst_ip 224.0.0.77\n skip_check_adv_addr"),
    Variant("mcast_src_ip", Wire(source="10.9.0.11"), "mcast_src_ip 10.9.0.12\n track_src_ip", source="10.9.0.12"),
    Variant(
        "ttl",
        Wire(ttl=7, listed=True, bounds=(PeerTtl("10.9.0.2", 9, 9),)),
        f"{PEERS}\n unicast_ttl 9\n check_unicast_src",
        unicast=True,
    ),
    Variant("old_unicast_checksum", Wire(old_sum=True), f"{PEERS}\n old_unicast_checksum", unicast=True),
]


@pytest.mark.interop
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_keepalived_and_we_hear_each_other(network: Network, variant: Variant) -> None:
    need.tool("keepalived")
    a, b = directors(network)
    a.run(["ip", "addr", "add", "10.9.0.11/24", "dev", "eth0"])
    b.run(["ip", "addr", "add", "10.9.0.12/24", "dev", "eth0"])
    theirs = keepalived_conf(150, advert_int="0.5", more=variant.more).replace(
        "vrrp_garp_master_delay 1", f"vrrp_garp_master_delay 1\n  {variant.defs}"
    )
    if variant.wire.old_sum:  # its own words know of no TTL here
        theirs = theirs.replace(" min_ttl 7 max_ttl 7", "")
    peers = {"unicast_src": "10.9.0.1", "unicast_peers": ("10.9.0.2",)} if variant.unicast else {}
    ours = {"wire": variant.wire, "advert_int_ns": NS_PER_S // 2, **peers}
    keepalived = Keepalived(b, network.folder, theirs)
    try:
        need.wait_until(keepalived.has, 20, f"keepalived is master: {keepalived.log.read_text()}")
        with Director.start(a, instance(priority=100, **ours)) as director:
            director.until(lambda: director.router().get("master") == variant.source, "we hear keepalived", 15)
            assert director.router()["state"] == "backup"
            director.configure(instance(priority=200, **ours))
            director.until_role("master", deadline_s=20)
            director.until(lambda: not keepalived.has(), "keepalived hears us and yields", 20)
            assert director.router().get("discarded", {}) == {}
    except AssertionError as error:
        raise AssertionError(f"{error}\n{keepalived.log.read_text()}") from None
    finally:
        keepalived.stop()


def test_an_interface_that_is_not_tracked_may_go_down(network: Network) -> None:
    a, _ = directors(network)
    other = instance(
        name="other", vrid=52, addresses=(VirtualAddress("10.9.0.101"),), wire=Wire(track_primary=False)
    )  # fmt: skip
    with Director.start(a, instance(), other) as director:
        director.until_role("master", deadline_s=15)
        director.until_role("master", "other", 15)
        a.run(["ip", "link", "set", "eth0", "down"])
        director.until_role("fault", deadline_s=15)
        assert director.router("other")["state"] == "master"
        a.run(["ip", "link", "set", "eth0", "up"])
        director.until_role("master", deadline_s=15)
        assert director.router("other")["state"] == "master"


def test_a_source_address_that_goes_is_a_fault(network: Network) -> None:
    a, _ = directors(network)
    a.run(["ip", "addr", "add", "10.9.0.11/24", "dev", "eth0"])
    wire = Wire(source="10.9.0.11", track_source=True)
    other = instance(name="other", vrid=52, addresses=(VirtualAddress("10.9.0.101"),), wire=Wire(source="10.9.0.11"))
    with Director.start(a, instance(wire=wire), other) as director:
        director.until_role("master", deadline_s=15)
        director.until_role("master", "other", 15)
        a.run(["ip", "addr", "del", "10.9.0.11/24", "dev", "eth0"])
        director.until_role("fault", deadline_s=15)
        assert director.router()["faults"] == ["interface eth0 has lost 10.9.0.11"]
        assert director.router("other")["state"] == "master", "without track_src_ip it speaks on"
        a.run(["ip", "addr", "add", "10.9.0.11/24", "dev", "eth0"])
        director.until_role("master", deadline_s=15)


def test_without_a_peer_it_is_in_fault_if_that_is_said(network: Network) -> None:
    a, _ = directors(network)
    with Director.start(a, instance(wire=Wire(lacks_peer=True))) as director:
        director.until_role("fault", deadline_s=15)
        assert director.router()["faults"] == ["no unicast peer"]
        director.configure(instance(unicast_src="10.9.0.1", unicast_peers=("10.9.0.2",)))
        director.until_role("master", deadline_s=15)
        assert VIP in a.run(["ip", "addr"]).stdout
