"""What a reload costs and disturbs: 2 277 virtual servers with 37 205 real servers, and 50 000 in one.

    make bench-peers-reload
    python bench/peers/config/run_reload.py --rounds 2

Needs root (network namespaces). Prints a table, and ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tests")]

from fastha.lab.netns import Namespace  # noqa: E402

PARENT_CPU_S, STALL_MS, GAP_MS = 0.5, 5.0, 110.0


def measure(virtual: int, servers: int, rounds: int, idle_s: float, settle_s: float) -> dict[str, Any]:
    with Namespace.create("bench") as namespace, tempfile.TemporaryDirectory(prefix="fastha-reload-") as folder:
        namespace.ip(
            "link add eth0 type veth peer name peer0",
            "addr add 10.9.0.1/24 dev eth0",
            "link set eth0 up",
            "link set peer0 up",
        )
        case = {"virtual": virtual, "servers": servers, "rounds": rounds, "folder": folder}
        process = namespace.popen(
            [
                sys.executable,
                str(HERE / "reload_inside.py"),
                json.dumps(case | {"idle_s": idle_s, "settle_s": settle_s}),
            ],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(HERE)},
        )
        assert process.stdout is not None
        output = process.stdout.read()
        process.wait()
        if not output:
            print(Path(folder, "log").read_text()[-3000:], file=sys.stderr)
            raise RuntimeError("the measurement failed")
        figures: dict[str, Any] = json.loads(output)
        return figures


def report(title: str, figures: dict[str, Any]) -> list[str]:
    """Print one table; what misses its target."""
    print(f"\n{title}: start {figures['start_s']:.1f} s; RSS {rss(figures)}")
    idle = figures["idle"]["gaps_ms"]
    print(f"  no reload: adverts at most {max(idle, default=0):.1f} ms apart ({len(idle)} gaps)")
    for role, share in figures["idle"]["cpu_share"].items():
        worst = [round(ms, 1) for ms in figures["idle"]["lags_ms"].get(role, [])]
        print(f"    {role:8} CPU {share * 100:.1f} %; longest standstills {worst} ms")
    missed = []
    for what in ("unchanged", "ten"):
        rows = [row for row in figures["reloads"] if row["what"] == what]
        if not rows:
            continue
        cpu = statistics.median(row["cpu_s"]["parent"] for row in rows)
        took, reading = (statistics.median(row[word] for row in rows) for word in ("took_s", "reading_s"))
        roles = rows[0]["stalls_ms"]
        stalls = {role: statistics.median(row["stalls_ms"].get(role, 0) for row in rows) for role in roles}
        worst = {role: max(row["stalls_ms"].get(role, 0) for row in rows) for role in roles}
        gaps = [row["worst_gap_ms"] for row in rows]
        operations = [row["operations"]["operations"] for row in rows]
        print(
            f"  {what} ({rows[0]['outcome']}, {len(rows)} times): took {took:.2f} s, of which reading {reading:.2f} s"
        )
        for role in roles:
            used = statistics.median(row["cpu_s"].get(role, 0) for row in rows)
            print(f"    {role:8} CPU {used:.3f} s; longest standstill {stalls[role]:.1f} ms (worst {worst[role]:.1f})")
        print(f"    adverts at most {statistics.median(gaps):.1f} ms apart ({max(gaps):.1f}); operations {operations}")
        checks = [("parent CPU", cpu, PARENT_CPU_S), ("advert gap (median)", statistics.median(gaps), GAP_MS)]
        checks += [(f"standstill of {role} (median)", ms, STALL_MS) for role, ms in stalls.items()]
        if what == "unchanged":
            checks.append(("operations", max(operations), 0))
        missed += [f"{title}, {what}: {name} {value:g} > {most:g}" for name, value, most in checks if value > most]
    return missed


def rss(figures: dict[str, Any]) -> str:
    return ", ".join(f"{role} {kb // 1024} MB" for role, kb in figures["rss_kb"].items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=10.0, metavar="S", help="without a reload, for comparison")
    parser.add_argument("--settle", type=float, default=5.0, metavar="S")
    parser.add_argument("--only", choices=("many", "one"), help="one of the two configurations")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    options = parser.parse_args()
    cases = {"many": (2277, 37_205), "one": (1, 50_000)}
    missed, everything = [], {}
    for name, (virtual, servers) in cases.items():
        if options.only in (None, name):
            figures = everything[name] = measure(virtual, servers, options.rounds, options.idle, options.settle)
            found = report(f"{virtual} virtual servers, {servers} real servers", figures)
            # In one virtual server the point is that it stays linear: standstills are shown, not judged.
            missed += [text for text in found if name == "many" or "standstill" not in text]
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))
    for text in missed:
        print(f"missed: {text}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
