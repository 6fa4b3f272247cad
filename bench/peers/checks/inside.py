"""In the guest: `inside.py FLOOR RATE ROUNDS SECONDS` measures each program on each kind of check in turn and writes
$FASTHA_VM_IO/figures.json: {kind: {program: [microseconds of CPU for each check, ...]}}.

All three ask the same addresses as often. What is counted is CPU time of the checking process alone, as the scheduler
accounts it, and connections as the kernel counts them (ActiveOpens, RFC 4022): nobody's own words are needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rate import Child, S, free_port, virtual_servers

from fastha.model import Config

PROGRAMS = ("floor", "fastha", "keepalived")
SETTLE_S = 60.0  # until a program checks as often as it is asked to
CHECKS = {
    "tcp": "TCP_CHECK {\n connect_timeout 5\n }",
    "http": "HTTP_GET {\n url {\n path /health\n status_code 200\n }\n connect_timeout 5\n }",
}


def keepalived_conf(kind: str, count: int, port: int) -> str:
    """The same virtual and real servers as `rate.virtual_servers`."""
    out = ["global_defs {", " router_id bench", "}"]
    for server in virtual_servers(kind, count, port, S):
        out += [f"virtual_server {server.ip} 80 {{", " delay_loop 1", " lb_algo rr", " lb_kind NAT", " protocol TCP"]
        for real in server.real_servers:
            out += [f" real_server {real.ip} {real.port} {{", CHECKS[kind], " }"]
        out.append("}")
    return "\n".join(out) + "\n"


def rules(count: int, port: int) -> str:
    """The same for `ipvsadm -R`."""
    out = []
    for server in virtual_servers("tcp", count, port, S):
        out.append(f"-A -t {server.ip}:80 -s rr")
        out += [f"-a -t {server.ip}:80 -r {real.ip}:{real.port} -m -w 1" for real in server.real_servers]
    return "\n".join(out) + "\n"


def tcp(name: str) -> int:
    """A counter of this kernel's TCP, from /proc/net/snmp."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:4] == "Tcp:")
    return int(values[names.index(name)])


def cpu_ns(pid: int) -> int:
    """On a CPU so far (the first field of schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def settled(rate: int, idle: Callable[[float], object]) -> None:
    """Return when a second's checks are what is asked, twice in a row."""
    good, end = 0, time.monotonic() + SETTLE_S
    while good < 2:
        before, began = tcp("ActiveOpens"), time.monotonic()
        idle(1)
        found = (tcp("ActiveOpens") - before) / (time.monotonic() - began)
        good = good + 1 if abs(found - rate) < 0.05 * rate else 0
        if time.monotonic() > end:
            raise RuntimeError(f"{found:.0f} checks a second, {rate} were wanted")


def watched(pid: int, rate: int, seconds: float, idle: Callable[[float], object]) -> float:
    """Microseconds of CPU that process `pid` needs for each check."""
    settled(rate, idle)
    cpu, opened = cpu_ns(pid), tcp("ActiveOpens")
    idle(seconds)
    used, opened = cpu_ns(pid) - cpu, tcp("ActiveOpens") - opened
    if opened < 0.9 * rate * seconds:
        raise RuntimeError(f"{opened} checks, {rate * seconds:.0f} were wanted")
    return used / opened / 1000


class Bench:
    """The programs that are compared."""

    def __init__(self, floor: str, folder: Path, port: int, rate: int, seconds: float) -> None:
        self._floor, self._folder, self._port, self._rate, self._seconds = floor, folder, port, rate, seconds

    def floor(self, kind: str) -> float:
        """With the rows that the others have: IPVS looks at each packet once it has services."""
        subprocess.run(["ipvsadm", "-R"], input=rules(self._rate, self._port), text=True, check=True)
        argv = [self._floor, kind, str(self._port), str(self._rate), str(self._seconds)]
        well, ended, cpu = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
        if int(well) < 0.98 * int(ended):
            raise RuntimeError(f"the floor's checks fail: {well} of {ended}")
        self._rows("floor")
        return float(cpu) / int(well) * 1e6

    def fastha(self, kind: str) -> float:
        config = Config(virtual_servers=virtual_servers(kind, self._rate, self._port, S))
        with Child(config, "ipvs", urgent=False) as child:  # as the others: who preempts whom is a fifth of the cost
            took = watched(child.process.pid, self._rate, self._seconds, child.hear)
            self._rows("fastha")
        return took

    def keepalived(self, kind: str) -> float:
        file, pids = self._folder / "keepalived.conf", {n: self._folder / n for n in ("pid", "checkers_pid")}
        file.write_text(keepalived_conf(kind, self._rate, self._port))
        argv = ["keepalived", "-C", "-n", "--no-syslog", "-f", file, *(f"--{n}={path}" for n, path in pids.items())]
        for left in pids.values():  # by one that was killed
            left.unlink(missing_ok=True)
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            end = time.monotonic() + SETTLE_S
            while not (pids["checkers_pid"].exists() and pids["checkers_pid"].read_text().strip()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("keepalived has no checker")
                time.sleep(0.1)
            took = watched(int(pids["checkers_pid"].read_text()), self._rate, self._seconds, time.sleep)
            self._rows("keepalived")
            return took
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _rows(self, program: str) -> None:
        """Every real server is in the kernel's table: its checks are good."""
        listed = subprocess.run(["ipvsadm", "-Sn"], check=True, capture_output=True, text=True).stdout
        if (rows := listed.count("\n-a ")) != self._rate:
            raise RuntimeError(f"{program}: {rows} real servers in the table, {self._rate} wanted")


def turns(rounds: int) -> Iterator[tuple[int, str, str]]:
    """(round, kind, program) in the order to run."""
    return ((number, kind, program) for number in range(rounds) for kind in CHECKS for program in PROGRAMS)


def main() -> None:
    floor, rate, rounds, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    port = free_port()
    found: dict[str, dict[str, list[float]]] = {kind: {program: [] for program in PROGRAMS} for kind in CHECKS}
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr"], check=True)
    with tempfile.TemporaryDirectory() as name, subprocess.Popen([floor, "serve", str(port)]) as server:
        bench = Bench(floor, Path(name), port, rate, seconds)
        try:
            time.sleep(0.3)
            for number, kind, program in turns(rounds):
                subprocess.run(["ipvsadm", "-C"], check=True)
                measure: Callable[[str], float] = getattr(bench, program)
                took = measure(kind)
                found[kind][program].append(took)
                print(f"round {number + 1} {kind:4} {program:10} {took:8.2f} us", flush=True)
        finally:
            server.kill()
    figures: dict[str, Any] = {"kernel": platform.release(), "backend": os.environ["FASTHA_VM"], "rate": rate}
    Path(os.environ["FASTHA_VM_IO"], "figures.json").write_text(json.dumps(figures | {"checks": found}))


if __name__ == "__main__":
    main()
