"""The matrix once more with signed adverts (`auth_hmac`): {v2, v3} x {IPv4, IPv6} x {multicast, unicast} x {plain,
use_vmac}. No keepalived before 2.4.1 speaks this format, so both directors are ours, and what a third ear hears on the
link is judged by hmac and struct (tests/oracles/signed.py), which in their turn agree with a packet of 2.4.3. That
packet itself is sent to a director too.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Hmac, HmacKey, VrrpInstance
from netns.test_vrrp_matrix import LINKS, SLACK, Cell, Grouped, Story, play_all
from netns.vrrp_director import Director, directors, instance
from oracles import signed
from oracles.checksum import checksum

pytestmark = [pytest.mark.root]

AT_ONCE = 12
KEY = bytes(range(32))
GOLDEN = Path(__file__).parents[1] / "golden" / "vrrp_signed.hex"
TRAILER = 28  # bytes
VRRP = 112


@dataclass(frozen=True)
class Signed(Cell):
    def ours(self, priority: int, number: int = 1) -> list[VrrpInstance]:
        window_s = 0 if self.unicast != self.vmac else 5  # each kind of anti_replay in half of the cells
        hmac = Hmac((HmacKey(1, KEY.hex()), HmacKey(9, 64 * "e")), 1, window_s=window_s)
        return [replace(one, hmac=hmac) for one in super().ours(priority, number)]


CELLS = [
    cell
    for version, family, unicast, vmac in itertools.product((2, 3), (4, 6), (False, True), (False, True))
    if not (cell := Signed(version, family, unicast, "none", vmac)).absent
]


class Ear:
    """Every signed advert that arrives on an interface: source address and VRRP packet with its trailer."""

    def __init__(self, story: Story, dev: str) -> None:
        with story.b.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.bind((dev, 3))  # ETH_P_ALL
        self.socket.setblocking(False)

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def heard(self) -> list[tuple[bytes, bytes]]:
        found = []
        while True:
            try:
                packet, where = self.socket.recvfrom(4096)
            except BlockingIOError:
                return found
            if where[2] == socket.PACKET_OUTGOING:
                continue
            if packet[0] >> 4 == 4 and packet[9] == VRRP:
                found.append((packet[12:16], packet[20 : int.from_bytes(packet[2:4], "big")]))
            elif packet[0] >> 4 == 6 and packet[6] == VRRP:
                found.append((packet[8:24], packet[40 : 40 + int.from_bytes(packet[4:6], "big")]))


def judge(heard: list[tuple[bytes, bytes]], vrid: int, version: int) -> None:
    """Each is signed as it should be, and none is older than the one before it."""
    before = 0
    for src, whole in heard:
        vrrp, trailer = whole[:-TRAILER], whole[-TRAILER:]
        assert (vrrp[0] >> 4, vrrp[1]) == (version, vrid)
        sequence = struct.unpack("!Q", trailer[4:12])[0]
        assert trailer == signed.trailer(vrrp, src, KEY, 1, sequence), f"{src.hex()} {whole.hex()}"
        assert sequence > before
        before = sequence


def play(cell: Signed) -> list[str]:
    down = cell.down_s
    with Network() as net, ExitStack() as stack:
        story = Story(cell, net)
        ears = [stack.enter_context(Ear(story, dev)) for _, dev, *_ in LINKS]
        collected: list[list[tuple[bytes, bytes]]] = [[] for _ in ears]

        def enough() -> bool:
            for ear, found in zip(ears, collected, strict=True):
                found += ear.heard()
            return all(len(found) >= 5 for found in collected)

        with Grouped.of(story.b, cell, 100, 2) as them:
            with Grouped.of(story.a, cell, 150) as us:
                story.within(2 * down, "the higher is elected", True, False)
                need.wait_until(enough, 6 * down + SLACK, "five adverts on each link")
                them.until(lambda: min(n or 0 for n in them.all("received")) >= 3, "it is heard", 2 * down + SLACK)
                them.both("backup", SLACK)
                us.kill()
                story.clean(story.a)
                story.within(down, "the other takes over from the dead", False, True)
            with Grouped.of(story.a, cell, 150) as us:
                story.within(3 * down, "it preempts", True, False)
                story.fail(story.a, "eth1")
                story.within(2 * down, "its link fails", False, True)
                story.mend(story.a, "eth1")
                story.within(3 * down, "its link returns", True, False)
                us.both("master", SLACK)
                them.poll()
                zeros = them.all("zero_received")
                assert us.all("discarded") == [{}, {}]
                assert us.stop() == 0
                story.within(down, "it says goodbye", False, True)
                them.until(
                    lambda: all(n > z for n, z in zip(them.all("zero_received"), zeros, strict=True)), "heard", SLACK
                )
            assert them.all("discarded") == [{}, {}]
            enough()
        for found, (_, _, vrid, _) in zip(collected, LINKS, strict=True):
            judge(found, vrid, cell.version)
        story.told.append(f"{sum(map(len, collected))} adverts judged")
        return story.told


def test_every_signed_cell() -> None:
    need.kernel("veth", "bridge")
    play_all(CELLS, play, AT_ONCE)


def golden() -> bytes:
    """A VRRP packet with its trailer: version 3, VRID 7, priority 150, 10.0.0.7, sent by 10.0.0.9."""
    line = next(line for line in GOLDEN.read_text().splitlines() if line.startswith("hmac"))
    return bytes.fromhex(line.split()[2])


def ip_packet(payload: bytes, src: str) -> bytes:
    """To 224.0.0.18 with TTL 255."""
    ends = socket.inet_aton(src) + socket.inet_aton("224.0.0.18")
    head = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(payload), 1, 0, 255, VRRP, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


@pytest.mark.parametrize(
    ("spoil", "window_s", "counted"),
    [
        (lambda whole: whole, 0, ""),
        (lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), 0, "auth_digest"),
        (lambda whole: whole, 5, "auth_time"),  # it is of another year
    ],
    ids=["as it was", "a bit of the HMAC", "outside the window"],
)
def test_the_packet_of_keepalived(spoil: Callable[[bytes], bytes], window_s: int, counted: str) -> None:
    need.kernel("veth", "bridge")
    hmac = Hmac((HmacKey(1, KEY.hex()),), 1, window_s=window_s)
    values: dict[str, Any] = {"vrid": 7, "priority": 100, "advert_int_ns": 1_000_000_000, "hmac": hmac}
    packet = ip_packet(spoil(golden()), "10.0.0.9")
    with Network() as net:
        a, b = directors(net)
        with b.entered():
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        with sender, Director.start(a, instance(**values)) as us:
            us.until_role("backup")
            sender.sendto(packet, ("eth0", 0x0800, 0, 0, bytes.fromhex("01005e000012")))
            if counted:
                us.until(lambda: us.router()["discarded"].get(counted, 0) == 1, f"counted as {counted}", 20)
                us.until_role("master", deadline_s=20)
            else:
                us.until(lambda: us.router().get("received", 0) == 1, "it counts", 20)
                assert us.router()["discarded"] == {}
                assert us.router()["master"] == "10.0.0.9"
