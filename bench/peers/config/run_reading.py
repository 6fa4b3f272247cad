"""`fastha check` beside Debian's `keepalived -t`: the whole process from exec to end, on the same file, taking turns.

    make bench-peers-config                            some minutes
    python bench/peers/config/run_reading.py -n 1000 --rounds 3

Ends with 1 if a target is missed. Medians of the ratios of neighbours: a busy machine hits both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import reading_workload as workload  # noqa: E402


@dataclass(frozen=True)
class Run:
    """One process: seconds, and the most memory it had in bytes."""

    wall: float
    cpu: float
    memory: int


def run(command: list[str], environment: dict[str, str]) -> Run:
    """RuntimeError unless the process ends with 0."""
    started = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    said = child.stdout.read()
    child.stdout.close()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command}: status {child.returncode}\n{said.decode(errors='replace')[-2000:]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


class Bench:
    """The two programs, and where their files are."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.fastha = [str(Path(sys.executable).with_name("fastha")), "check", "-f"]
        self.keepalived = ["keepalived", "-G", "-t", "-f"]
        # an installed package is compiled; what others may not write is compiled to a place of our own
        self.environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
        self.environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        empty = self.write("empty", "global_defs {\n}\n")
        run([*self.fastha, empty], self.environment)
        self.start = [run([*self.fastha, empty], self.environment) for _ in range(rounds)]
        bare = [sys.executable, "-c", "pass"]
        self.python = [run(bare, self.environment) for _ in range(rounds)]

    def write(self, name: str, text: str) -> str:
        path = self.folder / f"{name}.conf"
        path.write_text(text)
        return str(path)

    def pairs(self, path: str, rounds: int, alone: bool = False) -> list[tuple[Run, Run | None]]:
        """Runs of fastha and keepalived, in turns; `alone`: of fastha only."""
        return [
            (
                run([*self.fastha, path], self.environment),
                None if alone else run([*self.keepalived, path], self.environment),
            )
            for _ in range(rounds)
        ]


def row(name: str, text: str, pairs: list[tuple[Run, Run | None]]) -> str:
    ours = [o for o, _ in pairs]
    both = [(o, k) for o, k in pairs if k is not None]
    cells = [
        name,
        f"{text.count(chr(10))}",
        f"{median(o.wall for o in ours):.3f}",
        f"{median(o.cpu for o in ours):.3f}",
    ]
    if both:
        cells += [f"{median(k.wall for _, k in both):.3f}", f"{median(k.cpu for _, k in both):.3f}"]
        cells += [f"{median(o.wall / k.wall for o, k in both):.2f}", f"{median(o.cpu / k.cpu for o, k in both):.2f}"]
    else:
        cells += [""] * 4
    cells.append(f"{max(o.memory for o in ours) / (1 << 20):.0f}")
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10_000, metavar="N", help="real servers (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="medians of so many (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fastha-reading-") as name:
        return measure(Bench(Path(name), options.rounds), options.n)


def measure(bench: Bench, n: int) -> int:
    python, start = (median(r.wall for r in runs) for runs in (bench.python, bench.start))
    idle = median(r.memory for r in bench.start)
    print(f"python -c pass: {python:.3f} s; fastha check of an empty file: {start:.3f} s, {idle / (1 << 20):.0f} MiB\n")
    print("| file | lines | fastha s | cpu | keepalived s | cpu | ratio | cpu | MiB |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    texts = {
        "TCP_CHECK": workload.configuration(workload.TCP, n),
        "HTTP_GET, url": workload.configuration(workload.HTTP, n),
        "nothing said twice": workload.configuration(workload.OWN, n),
    }
    done = {}
    for name, text in texts.items():
        done[name] = bench.pairs(bench.write("file", text), bench.rounds)
        print(row(name, text, done[name]), flush=True)
    large = workload.configuration(workload.TCP, 5 * n)
    done["five times TCP_CHECK"] = bench.pairs(bench.write("file", large), max(bench.rounds // 3, 1))
    print(row("five times TCP_CHECK", large, done["five times TCP_CHECK"]), flush=True)
    single = workload.configuration(workload.TCP, 5 * n, 5 * n)
    # keepalived's time grows with the square of the servers in one virtual server: minutes, at this size
    done["the same, one virtual server"] = bench.pairs(
        bench.write("file", single), max(bench.rounds // 3, 1), alone=True
    )
    print(row("the same, one virtual server", single, done["the same, one virtual server"]), flush=True)

    start = median(r.cpu for r in bench.start)

    def ratio(name: str) -> float:
        return median(o.wall / k.wall for o, k in done[name] if k is not None)

    def cost(name: str) -> float:
        return median(o.cpu for o, _ in done[name]) - start

    def memory(name: str, text: str) -> float:
        return (max(o.memory for o, _ in done[name]) - idle) / len(text)

    met = True
    for text, value, most in (
        ("TCP_CHECK: fastha / keepalived", ratio("TCP_CHECK"), 1.5),
        ("HTTP_GET: fastha / keepalived", ratio("HTTP_GET, url"), 1.5),
        ("growth: CPU of five times as many lines", cost("five times TCP_CHECK") / cost("TCP_CHECK"), 6),
        ("growth in one virtual server", cost("the same, one virtual server") / cost("TCP_CHECK"), 6),
        ("memory / bytes of the file, five times", memory("five times TCP_CHECK", large), 10),
        ("memory / bytes, nothing said twice", memory("nothing said twice", texts["nothing said twice"]), 10),
    ):
        met &= value <= most
        print(f"{'met   ' if value <= most else 'MISSED'} {text}: {value:.3g}, target <= {most:g}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
