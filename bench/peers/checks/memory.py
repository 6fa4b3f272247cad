"""How much memory the checker's process takes for each real server: a child with many beside an empty one."""

from __future__ import annotations

import argparse
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from fastha.channel.endpoint import Endpoint
from fastha.model import Config, HttpCheck, HttpUrl, RealServer, TcpCheck, VirtualServer

S = 10**9
PER_SERVICE = 100


def servers(count: int, kind: str = "TCP_CHECK") -> tuple[VirtualServer, ...]:
    """`count` real servers of 127/8, in virtual servers of PER_SERVICE; the first checks begin within an hour."""
    out = []
    for first in range(0, count, PER_SERVICE):
        reals = []
        for n in range(first, min(first + PER_SERVICE, count)):
            ip = f"127.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}"
            check: TcpCheck | HttpCheck = TcpCheck(ip=ip, port=80, delay_ns=10 * S, warmup_ns=3600 * S)
            if kind == "HTTP_GET":
                check = HttpCheck(ip=ip, port=80, delay_ns=10 * S, warmup_ns=3600 * S, urls=(HttpUrl(path="/health"),))
            reals.append(RealServer(ip=ip, port=80, checks=(check,)))
        out.append(VirtualServer(ip=f"10.{first // 25600}.{first // 100 % 256}.1", port=80, real_servers=tuple(reals)))
    return tuple(out)


def rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise ValueError(f"process {pid} has no memory")


def child_kb(config: Config, settle_s: float = 3.0) -> int:
    """RSS of a checker child that runs `config`, some seconds after its commit."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", "fastha.checker", "--channel", str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    channel = Endpoint(ours, "down")
    try:
        plain = orjson.loads(orjson.dumps(config))
        channel.send(type="propose", generation=1, config=plain, dataplane="none", previous={})
        _until(channel, "ready")
        channel.send(type="commit", generation=1)
        _until(channel, "committed")
        end = time.monotonic() + settle_s
        while time.monotonic() < end:
            _hear(channel, 0.05)
        return rss_kb(child.pid)
    finally:
        channel.close()
        child.kill()
        child.wait()


def _hear(channel: Endpoint, seconds: float) -> set[str]:
    readable, writable, _ = select.select([channel], [channel] if channel.wants_write() else [], [], seconds)
    if writable:
        channel.flush()
    return {m["type"] for m in channel.receive()} if readable else set()


def _until(channel: Endpoint, kind: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        heard = _hear(channel, 0.05)
        if "refused" in heard:
            raise RuntimeError("refused")
        if kind in heard:
            return
    raise TimeoutError(kind)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=50_000)
    options = parser.parse_args(argv)
    empty = child_kb(Config(virtual_servers=servers(1)))
    for kind in ("TCP_CHECK", "HTTP_GET"):
        full = child_kb(Config(virtual_servers=servers(options.n, kind)))
        each = (full - empty) * 1024 / options.n
        print(f"{kind}: empty {empty} kB, {options.n} real servers {full} kB: {each:.0f} bytes each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
