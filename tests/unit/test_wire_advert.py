"""Adverts: vectors captured from keepalived, each verdict, and no byte read past the end."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

import pytest

from fastha.wire import advert

# (arguments of encode, VRRP bytes as keepalived sends them)
GOLDEN = {
    "v2": (
        ("10.0.0.9", "224.0.0.18", 2, 1, 150, 100, ["10.0.0.1"]),
        "21 01 96 01 00 01 3e fb 0a 00 00 01 00 00 00 00 00 00 00 00",
    ),
    "v2-pass": (
        ("10.0.0.9", "224.0.0.18", 2, 2, 150, 100, ["10.0.0.2"], 1, b"secret"),
        "21 02 96 01 01 01 01 ad 0a 00 00 02 73 65 63 72 65 74 00 00",
    ),
    "v3": (
        ("10.0.0.9", "224.0.0.18", 3, 4, 200, 50, ["10.0.0.4", "10.0.0.5"]),
        "31 04 c8 02 00 32 08 22 0a 00 00 04 0a 00 00 05",
    ),
}
GOLDEN6 = "31 06 96 02 00 64"  # keepalived's version 3 over IPv6: VRID 6, priority 150, two addresses, 1 s
V2 = advert.encode(*GOLDEN["v2"][0])
V3 = advert.encode(*GOLDEN["v3"][0])


def changed(packet: bytes, **bytes_at: int) -> bytes:
    """The packet with single bytes replaced: changed(p, at8=64)."""
    out = bytearray(packet)
    for where, value in bytes_at.items():
        out[int(where.removeprefix("at"))] = value
    return bytes(out)


@pytest.mark.parametrize("name", GOLDEN)
def test_encodes_what_keepalived_sends(name: str) -> None:
    arguments, vrrp = GOLDEN[name]
    packet = advert.encode(*arguments)  # type: ignore[arg-type]
    assert packet[20:].hex(" ") == vrrp
    # total length, TOS 0xc0, no fragment, TTL 255, protocol 112, addresses
    assert packet[:4].hex() == f"45c0{len(packet):04x}"
    assert packet[6:10].hex() == "0000ff70"
    assert packet[12:20].hex() == "0a000009e0000012"


@pytest.mark.parametrize("name", GOLDEN)
def test_decodes_what_keepalived_sends(name: str) -> None:
    src, dst, version, vrid, priority, adver_cs, addresses, *rest = GOLDEN[name][0]
    verdict, fields = advert.decode(advert.encode(*GOLDEN[name][0]))  # type: ignore[arg-type]
    assert verdict == "ok"
    auth_type, auth = rest or (0, b"")
    assert fields == {
        "src": src,
        "dst": dst,
        "ttl": 255,
        "version": version,
        "vrid": vrid,
        "priority": priority,
        "adver_cs": adver_cs,
        "addresses": tuple(addresses),  # type: ignore[arg-type]
        "auth_type": auth_type,
        "auth": auth.ljust(8, b"\0") if version == 2 else b"",  # type: ignore[attr-defined]
    }


V6 = advert.encode("fe80::9", "ff02::12", 3, 6, 150, 100, ["fe80::1", "2001:db8::1"])


def test_ipv6() -> None:
    # version and traffic class 0xc0, payload length, protocol, hop limit, addresses
    assert V6[:8].hex(" ") == "6c 00 00 00 00 28 70 ff"
    assert V6[8:40].hex() == "fe80" + "0" * 27 + "9" + "ff02" + "0" * 26 + "12"
    assert V6[40:46].hex(" ") == GOLDEN6
    assert V6[48:].hex() == "fe80" + "0" * 27 + "1" + "20010db8" + "0" * 23 + "1"
    verdict, fields = advert.decode(V6)
    assert (verdict, fields["src"], fields["dst"], fields["ttl"]) == ("ok", "fe80::9", "ff02::12", 255)
    assert fields["addresses"] == ("fe80::1", "2001:db8::1")
    assert advert.decode(changed(V6, at47=V6[47] ^ 1))[0] == "checksum"
    assert advert.decode(changed(V6, at40=0x21))[0] == "version", "version 2 is for IPv4"
    assert advert.decode(changed(V6, at7=64))[0] == "ttl"
    assert advert.decode(changed(V6, at7=64), check_ttl=False)[0] == "ok"
    with pytest.raises(ValueError, match="IPv6"):
        advert.encode("fe80::9", "ff02::12", 3, 6, 150, 100, ["10.0.0.1"])
    with pytest.raises(ValueError, match="version 2 over IPv6"):
        advert.encode("fe80::9", "ff02::12", 2, 6, 150, 100, ["fe80::1"])


@pytest.mark.parametrize(
    ("verdict", "packet"),
    [
        ("short", b""),
        ("short", V2[:19]),
        ("short", V2[:39]),
        ("short", changed(V2, at3=27)),  # total length leaves no VRRP header
        ("short", changed(V2, at0=0x44)),  # header length under 20
        ("not_vrrp", changed(V2, at0=0x65)),
        ("not_vrrp", changed(V2, at9=17)),
        ("not_vrrp", changed(V2, at6=0x20)),  # more fragments
        ("not_vrrp", changed(V2, at7=1)),  # a later fragment
        ("ttl", changed(V2, at8=254)),
        ("version", changed(V2, at20=0x11)),
        ("version", changed(V2, at20=0x41)),
        ("type", changed(V2, at20=0x22)),
        ("length", changed(V2, at23=2)),
        ("length", changed(V2, at23=0)),
        ("length", changed(V3, at23=3)),
        ("length", changed(V3, at23=0)),
        ("checksum", changed(V2, at22=151)),
        ("checksum", changed(V3, at22=201)),
        ("checksum", changed(V3, at15=8)),  # version 3 covers the addresses of the IP header
        ("ok", changed(V2, at15=8)),  # version 2 does not
        ("ok", changed(V2, at6=0x40)),  # don't fragment
        ("ok", V2 + bytes(6)),  # Ethernet padding
    ],
)
def test_verdicts(verdict: str, packet: bytes) -> None:
    assert advert.decode(packet)[0] == verdict


def test_ttl_can_be_waived() -> None:
    assert advert.decode(changed(V2, at8=1), check_ttl=False)[0] == "ok"


def test_reserved_bits_of_version_3_are_ignored() -> None:
    # RFC 9568 section 5.2.6: zero on transmission, ignored on reception; 0xf000 more in the word, so less in the sum
    check = int.from_bytes(V3[26:28], "big") - 0xF000
    check = (check - 1) % 0x10000 if check < 0 else check
    packet = changed(V3, at24=0xF0, at26=check >> 8, at27=check & 0xFF)
    verdict, fields = advert.decode(packet)
    assert (verdict, fields["adver_cs"]) == ("ok", 50)


def test_names_match_the_verdicts() -> None:
    assert advert.VERDICTS == ("ok", "short", "not_vrrp", "ttl", "version", "type", "length", "checksum")


def test_version_2_interval_is_whole_seconds_rounded_up() -> None:
    packet = advert.encode("10.0.0.9", "224.0.0.18", 2, 1, 100, 150, ["10.0.0.1"])
    assert advert.decode(packet)[1]["adver_cs"] == 200


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"vrid": 0},
        {"vrid": 256},
        {"priority": 256},
        {"adver_cs": 0},
        {"adver_cs": 4096},
        {"addresses": ["10.0.0.1"] * 256},
        {"addresses": ["fe80::1"]},
        {"auth": b"secret"},
        {"version": 2, "auth": b"nine byte"},
        {"version": 2, "adver_cs": 25501},
    ],
)
def test_values_without_a_place_in_a_packet_are_refused(change: dict[str, object]) -> None:
    values: dict[str, object] = {
        "src": "10.0.0.9",
        "dst": "224.0.0.18",
        "version": 3,
        "vrid": 1,
        "priority": 100,
        "adver_cs": 100,
        "addresses": ["10.0.0.1"],
    }
    advert.encode(**values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\w"):
        advert.encode(**(values | change))  # type: ignore[arg-type]


def test_set_priority() -> None:
    packet = bytearray(V3)
    advert.set_priority(packet, 0)
    assert packet == advert.encode("10.0.0.9", "224.0.0.18", 3, 4, 0, 50, ["10.0.0.4", "10.0.0.5"])
    with pytest.raises(ValueError, match="advert"):
        advert.set_priority(bytearray(40), 0)


class Cliff:
    """Memory whose last byte is followed by a page that nobody may read."""

    def __init__(self) -> None:
        self.page = mmap.PAGESIZE
        self.map = mmap.mmap(-1, 2 * self.page)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(self.start + self.page), ctypes.c_size_t(self.page), 0) == 0

    def holds(self) -> bool:
        """The kernel itself cannot read there (EFAULT): the test can fail."""
        beyond = (ctypes.c_ubyte * 1).from_address(self.start + self.page)
        read_end, write_end = os.pipe()
        try:
            os.write(write_end, memoryview(beyond).cast("B"))
        except OSError as error:
            return error.errno == errno.EFAULT
        finally:
            os.close(read_end)
            os.close(write_end)
        return False

    def put(self, data: bytes) -> memoryview:
        """`data` as the last bytes before the cliff."""
        array = (ctypes.c_ubyte * len(data)).from_address(self.start + self.page - len(data))
        array[:] = data
        return memoryview(array).cast("B")


def test_no_truncation_is_read_past_its_end() -> None:
    cliff = Cliff()
    assert cliff.holds()
    for whole in (V2, V3, b"\x4f" + V2[1:], changed(V2, at23=255), changed(V3, at3=255), changed(V3, at23=255)):
        for size in range(len(whole) + 1):
            part = whole[:size]
            for packet in (part, part[:2] + size.to_bytes(2, "big") + part[4:] if size >= 4 else part):
                verdict = advert.decode(cliff.put(packet))[0]
                assert verdict == advert.decode(packet)[0]
                assert verdict != "ok" or whole[20:] in (V2[20:], V3[20:])
