"""In the tests' virtual machine, whose kernel has IPVS: checks of ours beside keepalived's and the bare system calls.

Each ratio is of medians. A guest bears fewer checks than its host: the rate is an argument.
"""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO

import rate

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[2] / "tests"))

from vm import machine  # noqa: E402

MOST = {"tcp": {"keepalived": 0.80, "floor": 1.15}, "http": {"keepalived": 0.85, "floor": 1.25}}


def measure(per_s: int, rounds: int, seconds: float, output: BinaryIO, timeout_s: float, exact: bool) -> dict[str, Any]:
    """Boot, run inside.py, power off; its figures. `output` gets its progress. RuntimeError if it failed."""
    with tempfile.TemporaryDirectory(prefix="fastha-peers-") as name:
        folder = Path(name)
        floor = folder / "floor"
        subprocess.run(["gcc", *rate.FLAGS, str(HERE / "floor.c"), "-o", str(floor)], check=True)
        compileall.compile_dir(HERE.parents[2] / "src", quiet=1)
        command = [sys.executable, str(HERE / "inside.py"), str(floor), str(per_s), str(rounds), str(seconds)]
        ending = machine.run(command, output, timeout_s, io=folder / "io", exact=exact)
        figures = folder / "io" / "figures.json"
        if not figures.exists():
            raise RuntimeError(f"no figures: status {ending.status} {ending.why}\n{ending.console[-2000:]}")
        return dict(json.loads(figures.read_text()))


def report(figures: dict[str, Any]) -> bool:
    """Print the medians and ratios; whether every target is met."""
    print(
        f"kernel {figures['kernel']} ({figures['backend']}), {figures['rate']} checks/s, CPU of the checker's process"
    )
    met = []
    for kind, found in figures["checks"].items():
        mid = {program: median(took) for program, took in found.items()}
        print(f"{kind}: " + ", ".join(f"{program} {took:.1f} us" for program, took in mid.items()) + " a check")
        for other, most in MOST[kind].items():
            ratio = mid["fastha"] / mid[other]
            each = ", ".join(f"{a / b:.2f}" for a, b in zip(found["fastha"], found[other], strict=True))
            met.append(ratio <= most)
            print(f"{kind}: ours / {other} {ratio:.3f} ({each}), target <= {most}: {'met' if met[-1] else 'MISSED'}")
    return all(met)


def main(per_s: int, rounds: int, seconds: float, exact: bool) -> int:
    with open(2, "wb", buffering=0, closefd=False) as output:
        figures = measure(per_s, rounds, seconds, output, 7200, exact)
    return 0 if report(figures) else 1
