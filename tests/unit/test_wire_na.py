"""Unsolicited neighbour advertisements: the layout of RFC 4861 section 4.4, many frames in one buffer."""

from __future__ import annotations

import pytest

from fastha.wire import na

MAC = bytes.fromhex("02000000aa01")


def test_layout() -> None:
    frame = na.encode(MAC, ["2001:db8::1"]).hex(" ")
    assert frame[:-96].startswith("33 33 00 00 00 01 02 00 00 00 aa 01 86 dd ")  # Ethernet, to all nodes
    assert frame[42:].startswith(
        "60 00 00 00 00 20 3a ff "  # IPv6: 32 bytes of ICMPv6, hop limit 255
        "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 "  # from the address
        "ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 01 "  # to all nodes
        "88 00 "  # neighbour advertisement; two bytes of checksum follow
    )
    assert frame[-84:] == (
        " 20 00 00 00 "  # override; not solicited, no router
        "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 "  # target
        "02 01 02 00 00 00 aa 01"  # target link-layer address
    )


def test_router_flag() -> None:
    assert na.encode(MAC, ["2001:db8::1"], True)[58] == 0xA0


def test_many_frames_stand_one_after_another() -> None:
    frames = na.encode(MAC, ["2001:db8::1", "2001:db8::2"])
    assert len(frames) == 2 * na.FRAME_SIZE
    assert frames[na.FRAME_SIZE :] == na.encode(MAC, ["2001:db8::2"])
    assert na.encode(MAC, []) == b""


def test_a_buffer_too_small_stays_untouched() -> None:
    room = bytearray(2 * na.FRAME_SIZE - 1)
    with pytest.raises(ValueError, match="172 bytes, not 171"):
        na.encode_into(room, MAC, ["2001:db8::1", "2001:db8::2"])
    assert room == bytes(len(room))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        na.encode(b"\x01", ["fe80::1"])
    with pytest.raises(ValueError, match="not an IPv6 address"):
        na.encode(MAC, ["10.0.0.1"])
