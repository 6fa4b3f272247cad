"""IPVS programmed by fastha, by a C program, by ipvsadm and by keepalived, on one kernel in one run, as ratios.

    make bench-peers-ipvs                      10 000 destinations, five rounds: some minutes
    python bench/peers/ipvs/run.py -n 1000 --rounds 3
    python bench/peers/ipvs/run.py --exact --rounds 3     by instructions, for a busy machine: needs qemu; half an hour

Needs what the tests in a virtual machine need, gcc, ipvsadm and keepalived. Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tests")]

import report  # noqa: E402

from vm import machine  # noqa: E402

FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]


def measure(count: int, rounds: int, output: BinaryIO, timeout_s: float, exact: bool = False) -> dict[str, Any]:
    """Boot, run inside.py, power off; its figures. `output` gets its progress. RuntimeError if it failed."""
    with tempfile.TemporaryDirectory(prefix="fastha-peers-") as name:
        folder = Path(name)
        floor = folder / "floor"
        subprocess.run(["gcc", *FLAGS, str(HERE / "floor.c"), "-o", str(floor)], check=True)
        # an installed package is compiled; what the guest would compile is lost with it, so every start would pay
        compileall.compile_dir(HERE.parents[2] / "src", quiet=1)
        command = [sys.executable, str(HERE / "inside.py"), str(floor), str(count), str(rounds)]
        ending = machine.run(command, output, timeout_s, io=folder / "io", exact=exact)
        figures = folder / "io" / "figures.json"
        if not figures.exists():
            raise RuntimeError(f"no figures: status {ending.status} {ending.why}\n{ending.console[-2000:]}")
        return dict(json.loads(figures.read_text()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10_000, metavar="N", help="destinations (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (default: %(default)s)")
    parser.add_argument(
        "--exact", action="store_true", help="count instructions instead of seconds; for a busy machine"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also keep the figures")
    options = parser.parse_args()
    with open(2, "wb", buffering=0, closefd=False) as output:
        figures = measure(options.n, options.rounds, output, timeout_s=3600, exact=options.exact)
    if options.json:
        options.json.write_text(json.dumps(figures))
    print(report.table(figures))
    verdicts = report.verdicts(figures)
    print("\n".join(str(v) for v in verdicts))
    return 0 if all(v.met for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
