"""Servers that come and go for a long time: the checker's descriptors, memory and timers are flat at the end.

make test: some hundred servers for some seconds; make soak-checks: 5000 for ten minutes.
"""

from __future__ import annotations

import os
import random
import resource
import socket
import threading
import time
from pathlib import Path

import pytest

from fastha.model import HttpCheck, HttpUrl, RealServer, TcpCheck, VirtualServer
from netns.test_checker_process import Parent
from walk.seeds import walk

S = 10**9
MS = 10**6
SECONDS = float(os.environ.get("FASTHA_SOAK_S", "9"))
SERVERS = int(os.environ.get("FASTHA_SOAK_SERVERS", "300"))
PER_SERVICE = 50
DELAY_NS = max(300 * MS, SERVERS * S // 2500)  # at most 2500 checks a second
WARM = 1 / 3  # of the time, before the first look


class Flapping:
    """One listening socket for each server, opened and closed by chance; the kernel does the handshakes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        with socket.create_server(("0.0.0.0", 0)) as sock:
            self.port: int = sock.getsockname()[1]
        self.addresses = [f"127.2.{n >> 8}.{n & 255}" for n in range(SERVERS)]
        self._open: dict[str, socket.socket] = {}
        self.turns = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flapping:
        for address in self.addresses:
            self._turn(address)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(10)
        for sock in self._open.values():
            sock.close()

    def _turn(self, address: str) -> None:
        if sock := self._open.pop(address, None):
            sock.close()
            return
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Who only connects and resets leaves nothing to be accepted.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        sock.bind((address, self.port))
        sock.listen(64)
        self._open[address] = sock

    def _run(self) -> None:
        while not self._end.wait(0.1):
            for _ in range(max(1, SERVERS // 100)):
                self._turn(self._rng.choice(self.addresses))
                self.turns += 1


def usage(pid: int) -> tuple[int, int]:
    """(descriptors, RSS in kB)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss = int(next(line for line in status if line.startswith("VmRSS")).split()[1])
    return len(os.listdir(f"/proc/{pid}/fd")), rss


@pytest.mark.timeout(SECONDS + 300)
def test_nothing_grows_while_servers_flap() -> None:
    rng = walk("soak")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, SERVERS + 500)), hard))
    try:
        parent = Parent()  # first: select(2) takes only low descriptors
        with Flapping(rng) as flapping:
            soak(parent, flapping)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def soak(parent: Parent, flapping: Flapping) -> None:
    common = {"port": flapping.port, "delay_ns": DELAY_NS, "warmup_ns": DELAY_NS, "retry_delay_ns": DELAY_NS // 3}
    reals = []
    for n, ip in enumerate(flapping.addresses):
        # One in ten asks for more than this server ever says: it stays connected until its time is over.
        check = (
            HttpCheck(ip=ip, **common, timeout_ns=200 * MS, urls=(HttpUrl(path="/"),))  # type: ignore[arg-type]
            if n % 10 == 0
            else TcpCheck(ip=ip, **common, timeout_ns=S)  # type: ignore[arg-type]
        )
        reals.append(RealServer(ip=ip, port=flapping.port, checks=(check,)))
    drain = threading.Thread(target=parent.process.stderr.read, daemon=True)  # type: ignore[union-attr]
    drain.start()
    try:
        parent.configure(
            *(
                VirtualServer(ip=f"203.0.{n >> 8}.{n & 255}", port=80, real_servers=tuple(reals[at : at + PER_SERVICE]))
                for n, at in enumerate(range(0, SERVERS, PER_SERVICE))
            )
        )
        look(parent, SECONDS * WARM)
        before = [look(parent, 1) for _ in range(3)]
        look(parent, SECONDS * (1 - WARM))
        after = [look(parent, 1) for _ in range(3)]
        probes = parent.picture["probes"]
        print(f"descriptors, kB, timers: {before} -> {after}; {flapping.turns} turns, {probes}")
        fds, kb, timers = (max(column) for column in zip(*before, strict=True))
        fds_after, kb_after, timers_after = (min(column) for column in zip(*after, strict=True))
        assert fds_after <= fds + SERVERS // 20, "descriptors"
        assert timers_after <= timers + 20, "timers"
        assert kb_after <= kb * 1.02 + 512, "memory"
        assert probes["started"] == probes["ended"] + probes["cancelled"] + probes["in_flight"]
        assert probes["timers"] <= SERVERS + 50, "one timer for each check, and a few of the house"
        assert probes["refused"] > SERVERS // 10
        assert probes["connected"] > SERVERS // 2
        assert probes["no_port"] == probes["no_descriptor"] == probes["no_memory"] == 0
        states = [rs for vs in parent.picture["virtual_servers"].values() for rs in vs["real_servers"].values()]
        assert {rs["health"] for rs in states} >= {"up", "down"}
    finally:
        parent.channel.close()
        parent.process.kill()
        parent.process.wait()
        drain.join(5)
        if parent.process.stderr is not None:
            parent.process.stderr.close()


def look(parent: Parent, seconds: float) -> tuple[int, int, int]:
    """Listen for so long; descriptors, RSS in kB and timers then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        parent.hear(0.05)
        del parent.messages[:]
    return *usage(parent.process.pid), parent.picture.get("probes", {}).get("timers", 0)
