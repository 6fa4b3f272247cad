"""Ethernet headers and group addresses."""

from __future__ import annotations

import pytest

from fastha.wire import ether


def test_group_address_of_vrrp() -> None:
    assert ether.multicast_mac("224.0.0.18") == bytes.fromhex("01005e000012")


def test_only_23_bits_of_the_group_are_carried() -> None:
    assert ether.multicast_mac("239.255.1.2") == bytes.fromhex("01005e7f0102")
    with pytest.raises(ValueError, match="multicast"):
        ether.multicast_mac("10.0.0.1")


def test_frame() -> None:
    dst, src = bytes.fromhex("01005e000012"), bytes.fromhex("020000000001")
    assert ether.frame(dst, src, b"packet") == dst + src + b"\x08\x00packet"
    assert ether.frame(dst, src, b"", 0x0806) == dst + src + b"\x08\x06"
    with pytest.raises(ValueError, match="6 bytes"):
        ether.frame(b"short", src, b"")
