"""What instances ask of the sockets that hear them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastha.link.rtnl import Link
from fastha.model import AdvertBuffers, Device, ReceiveBuffer, VirtualAddress, VrrpInstance
from fastha.vrrp.advert_room import LEAST, AdvertRoom
from fastha.vrrp.sockets import BUFFER

ETH0 = Link(2, "eth0", bytes(6), 1400, True, True, True)


def instance(vrid: int, **values: Any) -> VrrpInstance:
    return VrrpInstance(f"i{vrid}", "eth0", vrid, **values)


def test_each_policy_adds_up_over_the_instances_of_a_family() -> None:
    many = [instance(1), instance(2), instance(3, family=6, version=3)]
    for policy, wanted in (
        (AdvertBuffers("mtu"), 2 * 3 * 1400),
        (AdvertBuffers("advert", 0, 5), 2 * 5 * LEAST),
        (AdvertBuffers("size", 4000, 9), 2 * 4000),
    ):
        room = AdvertRoom(policy, many)
        assert room.of(ETH0, 4) == ReceiveBuffer(wanted)
        assert room.of(ETH0, 6) == ReceiveBuffer(wanted // 2)
        assert room.of(replace(ETH0, name="eth1"), 4) is None
    large = instance(1, version=3, addresses=tuple(VirtualAddress(f"10.1.{n}.1") for n in range(255)))
    long = instance(2, version=3, family=6, addresses=tuple(VirtualAddress(f"2001:db8::{n}") for n in range(255)))
    assert AdvertRoom(AdvertBuffers("advert", 0, 1), [large]).of(ETH0, 4) == ReceiveBuffer(LEAST)
    assert AdvertRoom(AdvertBuffers("advert", 0, 1), [long]).of(ETH0, 6) == ReceiveBuffer(40 + 8 + 16 * 255)


def test_an_instance_that_says_nothing_has_at_least_ours() -> None:
    few, much = instance(1, kernel_rx_buf_size=5000), instance(2, kernel_rx_buf_size=BUFFER)
    assert AdvertRoom(AdvertBuffers(), [few]).of(ETH0, 4) == ReceiveBuffer(5000)
    assert AdvertRoom(AdvertBuffers(), [few, instance(3)]).of(ETH0, 4) is None
    assert AdvertRoom(AdvertBuffers(), [few, much, instance(3)]).of(ETH0, 4) == ReceiveBuffer(5000 + BUFFER)
    assert AdvertRoom(AdvertBuffers("size", 70), [few, instance(3)]).of(ETH0, 4) == ReceiveBuffer(5070)


def test_a_vmac_hears_too() -> None:
    vmac = Device(name="vm0", base="eth0", mac="00:00:5e:00:01:01")
    room = AdvertRoom(AdvertBuffers("size", 4000), [instance(1, vmac=vmac)])
    assert room.of(ETH0, 4) == room.of(replace(ETH0, name="vm0"), 4) == ReceiveBuffer(4000)
