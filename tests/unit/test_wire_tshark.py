"""What an independent decoder says about our bytes: tshark finds good checksums and nothing to warn of."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from fastha.wire import advert, arp, ether, na

if shutil.which("tshark") is None:
    if os.environ.get("CI"):
        raise RuntimeError("CI must have tshark")
    pytest.skip("needs tshark", allow_module_level=True)

pytestmark = pytest.mark.interop

MAC = bytes.fromhex("020000000009")
GROUP = "224.0.0.18"
GROUP_MAC = ether.multicast_mac(GROUP)
FIELDS = [
    "ip.checksum.status",
    "vrrp.checksum.status",
    "vrrp.version",
    "vrrp.virt_rtr_id",
    "vrrp.prio",
    "vrrp.addr_count",
    "vrrp.ip_addr",
    "_ws.expert.message",
    "_ws.malformed",
]
GOOD, BAD = "1", "0"


def capture(path: Path, frames: list[bytes]) -> Path:
    """A pcap file (version 2.4, microseconds, Ethernet) of the frames, padded to 60 bytes as a driver does."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i, frame in enumerate(frames):
            padded = frame.ljust(60, b"\0")
            out.write(struct.pack("<IIII", 1_700_000_000 + i, 0, len(padded), len(padded)) + padded)
    return path


def tshark(path: Path, *options: str) -> str:
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "eth.check_fcs:FALSE"]
    command = ["tshark", "-n", "-r", str(path), *checks, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def rows(path: Path, fields: list[str]) -> list[dict[str, str]]:
    text = tshark(path, "-T", "fields", "-E", "separator=|", *(a for f in fields for a in ("-e", f)))
    return [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]


def framed(packet: bytes) -> bytes:
    return ether.frame(GROUP_MAC, MAC, packet)


def test_adverts(tmp_path: Path) -> None:
    packets = [
        advert.encode("10.0.0.9", GROUP, 2, 1, 150, 100, ["10.0.0.1"]),
        advert.encode("10.0.0.9", GROUP, 2, 2, 150, 100, ["10.0.0.2"], 1, b"secret"),
        advert.encode("10.0.0.9", GROUP, 3, 4, 200, 50, ["10.0.0.4", "10.0.0.5"]),
        advert.encode("10.0.0.9", GROUP, 3, 255, 0, 4095, [f"10.1.0.{i}" for i in range(255)]),
        advert.encode("10.0.0.9", "10.0.0.8", 3, 5, 100, 1, ["10.0.0.6"], ttl=255),
    ]
    lowered = bytearray(packets[2])
    advert.set_priority(lowered, 0)
    packets.append(bytes(lowered))
    decoded = rows(capture(tmp_path / "adverts.pcap", [framed(p) for p in packets]), FIELDS)
    assert [(r["vrrp.version"], r["vrrp.virt_rtr_id"], r["vrrp.prio"], r["vrrp.addr_count"]) for r in decoded] == [
        ("2", "1", "150", "1"),
        ("2", "2", "150", "1"),
        ("3", "4", "200", "2"),
        ("3", "255", "0", "255"),
        ("3", "5", "100", "1"),
        ("3", "4", "0", "2"),
    ]
    assert decoded[2]["vrrp.ip_addr"] == "10.0.0.4,10.0.0.5"
    for row in decoded:
        assert (row["ip.checksum.status"], row["vrrp.checksum.status"]) == (GOOD, GOOD), row
        assert (row["_ws.malformed"], row["_ws.expert.message"]) == ("", ""), row


def test_a_broken_checksum_is_noticed(tmp_path: Path) -> None:
    """The test above can fail: one wrong bit in either checksum, and tshark says so."""
    packet = advert.encode("10.0.0.9", GROUP, 3, 4, 200, 50, ["10.0.0.4"])
    vrrp, ip = bytearray(packet), bytearray(packet)
    vrrp[27] ^= 1
    ip[11] ^= 1
    decoded = rows(capture(tmp_path / "broken.pcap", [framed(bytes(vrrp)), framed(bytes(ip))]), FIELDS)
    assert (decoded[0]["ip.checksum.status"], decoded[0]["vrrp.checksum.status"]) == (GOOD, BAD)
    assert (decoded[1]["ip.checksum.status"], decoded[1]["vrrp.checksum.status"]) == (BAD, GOOD)
    assert "checksum" in decoded[0]["_ws.expert.message"].lower()


def test_gratuitous_arp(tmp_path: Path) -> None:
    frames = arp.encode(MAC, ["10.0.0.1", "10.0.0.2"])
    path = capture(tmp_path / "arp.pcap", [frames[: arp.FRAME_SIZE], frames[arp.FRAME_SIZE :]])
    fields = ["eth.dst", "arp.opcode", "arp.isgratuitous", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"]
    everybody, mac = "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:09"
    assert [list(row.values()) for row in rows(path, [*fields, "_ws.expert.message", "_ws.malformed"])] == [
        [everybody, "1", "1", mac, "10.0.0.1", "10.0.0.1", "", ""],
        [everybody, "1", "1", mac, "10.0.0.2", "10.0.0.2", "", ""],
    ]


def test_adverts_over_ipv6(tmp_path: Path) -> None:
    mac = ether.multicast_mac("ff02::12")
    packets = [
        advert.encode("fe80::9", "ff02::12", 3, 6, 150, 100, ["fe80::1", "2001:db8::1"]),
        advert.encode("fe80::9", "ff02::12", 3, 255, 0, 4095, [f"fe80::1:{i:x}" for i in range(90)]),
        advert.encode("2001:db8::9", "2001:db8::8", 3, 6, 100, 1, ["fe80::1"]),
    ]
    lowered = bytearray(packets[0])
    advert.set_priority(lowered, 0)
    frames = [ether.frame(mac, MAC, p, 0x86DD) for p in (*packets, bytes(lowered))]
    fields = ["vrrp.checksum.status", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count", "ipv6.hlim", "ipv6.tclass"]
    more = ["_ws.expert.message", "_ws.malformed"]
    decoded = rows(capture(tmp_path / "adverts6.pcap", frames), [*fields, "vrrp.ipv6_addr", *more])
    assert [(r["vrrp.virt_rtr_id"], r["vrrp.prio"], r["vrrp.addr_count"]) for r in decoded] == [
        ("6", "150", "2"),
        ("255", "0", "90"),
        ("6", "100", "1"),
        ("6", "0", "2"),
    ]
    assert decoded[0]["vrrp.ipv6_addr"] == "fe80::1,2001:db8::1"
    for row in decoded:
        assert row["vrrp.checksum.status"] == GOOD, row
        assert (row["ipv6.hlim"], int(row["ipv6.tclass"], 16)) == ("255", 0xC0), row
        assert (row["_ws.malformed"], row["_ws.expert.message"]) == ("", ""), row


def test_neighbour_advertisements(tmp_path: Path) -> None:
    frames = na.encode(MAC, ["2001:db8::1"]) + na.encode(MAC, ["fe80::1"], router=True)
    path = capture(tmp_path / "na.pcap", [frames[: na.FRAME_SIZE], frames[na.FRAME_SIZE :]])
    fields = [
        "eth.dst", "ipv6.src", "ipv6.dst", "ipv6.hlim", "icmpv6.type", "icmpv6.checksum.status",
        "icmpv6.nd.na.flag.r", "icmpv6.nd.na.flag.s", "icmpv6.nd.na.flag.o", "icmpv6.nd.na.target_address",
        "icmpv6.opt.linkaddr", "_ws.expert.message", "_ws.malformed",
    ]  # fmt: skip
    everybody, mac = "33:33:00:00:00:01", "02:00:00:00:00:09"
    assert [list(row.values()) for row in rows(path, fields)] == [
        [everybody, "2001:db8::1", "ff02::1", "255", "136", GOOD, "0", "0", "1", "2001:db8::1", mac, "", ""],
        [everybody, "fe80::1", "ff02::1", "255", "136", GOOD, "1", "0", "1", "fe80::1", mac, "", ""],
    ]
