"""Many real servers in one checker process: the memory that each takes over an empty child, and how late checks start.

50 000 real servers at intervals of 10 s are 5 000 checks a second. Late is a probe by the time between when it was due
and its first system call, as the process itself counts it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rate import Child, S, own_core, virtual_servers

from fastha.model import Config

BYTES = 1024
LATE_SHARE = 0.001  # of the checks may be more than 50 ms late
LATE = ("late_1ms", "late_10ms", "late_50ms", "late_1s", "later")


def rss_kb(pid: int) -> int:
    """VmRSS of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def look(kind: str, count: int, port: int, seconds: float, alone: bool = False) -> tuple[int, dict[str, int]]:
    """RSS in kB after `seconds` of steady checks, and what the counters gained meanwhile. Two rounds go before."""
    with Child(Config(virtual_servers=virtual_servers(kind, count, port, 10 * S))) as child:
        if alone:
            own_core(child.process.pid)
        child.hear(25 if count > 1 else 3)
        gained = child.measure(seconds)[2] if count > 1 else {}
        return rss_kb(child.process.pid), gained


def report(kind: str, count: int, port: int, seconds: float, alone: bool) -> bool:
    """Print a line for memory and one for lateness; whether both are within what is asked."""
    empty, _ = look(kind, 1, port, 1)
    full, gained = look(kind, count, port, seconds, alone)
    each = (full - empty) * 1024 / count
    word = "met" if each <= BYTES else "MISSED"
    print(
        f"{kind}: {count} real servers: {full} kB, empty {empty} kB: {each:.0f} bytes each, target <= {BYTES}: {word}"
    )
    late = [gained[name] for name in LATE]
    share = sum(late[3:]) / max(1, sum(late))
    met = share <= LATE_SHARE
    print(
        f"{kind}: {sum(late)} checks started in {seconds:.0f} s; late by < 1, 10, 50, 1000 ms, more: {late}:"
        f" {share:.4%} above 50 ms, target <= {LATE_SHARE:.1%}: {'met' if met else 'MISSED'};"
        f" waited {gained['waited']}",
        flush=True,
    )
    return met and each <= BYTES


def main(argv: Sequence[str] | None = None) -> int:
    """By hand, with a port that a server listens on (floor serve PORT)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("-n", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--own-core", action="store_true", help="SCHED_FIFO on the last core")
    options = parser.parse_args(argv)
    return 0 if report("tcp", options.n, options.port, options.seconds, options.own_core) else 1


if __name__ == "__main__":
    sys.exit(main())
