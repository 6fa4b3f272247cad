"""1 000 sessions between two processes: all come up, none flaps in ten seconds, and what a packet costs is printed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fastha.lab.network import Network
from fastha.model.units import NS_PER_MS
from netns.bfd_peers import Bfd, bfd

pytestmark = [pytest.mark.root, pytest.mark.campaign]

MANY = 1000
INTERVAL_MS = 100


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_thousand_sessions(network: Network) -> None:
    a, b = network.namespace("a"), network.namespace("b")
    network.cable(a, "eth0", b, "eth0")
    ours, theirs = ([f"10.{net}.{i >> 8}.{i & 255}" for i in range(1, MANY + 1)] for net in (10, 20))
    # One neighbour for all of them: the kernel's table of neighbours has 1024 places.
    a.ip(*(f"addr add {ip}/32 dev eth0" for ip in ours), "addr add 10.9.0.1/24 dev eth0",
         "route add 10.20.0.0/16 via 10.9.0.2")  # fmt: skip
    b.ip(*(f"addr add {ip}/32 dev eth0" for ip in theirs), "addr add 10.9.0.2/24 dev eth0",
         "route add 10.10.0.0/16 via 10.9.0.1")  # fmt: skip

    def sessions(sources: list[str], neighbors: list[str]) -> list[object]:
        interval = INTERVAL_MS * NS_PER_MS
        return [
            bfd(f"s{i}", source_ip=s, neighbor_ip=n, min_rx_ns=interval, min_tx_ns=interval, multiplier=5)
            for i, (s, n) in enumerate(zip(sources, neighbors, strict=True))
        ]

    with Bfd.start(a, *sessions(ours, theirs)) as us, Bfd.start(b, *sessions(theirs, ours)) as them:  # type: ignore[arg-type]
        start = time.monotonic()

        def settled() -> bool:
            them.poll()
            return sum(s.get("tx_us") == INTERVAL_MS * 1000 for s in us.facts.get("sessions", {}).values()) == MANY

        us.until(settled, "all are up", 60)
        print(f"{MANY} sessions up and negotiated after {time.monotonic() - start:.1f} s")
        before, at = cpu_s(us.process.pid), time.monotonic()
        while time.monotonic() < at + 10:
            us.poll()
            them.poll()
            time.sleep(0.1)
        used, took = cpu_s(us.process.pid) - before, time.monotonic() - at
        packets = 2 * MANY * 1000 / INTERVAL_MS / 0.825 * took
        print(f"{100 * used / took:.0f} % of a CPU, {1e6 * used / packets:.1f} us for a packet in or out")
        flaps = {name: s["became_up"] - 1 for name, s in us.facts["sessions"].items() if s["became_up"] != 1}
        assert flaps == {}
        assert us.stop() == 0
