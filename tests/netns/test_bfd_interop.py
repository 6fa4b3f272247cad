"""BFD with FRR's bfdd and Debian's keepalived: up, negotiated, found dead in time, admin-down; both families.

Multihop with FRR alone: keepalived has it since 2.2.8, Debian has 2.2.7.

Each case runs in namespaces of its own, side by side: sessions begin slowly, one packet a second.
"""

from __future__ import annotations

import subprocess
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import BfdInstance
from fastha.model.units import NS_PER_MS
from netns.bfd_peers import Bfd, Frr, KeepalivedBfd, bfd

pytestmark = [pytest.mark.root, pytest.mark.interop]

SLACK_S = 2.0  # of a busy machine, on top of a detection time
FRR_PEER = "detect-multiplier 20\n receive-interval 50\n transmit-interval 30\n no shutdown\n!"
Case = Callable[[Network], list[str]]


def pair(net: Network) -> tuple[Namespace, Namespace]:
    a, b = net.namespace("a"), net.namespace("b")
    net.cable(a, "eth0", b, "eth0")
    for namespace, number in ((a, 1), (b, 2)):
        namespace.ip(f"addr add 10.9.0.{number}/24 dev eth0", f"addr add fd09::{number}/64 dev eth0 nodad")
    return a, b


def routed(net: Network) -> tuple[Namespace, Namespace]:
    """10.1.0.1 and 10.2.0.2 with a router between them."""
    a, r, b = net.namespace("a"), net.namespace("r"), net.namespace("b")
    net.cable(a, "eth0", r, "eth0")
    net.cable(r, "eth1", b, "eth0")
    a.ip("addr add 10.1.0.1/24 dev eth0", "route add default via 10.1.0.9")
    b.ip("addr add 10.2.0.2/24 dev eth0", "route add default via 10.2.0.9")
    r.ip("addr add 10.1.0.9/24 dev eth0", "addr add 10.2.0.9/24 dev eth1")
    r.sysctl("net.ipv4.ip_forward", 1)
    return a, b


def found_dead(us: Bfd, kill: Callable[[], None], detection_us: int) -> str:
    """Kill it, and see that we know within a detection time."""
    need.wait_until(
        lambda: (us.poll(), us.session().get("detection_us") == detection_us)[1], 5, f"{detection_us} us are agreed"
    )
    kill()
    start = time.monotonic()
    us.until_state("down", deadline_s=detection_us / 1e6 + SLACK_S)
    took = time.monotonic() - start
    assert us.session()["diag"] == 1
    assert us.bfds[-1] == {"peer": False}
    return f"found dead after {took * 1000:.0f} ms of {detection_us / 1000:g}"


def with_frr(net: Network, ours: BfdInstance, line: str, ip: str = "10.9.0.1") -> list[str]:
    a, b = routed(net) if ours.multihop else pair(net)
    frr = Frr(b, net.folder, f"peer {line}\n {FRR_PEER}")
    with Bfd.start(a, ours) as us:
        us.until_settled(50_000, deadline_s=15)  # what FRR can take
        session = us.session()
        assert session["detection_us"] == 20 * 30_000
        assert session["discarded"] == {}
        assert 49152 <= session["source_port"] <= 65535
        frr.until("up", ip)
        need.wait_until(lambda: frr.peer(ip)["remote-transmit-interval"] == 20, 5, "FRR has heard our poll")
        theirs = frr.peer(ip)
        assert (theirs["remote-receive-interval"], theirs["remote-detect-multiplier"]) == (20, 20)
        assert theirs["remote-id"] == session["discriminator"]
        assert us.bfds == [{"peer": True}]
        frr.configure(f"peer {line}", "transmit-interval 80")  # a poll sequence of theirs
        us.until(lambda: us.session().get("detection_us") == 20 * 80_000, "their poll is heard")
        said = [found_dead(us, frr.kill, 1_600_000)]
        assert us.session()["became_up"] == 1
    with Bfd.start(a, ours) as us:
        frr = Frr(b, net.folder, f"peer {line}\n {FRR_PEER}")
        us.until_settled(50_000, deadline_s=15)
        frr.until("up", ip)
        assert us.stop() == 0
        frr.until("down", ip, 5)
        assert frr.peer(ip)["remote-diagnostic"] == "administratively down", frr.peer(ip)
        said.append("admin-down is heard")
    return said


def frr_ipv4(net: Network) -> list[str]:
    return with_frr(net, bfd(), "10.9.0.1")


def frr_ipv6(net: Network) -> list[str]:
    return with_frr(net, bfd(neighbor_ip="fd09::2", max_hops=191), "fd09::1 local-address fd09::2", "fd09::1")


def frr_multihop(net: Network) -> list[str]:
    ours = bfd(neighbor_ip="10.2.0.2", source_ip="10.1.0.1", multihop=True, max_hops=2)
    return with_frr(net, ours, "10.1.0.1 multihop local-address 10.2.0.2", "10.1.0.1")


def frr_passive(net: Network) -> list[str]:
    """Both roles: we only answer; then they only answer."""
    a, b = pair(net)
    said = []
    with Bfd.start(a, bfd(passive=True)) as us:
        us.until(lambda: us.bfds == [{"peer": False}], "the first word", 5)
        assert us.session()["sent"] == 0, "nobody has spoken to us"
        frr = Frr(b, net.folder, f"peer 10.9.0.1\n {FRR_PEER}")
        us.until_settled(50_000, deadline_s=15)
        said.append(found_dead(us, frr.kill, 600_000))
        sent = us.session()["sent"]
        need.wait_until(lambda: (us.poll(), us.session()["discarded"] == {})[1], 2, "it goes on")
        time.sleep(1.2)  # more than a slow interval
        us.poll()
        assert us.session()["sent"] <= sent + 1, "and is silent again"
    frr.zebra.kill()
    frr = Frr(b, net.folder, f"peer 10.9.0.1\n passive-mode\n {FRR_PEER}")
    with Bfd.start(a, bfd()) as us:
        us.until_settled(50_000, deadline_s=15)
        frr.until("up")
        assert us.stop() == 0
    return said


def frr_reload(net: Network) -> list[str]:
    """Sessions stay up while their intervals change; one that is removed is admin-down for the neighbour."""
    a, b = pair(net)
    frr = Frr(b, net.folder, f"peer 10.9.0.1\n {FRR_PEER}")
    with Bfd.start(a, bfd()) as us:
        us.until_settled(50_000, deadline_s=15)
        us.configure(bfd(min_tx_ns=200 * NS_PER_MS, min_rx_ns=100 * NS_PER_MS, multiplier=6))
        us.until_settled(200_000)
        need.wait_until(lambda: frr.peer()["remote-transmit-interval"] == 200, 5, "FRR knows")
        assert frr.peer()["remote-detect-multiplier"] == 6
        us.configure(bfd())
        us.until_settled(50_000, deadline_s=15)
        assert us.session()["became_up"] == 1
        assert {"peer": False} not in us.bfds, "nobody was told of anything"
        us.configure(bfd("other", neighbor_ip="10.9.0.77"))
        frr.until("down", deadline_s=5)
        assert frr.peer()["remote-diagnostic"] == "administratively down"
        us.until(lambda: set(us.facts["sessions"]) == {"other"}, "its facts are gone")
    return []


def frr_replacement(net: Network) -> list[str]:
    """SIGKILL of our process: its replacement goes on, and FRR sees nothing."""
    a, b = pair(net)
    slow = FRR_PEER.replace("receive-interval 50", "receive-interval 500").replace("interval 30", "interval 300")
    frr = Frr(b, net.folder, f"peer 10.9.0.1\n {slow}")
    ours = bfd(multiplier=12)  # FRR waits 6 s
    with Bfd.start(a, ours) as us:
        us.until_settled(500_000)
        frr.until("up")
        uptime, known = frr.peer()["uptime"], us.session()
        us.kill()
    with us.replacement(ours) as heir:
        heir.until_state("up")
        assert heir.bfds == [{"peer": True}], "nothing else is ever said"
        heir.until_settled(500_000)
        for field in ("discriminator", "remote_discriminator", "source_port", "became_up"):
            assert heir.session()[field] == known[field], field
        need.wait_until(lambda: frr.peer()["uptime"] >= uptime + 7, 15, "FRR has it up for longer than it waits")
        assert frr.peer()["status"] == "up"
        heir.until(lambda: heir.session()["received"] > 10, "it hears FRR")
    return []


KEEPALIVED = """
bfd_instance theirs {{
  neighbor_ip {ours}
  source_ip {theirs}
  min_rx 40
  min_tx 40
  multiplier 20
}}
"""


def with_keepalived(net: Network, ours: BfdInstance, addresses: tuple[str, str]) -> list[str]:
    a, b = pair(net)
    conf = KEEPALIVED.format(ours=addresses[0], theirs=addresses[1])
    them = KeepalivedBfd(b, net.folder, conf)
    with Bfd.start(a, ours) as us:
        try:
            us.until_settled(40_000, deadline_s=20)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{them.log()}") from None
        need.wait_until(lambda: "Up" in them.log() or "up" in them.log(), 5, "keepalived says so")
        said = [found_dead(us, them.kill, 800_000)]
        them = KeepalivedBfd(b, net.folder, conf)
        us.until_settled(40_000, deadline_s=20)
        them.stop()
        us.until_state("down", deadline_s=4)
        assert us.session()["diag"] in (1, 3), "2.2.7 falls silent; a later one says admin-down"
        them = KeepalivedBfd(b, net.folder, conf)
        us.until_settled(40_000, deadline_s=20)
        before = len(them.log())
        assert us.stop() == 0
        need.wait_until(lambda: "Down" in them.log()[before:], 2, "keepalived hears our admin-down")
        them.stop()
    return said


def keepalived_ipv4(net: Network) -> list[str]:
    return with_keepalived(net, bfd(), ("10.9.0.1", "10.9.0.2"))


def keepalived_ipv6(net: Network) -> list[str]:
    """As the configuration reader makes it of a session without hoplimit: it sends 255, and takes keepalived's 64."""
    return with_keepalived(net, bfd(neighbor_ip="fd09::2", max_hops=191), ("fd09::1", "fd09::2"))


def keepalived_passive(net: Network) -> list[str]:
    return with_keepalived(net, bfd(passive=True), ("10.9.0.1", "10.9.0.2"))


CASES: list[Case] = [
    frr_ipv4, frr_ipv6, frr_multihop, frr_passive, frr_reload, frr_replacement,
    keepalived_ipv4, keepalived_ipv6, keepalived_passive,
]  # fmt: skip


def play(case: Case) -> list[str]:
    with Network() as net:
        return case(net)


def test_each_with_its_peer() -> None:
    need.tool("keepalived", "vtysh")
    need.kernel("veth")
    failed = []
    with ThreadPoolExecutor(5) as pool:
        runs = {case: pool.submit(play, case) for case in CASES}
        for case, run in runs.items():
            try:
                print(f"{case.__name__}: {'; '.join(run.result())}")
            except Exception:
                failed.append(f"-- {case.__name__}\n{traceback.format_exc()}")
    assert not failed, "\n".join(failed)


def test_tshark_reads_our_packets_without_a_warning() -> None:
    """From greeting to goodbye, as they were on the wire."""
    tshark = need.tool("tshark")
    need.kernel("veth")
    with Network() as net:
        a, b = pair(net)
        path = net.folder / "bfd.pcap"
        dump = b.popen(
            ["tcpdump", "-U", "--immediate-mode", "-i", "eth0", "-w", path, "udp port 3784"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        need.wait_until(path.exists, 5, "tcpdump listens")
        with Bfd.start(a, bfd()) as us, Bfd.start(b, bfd(neighbor_ip="10.9.0.1")) as them:
            us.until_settled(20_000)
            them.until_settled(20_000)
            need.wait_until(lambda: (us.poll(), us.session()["received"] > 50)[1], 5, "some packets")
            assert us.stop() == 0
            them.until_state("down", deadline_s=5)
        need.wait_until(lambda: path.stat().st_size > 5000, 5, "they are on the disk")
        dump.terminate()
        dump.wait(5)
        fields = ["ip.src", "ip.ttl", "ip.dsfield", "udp.srcport", "udp.dstport", "bfd.sta", "bfd.diag", "bfd.flags.p",
                  "bfd.flags.f", "bfd.desired_min_tx_interval", "_ws.expert.message", "_ws.malformed"]  # fmt: skip
        text = subprocess.run(
            [tshark, "-n", "-r", path, "-T", "fields", "-E", "separator=|", *(w for f in fields for w in ("-e", f))],
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip
    rows = [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]
    assert len(rows) > 50
    for row in rows:
        assert (row["_ws.expert.message"], row["_ws.malformed"]) == ("", ""), row
        assert (row["ip.ttl"], row["udp.dstport"], row["ip.dsfield"]) == ("255", "3784", "0xc0"), row
        assert int(row["udp.srcport"]) >= 49152, row
        up = int(row["bfd.sta"], 0) == 3
        assert up or row["bfd.desired_min_tx_interval"] == "1000000", "slow while not up"
    ours = [row for row in rows if row["ip.src"] == "10.9.0.1"]
    assert len({row["udp.srcport"] for row in ours}) == 1, "one port for all packets of a session"
    states = [int(row["bfd.sta"], 0) for row in ours]
    assert {0, 3} <= set(states) <= {0, 1, 2, 3}
    assert states[-1] == 0, "admin-down at the end"
    assert any(int(row["bfd.flags.p"], 0) for row in ours), "a poll sequence"
    assert any(int(row["bfd.flags.f"], 0) for row in ours), "and an answer to theirs"
    assert not any(int(row["bfd.flags.p"], 0) and int(row["bfd.flags.f"], 0) for row in ours)
