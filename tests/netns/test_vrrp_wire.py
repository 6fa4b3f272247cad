"""What a child puts on the wire, read by tshark; and what the wire may do to a child."""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from pathlib import Path

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Auth, Garp, VirtualAddress
from fastha.model.units import NS_PER_S
from fastha.wire import advert
from netns.vrrp_director import VIP, Director, directors, instance

pytestmark = pytest.mark.root

GARP = Garp(master_delay_ns=NS_PER_S // 5, master_repeat=2)


FIELDS = [
    "frame.time_epoch", "_ws.expert.message", "ip.src", "ip.dst", "ip.ttl", "ip.checksum.status",
    "vrrp.checksum.status", "vrrp.prio", "vrrp.ip_addr", "arp.isgratuitous", "arp.src.proto_ipv4",
]  # fmt: skip


class Capture:
    """tcpdump on eth0 of a namespace, into a file, from the first packet on."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.path = folder / "capture"
        self.process = namespace.popen(
            ["tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-Z", "root", "-w", self.path, "ip proto 112 or arp"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        while "listening on" not in self.process.stderr.readline():
            assert self.process.poll() is None

    def seen(self) -> int:
        """Bytes in the file so far."""
        return self.path.stat().st_size

    def packets(self) -> list[dict[str, str]]:
        """What tshark reads: FIELDS of every packet."""
        named = [word for field in FIELDS for word in ("-e", field)]
        text = subprocess.run(
            ["tshark", "-n", "-r", self.path, "-o", "ip.check_checksum:TRUE", "-T", "fields", *named],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in text.splitlines()]

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=5)


@pytest.mark.parametrize("kind", ["v3", "v2", "v2 PASS", "unicast"])
def test_tshark_reads_us_without_a_warning(network: Network, kind: str) -> None:
    need.tool("tcpdump", "tshark")
    a, b = directors(network)
    v2 = {"version": 2, "advert_int_ns": NS_PER_S, "down_timer_adverts": 1}
    values: dict[str, object] = dict(v2) if kind.startswith("v2") else {}
    if kind == "v2 PASS":
        values["auth"] = Auth("pass", "secret")
    if kind == "unicast":
        values.update(unicast_src="10.9.0.1", unicast_peers=("10.9.0.2",))
    vips = [VIP, "10.9.0.101", "10.9.0.102"]
    capture = Capture(b, network.folder)
    ours = instance(priority=200, garp=GARP, addresses=tuple(map(VirtualAddress, vips)), **values)
    with Director.start(a, ours) as director:
        director.until_role("master", deadline_s=8)
        director.until(lambda: director.router()["sent"] >= 3, "it speaks")
        assert director.stop() == 0
    size = -1
    while size != capture.seen():  # the goodbye is on its way into the file
        size = capture.seen()
        time.sleep(0.1)
    capture.stop()

    packets = capture.packets()
    assert [p for p in packets if p["_ws.expert.message"]] == []
    adverts = [p for p in packets if p["vrrp.prio"]]
    assert len(adverts) >= 4
    to = "10.9.0.2" if kind == "unicast" else "224.0.0.18"
    for p in adverts:
        assert (p["ip.src"], p["ip.dst"], p["ip.ttl"]) == ("10.9.0.1", to, "255")
        assert (p["ip.checksum.status"], p["vrrp.checksum.status"]) == ("1", "1"), "good"
        assert p["vrrp.ip_addr"] == ",".join(vips)
    assert [p["vrrp.prio"] for p in adverts] == ["200"] * (len(adverts) - 1) + ["0"]

    garps = [p for p in packets if p["arp.isgratuitous"] in ("1", "True")]
    announced = [p["arp.src.proto_ipv4"] for p in garps]
    assert announced[:6] == vips * 2, "one copy of every address before any repeat"
    assert announced[6:12] == vips * 2, "the second block after the delay"
    assert packets.index(adverts[0]) < packets.index(garps[0]), "the advert comes first"


def test_garp_interval_paces(network: Network) -> None:
    need.tool("tcpdump", "tshark")
    a, b = directors(network)
    capture = Capture(b, network.folder)
    vips = tuple(VirtualAddress(f"10.9.0.{100 + i}") for i in range(4))
    paced = Garp(master_delay_ns=0, master_repeat=2, interval_ns=NS_PER_S // 20, master_refresh_ns=NS_PER_S)
    with Director.start(a, instance(garp=paced, addresses=vips)) as director:
        director.until_role("master")
        frame = 16 + 42
        need.wait_until(lambda: capture.seen() > 24 + 12 * frame, 8, "some frames")
        director.until(lambda: time.time() - director.router()["since"] > 2.5, "two refreshes are due")
    capture.stop()
    times = [float(p["frame.time_epoch"]) for p in capture.packets() if p["arp.isgratuitous"] in ("1", "True")]
    assert len(times) >= 8 + 4, "two copies, and the refresh"
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap > 0.045 for gap in gaps), gaps


def spoiled(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]


def test_malformed_adverts_are_counted_and_change_nothing(network: Network) -> None:
    a, b = directors(network)

    def packet(priority: int = 250, **more: object) -> bytes:
        values: dict[str, object] = {"version": 3, "vrid": 51, "adver_cs": 10, "addresses": [VIP], **more}
        return advert.encode(src="10.9.0.2", dst="224.0.0.18", priority=priority, **values)  # type: ignore[arg-type]

    bad = {
        "ttl": packet(ttl=1),
        "checksum": spoiled(packet(), 22, 255),
        "version": spoiled(packet(), 20, 0x51),
        "type": spoiled(packet(), 20, 0x32),
        "length": spoiled(packet(), 23, 77),
        "short": packet()[:26],
        "version_differs": packet(version=2, adver_cs=100),
    }
    with (
        Director.start(a, instance(priority=100)) as director,
        b.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock,
    ):
        director.until_role("master")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.2"))
        for data in bad.values():
            for _ in range(10):
                sock.sendto(data, ("224.0.0.18", 0))
        sock.sendto(packet(vrid=99), ("224.0.0.18", 0))
        director.until(lambda: director.router()["discarded"] == dict.fromkeys(bad, 10), "each is counted")
        assert director.router()["state"] == "master"
        assert director.router()["received"] == 0
        assert director.log.count("dropped") <= 2 * len(bad), "told within limits"
        director.until(lambda: director.facts["interfaces"]["eth0"]["unknown_vrid"] == 1, "so is an unknown VRID")
        sock.sendto(packet(), ("224.0.0.18", 0))
        director.until_role("backup")
