"""Authentication headers and trailers: keepalived's own bytes, and a slow twin over random adverts."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from fastha.wire import advert, ah, trailer
from oracles import signed
from walk.seeds import walk
from walk.test_walk_advert import arguments

GOLDEN = [
    line.split()
    for line in (Path(__file__).parent.parent / "golden/vrrp_signed.hex").read_text().splitlines()
    if line[0] != "#"
]
AH = [(bytes.fromhex(key), bytes.fromhex(data)) for kind, key, data in GOLDEN if kind == "ah"]
[(KEY, TRAILED)] = [(bytes.fromhex(key), bytes.fromhex(data)) for kind, key, data in GOLDEN if kind == "hmac"]
SRC = bytes([10, 0, 0, 9])


@pytest.mark.parametrize("number", range(4))
def test_keepalived_s_header_is_right_and_ours_is_the_same(number: int) -> None:
    key, packet = AH[number]
    verdict, sequence, vrrp, right = ah.decode(packet, key)
    assert (verdict, sequence, right) == ("ok", number % 3 + 1, True)
    assert vrrp == packet[44:]
    dst = str(ipaddress.ip_address(packet[16:20]))
    plain = advert.encode("10.9.0.1", dst, 2, 51, 150, 100, ["10.9.0.100"], 2)
    assert ah.sign(ah.wrap(plain), key, sequence) == packet


def test_every_changed_byte_but_the_mutable_ones_is_found() -> None:
    key, packet = AH[0]
    unprotected = {1, 6, 10, 11}  # TOS, DF, header checksum
    for at in range(len(packet)):
        data = bytearray(packet)
        data[at] ^= 0x40 if at == 6 else 0x01
        verdict, _, _, right = ah.decode(bytes(data), key)
        assert (verdict == "ok" and right) is (at in unprotected), at
    assert not ah.decode(packet, key + b"x")[3]


@pytest.mark.parametrize("size", range(64))
def test_a_short_header_is_no_header(size: int) -> None:
    assert ah.decode(AH[0][1][:size], AH[0][0])[0] == "short"


def test_keepalived_s_trailer_is_right_and_ours_is_the_same() -> None:
    known, key_id, sequence, right = trailer.decode(TRAILED, SRC, KEY)
    assert (known, key_id, sequence, right) == (True, 1, 0x6B02FC60A9D70000, True)
    assert trailer.sign(TRAILED[:-28], SRC, KEY, 1, sequence) == TRAILED


def test_every_changed_byte_but_the_checksum_is_found() -> None:
    for at in range(len(TRAILED)):
        data = bytearray(TRAILED)
        data[at] ^= 1
        if at not in (6, 7):  # of VRRP
            assert not trailer.decode(bytes(data), SRC, KEY)[3], at
    assert not trailer.decode(TRAILED, bytes([10, 0, 0, 8]), KEY)[3]


def test_both_agree_with_the_slow_twin() -> None:
    r = walk("signed")
    for _ in range(600):
        values = arguments(r, r.choice((4, 6)))
        packet, key = advert.encode(**values), r.randbytes(r.randrange(1, 65))
        src = ipaddress.ip_address(values["src"]).packed
        if len(src) == 4:
            sequence = r.choice((1, 0x10000, r.getrandbits(32)))
            assert ah.sign(ah.wrap(packet), key, sequence) == signed.with_ah(packet, key, sequence)
        vrrp, number, sequence = packet[20 if len(src) == 4 else 40 :], r.randrange(1, 256), r.getrandbits(64)
        made = trailer.sign(vrrp, src, key, number, sequence)
        assert made == vrrp + signed.trailer(vrrp, src, key, number, sequence)
        assert trailer.decode(made, src, key) == (True, number, sequence, True)
        assert len(trailer.wrap(packet)) == len(packet) + 28


def test_noise_is_never_an_error() -> None:
    r = walk("noise")
    seen = set()
    for _ in range(3000):
        packet = bytearray(r.choice(AH)[1] if r.random() < 0.7 else r.randbytes(r.randrange(100)))
        for _ in range(r.randrange(3)):
            if packet:
                packet[r.randrange(len(packet))] = r.randrange(256)
        seen.add(ah.decode(bytes(packet), b"secret")[0])
    assert seen == set(ah.VERDICTS)
