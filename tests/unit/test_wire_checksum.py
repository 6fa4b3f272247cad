"""Known answers of the Internet checksum."""

from __future__ import annotations

import pytest

from fastha.wire.checksum import checksum


def test_example_of_the_rfc() -> None:
    # RFC 1071 section 3: the sum of these words is ddf2
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_a_packet_with_its_checksum_sums_to_zero() -> None:
    # the IP header of a VRRP advert
    header = "45c0002800000000ff700000 0a000009 e0000012"
    zeroed = bytes.fromhex(header)
    filled = zeroed[:10] + checksum(zeroed).to_bytes(2, "big") + zeroed[12:]
    assert checksum(filled) == 0


def test_nothing_sums_to_all_ones() -> None:
    assert checksum() == checksum(b"") == 0xFFFF


def test_only_the_last_part_may_be_odd() -> None:
    assert checksum(b"\x01\x02", b"\x03") == checksum(b"\x01\x02\x03")
    with pytest.raises(ValueError, match="odd"):
        checksum(b"\x01", b"\x02")
