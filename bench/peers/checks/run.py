"""Health checks of fastha beside a C program that makes the bare system calls: CPU time, lateness, memory.

    make bench-peers-checks                        some minutes
    python bench/peers/checks/run.py --rounds 3 -n 10000
    python bench/peers/checks/run.py --keepalived --exact --rounds 3
                                                   beside keepalived too, in a virtual machine with IPVS, by
                                                   instructions: for a busy machine; needs qemu and minutes for a round

Needs gcc and a loopback. Ends with 1 if a target is missed. CPU time is compared, in interleaved pairs, so other work
on the machine bends the ratios little; lateness wants a core that nobody else uses (--own-core).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import beside
import memory
import rate

HERE = Path(__file__).resolve().parent
RATES = (("tcp", 10_000), ("http", 5_000))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("-n", type=int, default=50_000, help="real servers for memory and lateness; 0: none")
    parser.add_argument(
        "--own-core", action="store_true", help="lateness: the checker has a core for itself (root; SCHED_FIFO)"
    )
    parser.add_argument("--keepalived", action="store_true", help="in a virtual machine, with Debian's keepalived")
    parser.add_argument("--exact", action="store_true", help="there: by instructions, not by seconds")
    parser.add_argument("--rate", type=int, default=2000, help="there: checks a second")
    options = parser.parse_args(argv)
    if options.keepalived:
        return beside.main(options.rate, options.rounds, options.seconds, options.exact)
    met = []
    with tempfile.TemporaryDirectory(prefix="fastha-checks-") as folder:
        floor = Path(folder) / "floor"
        subprocess.run(["gcc", *rate.FLAGS, str(HERE / "floor.c"), "-o", str(floor)], check=True)
        port = rate.free_port()
        with subprocess.Popen([str(floor), "serve", str(port)]) as server:
            try:
                rate.first(server.pid)
                time.sleep(0.3)
                for kind, wanted in RATES:
                    found = rate.pairs(kind, wanted, options.rounds, options.seconds, floor, port)
                    met.append(rate.report(kind, wanted, found))
                if options.n:
                    met.append(memory.report("tcp", options.n, port, 20, options.own_core))
            finally:
                server.kill()
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
