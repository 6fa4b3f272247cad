"""Health checks of fastha beside a C program that makes the bare system calls: CPU time, lateness, memory.

    make bench-peers-checks                        some minutes
    python bench/peers/checks/run.py --rounds 3 -n 10000

Needs gcc and a loopback. Ends with 1 if a target is missed. CPU time is compared, in interleaved pairs, so other work
on the machine bends the ratios little; lateness wants a core that nobody else uses.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import memory
import rate

HERE = Path(__file__).resolve().parent
RATES = (("tcp", 10_000), ("http", 5_000))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("-n", type=int, default=50_000, help="real servers for memory and lateness; 0: none")
    options = parser.parse_args(argv)
    met = []
    with tempfile.TemporaryDirectory(prefix="fastha-checks-") as folder:
        floor = Path(folder) / "floor"
        subprocess.run(["gcc", *rate.FLAGS, str(HERE / "floor.c"), "-o", str(floor)], check=True)
        port = rate.free_port()
        with subprocess.Popen([str(floor), "serve", str(port)]) as server:
            try:
                if os.geteuid() == 0:
                    os.setpriority(os.PRIO_PROCESS, server.pid, -10)  # a prober must not wait for its server
                time.sleep(0.3)
                for kind, wanted in RATES:
                    found = rate.pairs(kind, wanted, options.rounds, options.seconds, floor, port)
                    met.append(rate.report(kind, wanted, found))
                if options.n:
                    met.append(memory.report("tcp", options.n, port, 20, bound=True))
                    met.append(memory.report("http", options.n, port, 20, bound=False))
            finally:
                server.kill()
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
