"""VRRP by fastha and by keepalived, side by side on one machine, in ratios: CPU, takeover, punctuality, memory.

    make bench-peers-vrrp                                       # five rounds: about 15 minutes
    make bench-peers-vrrp ARGS="--rounds 1 --only master"

Needs root (network namespaces) and keepalived. The programs take turns, so that a busy minute of the machine hits both.
Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import report
from measure import MEASUREMENTS, Sizes
from subject import SUBJECTS


def measure(sizes: Sizes, rounds: int, names: list[str]) -> report.Figures:
    """Every measurement of every program, in turns; progress on stderr."""
    figures: report.Figures = {}
    with tempfile.TemporaryDirectory(prefix="fastha-peers-") as name:
        for number in range(rounds):
            for measurement in names:
                for program in SUBJECTS:
                    folder = Path(name, f"{number}-{measurement}-{program.name}")
                    found = MEASUREMENTS[measurement](program, sizes, folder)
                    words = ", ".join(f"{figure} {value:.4g}" for figure, value in found.items())
                    print(f"round {number + 1} {measurement} {program.name}: {words}", file=sys.stderr, flush=True)
                    for figure, value in found.items():
                        of_program = figures.setdefault(measurement, {}).setdefault(program.name, {})
                        of_program.setdefault(figure, []).append(value)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=list(MEASUREMENTS), help="this measurement (repeatable)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also keep the figures")
    for field in dataclasses.fields(Sizes):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # namespaces and programs go, as after Ctrl-C
    sizes = Sizes(**{f.name: getattr(options, f.name) for f in dataclasses.fields(Sizes)})
    figures = measure(sizes, options.rounds, options.only or list(MEASUREMENTS))
    if options.json:
        options.json.write_text(json.dumps(figures))
    print(report.table(figures, dataclasses.asdict(sizes)))
    found = report.verdicts(figures, dataclasses.asdict(sizes))
    print("\n".join(str(v) for v in found))
    return 0 if all(v.met for v in found) else 1


if __name__ == "__main__":
    sys.exit(main())
