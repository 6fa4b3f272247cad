"""In the guest: `inside.py FLOOR N ROUNDS` runs every program on every scheduler and writes $FASTHA_VM_IO/figures.json.

Every measurement begins with an empty table and ends with the table compared: by the kernel's own count each time, row
for row with ipvsadm's listing the first time. The programs take turns (A B C, A B C, ...), so that a busy minute of
the machine hits them all.
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

from daemon import Daemon, reloads_and_stop
from watch import Service, clear, rules
from workload import DETOUR, MH_MOST, SCHEDULERS, destinations, ipvsadm_rules, keepalived_conf

HERE = Path(__file__).parent
PAIRS = 3  # times that the C program and ours take turns in one round: they are short, and their ratio is narrow
JUDGED = {("rr", "daemon"), ("rr", "keepalived"), ("rr", "ipvsadm"), ("mh", "daemon"), ("mh", "keepalived")}


class Bench:
    """The programs that are compared. Each measures one filling of an empty table, in seconds."""

    def __init__(self, floor: str, folder: Path) -> None:
        self._floor, self.folder = floor, folder
        self.service = Service()

    def c(self, scheduler: str, count: int) -> float:
        """floor.c, with the same messages as ours."""
        return self._says(self._floor, scheduler, str(count), *(["detour"] if scheduler in DETOUR else []))

    def c_straight(self, scheduler: str, count: int) -> float:
        """floor.c, filling the service under its own scheduler."""
        return self._says(self._floor, scheduler, str(count))

    def apply(self, scheduler: str, count: int) -> float:
        """fastha, from Python values to the last acknowledgement."""
        return self._says(sys.executable, str(HERE / "apply.py"), scheduler, str(count))

    def ipvsadm(self, scheduler: str, count: int) -> float:
        """`ipvsadm -R`, the whole process."""
        file = self.folder / "rules"
        file.write_text(ipvsadm_rules(scheduler, destinations(count)))
        with file.open() as text:
            start = time.monotonic()
            subprocess.run(["ipvsadm", "-R"], stdin=text, check=True)
            return time.monotonic() - start

    def keepalived(self, scheduler: str, count: int) -> float:
        """`keepalived -C` from its start until the table is complete."""
        file = self.folder / "keepalived.conf"
        file.write_text(keepalived_conf(scheduler, destinations(count)))
        pids = [f"--{p}={self.folder / p}" for p in ("pid", "checkers_pid")]
        start = time.monotonic()
        process = subprocess.Popen(
            ["keepalived", "-C", "-n", "--no-syslog", "-f", file, *pids],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return self.service.wait(scheduler, count) - start
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def daemon(self, scheduler: str, count: int) -> float:
        """`fastha run` from its start until the table is complete."""
        file = self.folder / "fastha.conf"
        file.write_text(keepalived_conf(scheduler, destinations(count)))
        with Daemon(file) as daemon:
            took_s = self.service.wait(scheduler, count) - daemon.started
            daemon.healthy()
            return took_s

    def _says(self, *command: str) -> float:
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def turns(rounds: int) -> Iterator[tuple[int, str, str]]:
    """(round, scheduler, program) in the order to run. What has no target runs in the first round alone."""
    for number in range(rounds):
        for scheduler in SCHEDULERS:
            yield from ((number, scheduler, program) for program in ("c", "apply") * (PAIRS if rounds > 1 else 1))
            if number == 0 and scheduler in DETOUR:
                yield number, scheduler, "c_straight"
            for program in ("daemon", "keepalived", "ipvsadm"):
                if number == 0 or (scheduler, program) in JUDGED:
                    yield number, scheduler, program


def main() -> None:
    floor, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    figures: dict[str, Any] = {"kernel": platform.release(), "backend": os.environ["FASTHA_VM"]}
    counts = {s: min(count, MH_MOST) if s == "mh" else count for s in SCHEDULERS}
    figures["counts"], figures["rounds"] = counts, rounds
    times: dict[str, dict[str, list[float]]] = {s: {} for s in SCHEDULERS}
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(floor, Path(name))
        wanted = {s: sorted(ipvsadm_rules(s, destinations(counts[s])).splitlines()) for s in SCHEDULERS}
        subprocess.run(["modprobe", "-a", "ip_vs", *(f"ip_vs_{s}" for s in SCHEDULERS)], check=True)
        for number, scheduler, program in turns(rounds):
            clear()
            measure: Callable[[str, int], float] = getattr(bench, program)
            took_s = measure(scheduler, counts[scheduler])
            state = bench.service.state()
            assert state == (scheduler, counts[scheduler]), f"{program} {scheduler}: {state}"
            assert number or rules() == wanted[scheduler], f"{program} {scheduler}: not the wanted rows"
            times[scheduler].setdefault(program, []).append(took_s)
            print(f"round {number + 1} {scheduler:4} {program:10} {took_s:8.3f} s", flush=True)
        figures["times"] = times
        clear()
        figures["life"] = [reloads_and_stop(bench.folder, bench.service, count) for _ in range(rounds)]
    Path(os.environ["FASTHA_VM_IO"], "figures.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
