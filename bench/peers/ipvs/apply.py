"""Ours, in a process of its own: `apply.py SCHEDULER N` prints the seconds from a wanted table (Python values) to the
last acknowledgement of IpvsBackend.apply. Nothing is warm: the first use of every cache is in it."""

from __future__ import annotations

import sys
import time

from workload import destinations, table

from fastha.dataplane.ipvs import IpvsBackend
from fastha.dataplane.reconcile import reconcile


def main() -> None:
    wanted = table(sys.argv[1], destinations(int(sys.argv[2])))
    backend = IpvsBackend()
    start = time.perf_counter()
    ops = reconcile(wanted, {}, wanted)
    results = backend.apply(ops)
    took_s = time.perf_counter() - start
    if any(results):
        sys.exit(f"results: {sorted(set(results))}")
    print(f"{took_s:.6f}")


if __name__ == "__main__":
    main()
