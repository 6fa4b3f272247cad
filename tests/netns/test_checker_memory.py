"""What a real server costs in the checker's memory, over a checker with one: at most 1 KB.

make bench-peers-checks measures it while checks are made, and at 50 000.
"""

from __future__ import annotations

from pathlib import Path

import need
from fastha.model import RealServer, TcpCheck, VirtualServer
from netns.test_checker_process import Parent

HOUR = 3600 * 10**9
COUNT = 20_000
PER_SERVICE = 100
MOST = 1024  # bytes


def virtual_servers(count: int) -> list[VirtualServer]:
    out = []
    for at in range(0, count, PER_SERVICE):
        reals = []
        for n in range(at, min(count, at + PER_SERVICE)):
            ip = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
            check = TcpCheck(ip=ip, port=80, delay_ns=HOUR, warmup_ns=HOUR)
            reals.append(RealServer(ip=ip, port=80, checks=(check,)))
        out.append(VirtualServer(ip=f"198.18.{at >> 16}.{at // PER_SERVICE & 255}", port=80, real_servers=tuple(reals)))
    return out


def rss(parent: Parent) -> int:
    """Bytes, of the process as it is now."""
    lines = Path(f"/proc/{parent.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def test_a_real_server_costs_less_than_a_kilobyte() -> None:
    one, many = Parent(), Parent()
    try:
        one.configure(*virtual_servers(1))
        many.configure(*virtual_servers(COUNT))

        def each() -> float:
            for parent in (one, many):
                parent.hear(0.1)
                parent.messages.clear()
            return (rss(many) - rss(one)) / COUNT

        # What the start needed for a moment is given back after a second, and every 30 s.
        need.wait_until(lambda: each() <= MOST, 45, f"a real server costs at most {MOST} bytes")
        print(f"{each():.0f} bytes each")
    finally:
        one.end()
        many.end()
