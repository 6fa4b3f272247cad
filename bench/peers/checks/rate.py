"""CPU time for each check: our checker's process beside the bare system calls, in interleaved pairs.

The checker's child runs as under its daemon (configuration and reports through its channel), its checks in their steady
state; counted is what it uses between two looks at it. The floor is floor.c at the same rate in the same seconds' turn.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from fastha.channel.endpoint import Endpoint
from fastha.child.patch import apply
from fastha.model import Config, HttpCheck, HttpUrl, RealServer, TcpCheck, VirtualServer
from fastha.model.parts import split
from fastha.parent import changes

HERE = Path(__file__).resolve().parent
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
S = 10**9
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TARGETS = {"tcp": 1.15, "http": 1.25}
PER_SERVICE = 100
KINDS = ("globals", "virtual_server")
QUEUED_BYTES = 1 << 17


def address(number: int) -> str:
    """The same as floor.c's: 127.1.0.1 and those after it."""
    return ".".join(str(0x7F010001 + number >> shift & 255) for shift in (24, 16, 8, 0))


def virtual_servers(kind: str, count: int, port: int, delay_ns: int) -> tuple[VirtualServer, ...]:
    reals = []
    for n in range(count):
        common: dict[str, Any] = {"ip": address(n), "port": port, "delay_ns": delay_ns, "warmup_ns": delay_ns}
        check = HttpCheck(**common, urls=(HttpUrl(path="/health"),)) if kind == "http" else TcpCheck(**common)
        reals.append(RealServer(ip=address(n), port=port, checks=(check,)))
    return tuple(
        VirtualServer(
            ip=f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", port=80, real_servers=tuple(reals[n : n + 100])
        )
        for n in range(0, count, PER_SERVICE)
    )


@dataclass
class Child:
    """A checker child and what it has reported."""

    config: Config
    dataplane: str = "none"
    urgent: bool = True  # it goes before other work on the machine: so must what is beside it
    picture: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Child:
        ours, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-m", "fastha.checker", "--channel", str(theirs.fileno())]
            self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
        if self.urgent:
            first(self.process.pid)
        self.channel = Endpoint(ours, "down")
        for message in changes.messages({}, {part.key: part for part in split(self.config)}, KINDS, 1, 0):
            self.channel.send(**message)
            while self.channel.queued() > QUEUED_BYTES:
                self.hear(0.01)
        self.channel.send(type="propose", generation=1, config=None, dataplane=self.dataplane, previous={})
        self._until("ready")
        self.channel.send(type="commit", generation=1)
        self._until("committed")
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def hear(self, seconds: float) -> set[str]:
        """Listen for so long; which kinds of messages came."""
        kinds = set()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            writers = [self.channel] if self.channel.wants_write() else []
            readable, writable, _ = select.select([self.channel], writers, [], min(left, 0.05))
            if writable:
                self.channel.flush()
            for message in self.channel.receive() if readable else ():
                kinds.add(message["type"])
                if message["type"] == "facts":
                    apply(self.picture, message["facts"])
        return kinds

    def _until(self, kind: str) -> None:
        end = time.monotonic() + 120
        while kind not in (heard := self.hear(0.05)):
            if "refused" in heard or time.monotonic() > end:
                raise RuntimeError(f"no {kind} from the checker")

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def probes(self) -> dict[str, int]:
        found: dict[str, int] = self.picture.get("probes", {})
        return dict(found)

    def measure(self, seconds: float) -> tuple[float, float, dict[str, int]]:
        """Seconds, CPU seconds, and what the counters gained. They are reported once a second: look right after."""
        before, cpu, began = self._fresh(), self.cpu_s(), time.monotonic()
        self.hear(seconds - 0.5)
        after, used, ended = self._fresh(), self.cpu_s() - cpu, time.monotonic()
        return ended - began, used, {name: after[name] - before.get(name, 0) for name in after}

    def _fresh(self) -> dict[str, int]:
        now = self.probes()
        while self.probes() == now:
            self.hear(0.01)
        return self.probes()


def first(pid: int) -> None:
    """Who is measured (and who answers) goes before other work on the machine, if we may say so."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, pid, -10)


def own_core(pid: int) -> None:
    """The last core is this process's whenever it wants it (SCHED_FIFO; the kernel itself still takes its share)."""
    os.sched_setaffinity(pid, {max(os.sched_getaffinity(0))})
    os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(50))


def free_port() -> int:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def pairs(
    kind: str, rate: int, rounds: int, seconds: float, floor: Path, port: int
) -> list[tuple[float, float, float]]:
    """(microseconds of ours for each check, of the floor, checks a second of ours) for each round."""
    out = []
    with Child(Config(virtual_servers=virtual_servers(kind, rate, port, S))) as child:
        child.hear(5)  # every check is in its steady state, and what the start needed is done
        for _ in range(rounds):
            took, used, gained = child.measure(seconds)
            good = gained["connected"] + gained["answered"]
            if good < 0.98 * gained["ended"]:
                raise RuntimeError(f"checks fail: {gained}")
            os.kill(child.process.pid, 19)  # SIGSTOP: not while the floor runs
            argv = [str(floor), kind, str(port), str(rate), str(seconds)]
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as other:
                first(other.pid)
                told, _ = other.communicate()
            os.kill(child.process.pid, 18)
            child.hear(2)
            if other.returncode:
                raise RuntimeError("the floor failed")
            well, ended, cpu = told.split()
            if int(well) < 0.98 * int(ended):
                raise RuntimeError(f"the floor's checks fail: {told}")
            out.append((used / good * 1e6, float(cpu) / int(well) * 1e6, good / took))
    return out


def report(kind: str, rate: int, found: list[tuple[float, float, float]]) -> bool:
    ratio = median(ours / floor for ours, floor, _ in found)
    ours, floor, seen = (median(column) for column in zip(*found, strict=True))
    met = ratio <= TARGETS[kind]
    print(
        f"{kind}: {seen:.0f} checks/s (asked for {rate}): {ours:.2f} us each, floor {floor:.2f} us; median of"
        f" {len(found)} ratios {ratio:.3f} ({', '.join(f'{a / b:.2f}' for a, b, _ in found)}), target <="
        f" {TARGETS[kind]}: {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met
