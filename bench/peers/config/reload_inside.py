"""One measurement in a network namespace that the caller has entered: python reload_inside.py CASE (JSON) -> JSON.

Real daemon, real children, dataplane none; a master with adverts every 100 ms whose times are taken from the wire by
the kernel (SO_TIMESTAMPNS) at the other end of a veth pair; a listener that answers every TCP check.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from itertools import pairwise
from pathlib import Path
from typing import Any

from reload_workload import configuration

from fastha.cli.client import NoAnswer, ask

SO_TIMESTAMPNS = 35  # asm-generic/socket.h
SCM_TIMESTAMPNS = SO_TIMESTAMPNS
ETH_P_IP = 0x0800
FIFO_PRIORITY = 10
OPERATIONS = ("operations", "errors", "drift")


class Adverts:
    """When adverts arrived, seconds."""

    def __init__(self, interface: str) -> None:
        self.times: list[float] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, ETH_P_IP))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            data, ancillary, _flags, _address = self._socket.recvmsg(2048, 64)
            if data[23] == 112:
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                self.times.append(seconds + nanoseconds / 1e9)

    def gaps_ms(self, since: float, until: float) -> list[float]:
        times = [t for t in list(self.times) if since <= t <= until]
        return [(b - a) * 1000 for a, b in pairwise(times)]


def serve(port: int) -> None:
    """Accept and close, in a process of its own."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(4096)
    if os.fork():
        return
    while True:
        listener.accept()[0].close()


class Daemon:
    def __init__(self, folder: Path) -> None:
        self.file, self.control = folder / "keepalived.conf", str(folder / "control.sock")
        self.log = open(folder / "log", "wb")  # noqa: SIM115
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, text: str, timeout_s: float) -> float:
        self.file.write_text(text)
        began = time.monotonic()
        command = [sys.executable, "-m", "fastha.cli", "run", "-f", str(self.file), "--control", self.control]
        self.process = subprocess.Popen([*command, "--dataplane", "none"], stderr=self.log)
        while time.monotonic() - began < timeout_s:
            try:
                if self.about()["state"] == "running":
                    return time.monotonic() - began
            except NoAnswer:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the daemon does not run: {Path(self.log.name).read_text()[-2000:]}")

    def alone(self) -> None:
        """Others use this machine: what is measured is how long we stand still, not how long we wait for a core. The
        reading process stays an ordinary one, as what the parent starts from now on does."""
        assert self.process is not None
        for pid in (self.process.pid, *self.pids().values()):
            os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(FIFO_PRIORITY))

    def about(self) -> dict[str, Any]:
        about: dict[str, Any] = ask(self.control, "status", 60, {"only": ["daemon"]})["daemon"]
        return about

    def pids(self) -> dict[str, int]:
        return {role: int(child["pid"]) for role, child in self.about()["children"].items() if child.get("pid")}

    def operations(self) -> dict[str, int]:
        """Of the dataplane, from the checker's own count."""
        plane = ask(self.control, "status", 60)["checker"]["dataplane"]
        return {word: plane[word] for word in OPERATIONS}

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)


def cpu_s(pid: int) -> float:
    """CPU time of a process, its reaped children not counted (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main(case: dict[str, Any]) -> dict[str, Any]:
    folder = Path(case["folder"])
    serve(8080)
    daemon = Daemon(folder)
    plain = configuration(case["virtual"], case["servers"])
    step = max(1, case["servers"] // 10)
    other = configuration(case["virtual"], case["servers"], heavier=range(0, step * 10, step))
    adverts = Adverts("peer0")
    out: dict[str, Any] = {"start_s": daemon.start(plain, 300), "reloads": []}
    try:
        need_master(daemon)
        daemon.alone()
        time.sleep(case["settle_s"])
        out["rss_kb"] = {role: rss_kb(pid) for role, pid in ({"parent": daemon.process.pid} | daemon.pids()).items()}  # type: ignore[union-attr]
        out["idle"] = idle(daemon, adverts, case["idle_s"])
        for name, text in [("unchanged", plain)] * case["rounds"] + [("ten", other), ("ten", plain)] * case["rounds"]:
            out["reloads"].append({"what": name} | one(daemon, adverts, text))
    finally:
        daemon.stop()
    return out


def idle(daemon: Daemon, adverts: Adverts, seconds: float) -> dict[str, Any]:
    """The same without a reload."""
    assert daemon.process is not None
    pids = {"parent": daemon.process.pid} | daemon.pids()
    before, began = {role: cpu_s(pid) for role, pid in pids.items()}, time.time()
    lags: dict[str, list[float]] = {}
    while time.time() < began + seconds:
        for role, child in daemon.about()["children"].items():
            lags.setdefault(role, []).append(child.get("lag_ns", 0) / 1e6)
        time.sleep(0.1)
    return {
        "gaps_ms": adverts.gaps_ms(began, time.time()),
        "cpu_share": {role: (cpu_s(pid) - before[role]) / (time.time() - began) for role, pid in pids.items()},
        "lags_ms": {role: sorted(ms)[-8:] for role, ms in lags.items()},
    }


def need_master(daemon: Daemon) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        instances = ask(daemon.control, "status", 60, {"only": ["vrrp"]}).get("vrrp", {}).get("instances", {})
        if instances.get("VI_1", {}).get("state") == "master":
            return
        time.sleep(0.1)
    raise RuntimeError("VI_1 is not master")


def one(daemon: Daemon, adverts: Adverts, text: str) -> dict[str, Any]:
    """One reload, and half a second after it."""
    daemon.file.write_text(text)
    time.sleep(0.1)
    assert daemon.process is not None
    pids = {"parent": daemon.process.pid} | daemon.pids()
    operations = daemon.operations()
    time.sleep(0.5)  # what that answer cost is over
    before = {role: cpu_s(pid) for role, pid in pids.items()}
    began = time.time()
    answer = ask(daemon.control, "reload", 300)
    ended = time.time()
    after = {role: cpu_s(pid) for role, pid in pids.items()}
    time.sleep(0.5)
    gaps = adverts.gaps_ms(began - 0.11, ended + 0.5)
    now = daemon.operations()
    return {
        "outcome": answer["outcome"],
        "text": answer["text"],
        "took_s": answer["took_s"],
        "reading_s": answer["reading_s"],
        "stalls_ms": answer["stalls_ms"],
        "cpu_s": {role: round(after[role] - before[role], 3) for role in before},
        "operations": {word: now[word] - operations[word] for word in OPERATIONS},
        "worst_gap_ms": round(max(gaps, default=0), 2),
    }


if __name__ == "__main__":
    try:
        json.dump(main(json.loads(sys.argv[1])), sys.stdout)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os.killpg(0, 9)  # the listener, and whatever is left
