"""What an instance sends, byte for byte decoded again."""

from __future__ import annotations

import socket

from fastha.link.rtnl import Link
from fastha.model import Auth, VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.vrrp import frames
from fastha.wire import advert

ETH0 = Link(2, "eth0", bytes.fromhex("020000000001"), 1500, True, True, True)
VIPS = (VirtualAddress("10.0.0.100"), VirtualAddress("10.0.0.101", dev="eth1"))


def test_multicast_is_one_ethernet_frame() -> None:
    instance = VrrpInstance("vi", "eth0", 7, priority=120, version=3, advert_int_ns=500 * NS_PER_MS, addresses=VIPS)
    ((frame, offset, to),) = frames.advert_frames(instance, "10.0.0.5", ETH0)
    assert frame[:14].hex(" ") == "01 00 5e 00 00 12 02 00 00 00 00 01 08 00"
    verdict, fields = advert.decode(frame[offset:])
    assert verdict == "ok"
    assert (fields["src"], fields["dst"], fields["ttl"]) == ("10.0.0.5", "224.0.0.18", 255)
    assert (fields["vrid"], fields["priority"], fields["adver_cs"]) == (7, 120, 50)
    assert fields["addresses"] == ("10.0.0.100", "10.0.0.101")
    assert int.from_bytes(to[4:8], "little" if to[0] else "big") == 2, "sockaddr_ll names the interface"
    assert to[12:18].hex() == "01005e000012"


def test_unicast_is_one_packet_per_peer() -> None:
    instance = VrrpInstance(
        "vi", "eth0", 7, addresses=VIPS, unicast_src="10.0.0.5", unicast_peers=("10.0.1.1", "10.0.2.1")
    )
    built = frames.advert_frames(instance, "10.0.0.5", ETH0)
    assert [advert.decode(frame)[1]["dst"] for frame, _, _ in built] == ["10.0.1.1", "10.0.2.1"]
    assert [socket.inet_ntoa(to[4:8]) for _, _, to in built] == ["10.0.1.1", "10.0.2.1"]
    assert {offset for _, offset, _ in built} == {0}


def test_passwords_are_version_2_only() -> None:
    instance = VrrpInstance("vi", "eth0", 7, advert_int_ns=NS_PER_S, addresses=VIPS, auth=Auth("pass", "longer than 8"))
    ((frame, offset, _),) = frames.advert_frames(instance, "10.0.0.5", ETH0)
    fields = advert.decode(frame[offset:])[1]
    assert (fields["auth_type"], fields["auth"]) == (1, b"longer t")
    assert frames.password(VrrpInstance("vi", "eth0", 7, version=3, auth=Auth("pass", "x"))) == b""


def test_arp_goes_where_the_addresses_are() -> None:
    instance = VrrpInstance("vi", "eth0", 7, addresses=VIPS)
    eth1 = Link(3, "eth1", bytes.fromhex("020000000002"), 1500, True, True, True)
    blocks = frames.arp_blocks(instance, {"eth0": ETH0, "eth1": eth1})
    assert [(b.index, socket.inet_ntoa(b.frames[28:32]), b.frames[6:12]) for b in blocks] == [
        (2, "10.0.0.100", ETH0.mac),
        (3, "10.0.0.101", eth1.mac),
    ]
