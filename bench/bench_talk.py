"""What an SSL_GET costs: CPU of this process for each, and how many a second, beside a plain blocking client.

The server is nginx on the same machine, in a process of its own. Load bends seconds but not CPU time, so ratios are of
CPU; the contestants take turns, a round each, and medians count. `make bench ARGS="-k talk -s"` prints the table.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastha.checker.ending import Ending
from fastha.checker.request import request
from fastha.model import HttpUrl, SslCheck, Tls
from oracles.real_servers import certificates, nginx
from oracles.talks import TalkBench

URL = HttpUrl(path="/page")
LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    certs: Path = certificates(tmp_path_factory.mktemp("certs"))
    with nginx(certs) as (root, ports):
        (root / "www" / "page").write_bytes(b"all is well\n" * 20)
        yield ports["tls"]


def checked(port: int, reuse: bool) -> SslCheck:
    """`expiry_days` has each handshake done in full."""
    return SslCheck(ip=LOCAL, port=port, urls=(URL,), tls=Tls(sni="good.test", expiry_days=0 if reuse else 1))


def connected(port: int) -> socket.socket:
    sock = socket.create_connection((LOCAL, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Blocking:
    """A client as one would write it by hand: one connection after the other."""

    def __init__(self, port: int, reuse: bool) -> None:
        self.request = request(checked(port, reuse), URL)
        self.port, self.reuse = port, reuse
        self.session: ssl.SSLSession | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def __call__(self, count: int) -> None:
        for _ in range(count):
            with (
                connected(self.port) as raw,
                self.context.wrap_socket(raw, server_hostname="good.test", session=self.session) as sock,
            ):
                sock.sendall(self.request)
                reply = b""
                while data := sock.recv(65536):
                    reply += data
                self.session = sock.session if self.reuse else None
            assert reply.startswith(b"HTTP/1.1 200")


class Ours:
    """The engine, `at_once` checks in flight."""

    def __init__(self, bench: TalkBench, port: int, reuse: bool, at_once: int) -> None:
        self.bench = bench
        self.slots = [bench.talks.open(checked(port, reuse)) for _ in range(at_once)]

    def __call__(self, count: int) -> None:
        for _ in range(count // len(self.slots)):
            assert {a.ending for a in self.bench.again(self.slots)} == {Ending.ANSWERED}


def bench_talk_ssl_get(port: int, benchmark: Callable[..., object]) -> None:
    timed = not getattr(benchmark, "disabled", True)
    rounds, count = (7, 160) if timed else (1, 32)
    with TalkBench() as bench:
        runs: dict[str, Callable[[int], None]] = {
            "blocking, full handshake": Blocking(port, reuse=False),
            "ours, full handshake": Ours(bench, port, False, 32),
            "blocking, session reused": Blocking(port, reuse=True),
            "ours, session reused": Ours(bench, port, True, 32),
        }
        cpu: dict[str, list[float]] = {name: [] for name in runs}
        wall: dict[str, list[float]] = {name: [] for name in runs}
        for run in runs.values():
            run(32)

        def contest() -> None:
            for name, run in runs.items():
                began, used = time.perf_counter(), time.process_time()
                run(count)
                cpu[name].append((time.process_time() - used) / count)
                wall[name].append((time.perf_counter() - began) / count)

        benchmark.pedantic(contest, rounds=rounds, iterations=1)  # type: ignore[attr-defined]
        assert bench.talks.counters()["resumed"] >= rounds * (count - 32)
    print()
    for name in runs:
        other = name.replace("ours", "blocking")
        ratio = statistics.median(a / b for a, b in zip(cpu[name], cpu[other], strict=True))
        print(
            f"{name:26} {statistics.median(cpu[name]) * 1e6:7.0f} us CPU {1 / statistics.median(wall[name]):7.0f} /s"
            f"  CPU / blocking {ratio:5.2f}"
        )
