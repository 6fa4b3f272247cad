"""Gratuitous ARP: the layout keepalived sends, many frames in one buffer."""

from __future__ import annotations

import pytest

from fastha.wire import arp

MAC = bytes.fromhex("02000000aa01")


def test_layout() -> None:
    assert arp.encode(MAC, ["10.0.0.1"]).hex(" ") == (
        "ff ff ff ff ff ff 02 00 00 00 aa 01 08 06 "  # Ethernet, to everybody
        "00 01 08 00 06 04 00 01 "  # Ethernet, IPv4, request
        "02 00 00 00 aa 01 0a 00 00 01 "  # sender: us, the address
        "ff ff ff ff ff ff 0a 00 00 01"  # target: everybody, the same address
    )


def test_many_frames_stand_one_after_another() -> None:
    frames = arp.encode(MAC, ["10.0.0.1", "10.0.0.2"])
    assert len(frames) == 2 * arp.FRAME_SIZE
    assert frames[arp.FRAME_SIZE :] == arp.encode(MAC, ["10.0.0.2"])
    assert arp.encode(MAC, []) == b""


def test_a_buffer_too_small_stays_untouched() -> None:
    room = bytearray(2 * arp.FRAME_SIZE - 1)
    with pytest.raises(ValueError, match="84 bytes, not 83"):
        arp.encode_into(room, MAC, ["10.0.0.1", "10.0.0.2"])
    assert room == bytes(len(room))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        arp.encode(b"\x01", ["10.0.0.1"])
    with pytest.raises(ValueError, match="not an IPv4 address: 'fe80::1'"):
        arp.encode(MAC, ["fe80::1"])
