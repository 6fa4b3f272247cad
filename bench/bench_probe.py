"""Checks per second against a server on loopback, beside a plain asyncio twin; correctness first.

The server runs in processes of its own, but on the same cores: with few of them the figures hold its share as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from fastha.checker.ending import Ending
from fastha.checker.probe import RESULT, Probes
from fastha.loop.reactor import Reactor

BODY = b"x" * 500
REPLY = b"HTTP/1.0 200 OK\r\nServer: bench\r\nContent-Length: 500\r\n\r\n" + BODY
REQUEST = b"GET / HTTP/1.0\r\nUser-Agent: bench\r\nHost: localhost\r\n\r\n"
MD5 = hashlib.md5(BODY).digest()
STATUS = ((200, 299),)
S = 10**9
COUNT = 2000
AT_ONCE = 256
LINGER = struct.pack("ii", 1, 0)


def serve(listening: socket.socket) -> None:
    """One connection after the other, with as few calls as can be: a prober must not wait for its server."""
    while True:
        sock, _ = listening.accept()
        try:
            if sock.recv(4096):
                sock.send(REPLY)
        except OSError:
            pass  # a TCP probe: reset before we came to it
        sock.close()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        where = listening.getsockname()
        processes = [multiprocessing.get_context("fork").Process(target=serve, args=(listening,)) for _ in range(2)]
        for process in processes:
            process.start()
        yield where
        for process in processes:
            process.kill()
            process.join()
            process.close()


class Native:
    """COUNT slots, each probed once per call."""

    def __init__(self, address: tuple[str, int], http: bool) -> None:
        self.reactor = Reactor()
        self.probes = Probes(self.reactor, self._results, AT_ONCE)
        urls = [(REQUEST, STATUS, MD5)] if http else []
        self.slots = [self.probes.open(*address, timeout_ns=10 * S, delay_ns=60 * S, urls=urls) for _ in range(COUNT)]
        self.endings: list[int] = []

    def _results(self, data: bytes) -> None:
        self.endings += [one[2] for one in RESULT.iter_unpack(data)]
        if len(self.endings) == COUNT:
            self.reactor.stop()

    def __call__(self) -> set[int]:
        self.endings = []
        now = self.reactor.now_ns()
        for slot in self.slots:
            self.probes.schedule(slot, now)
        self.reactor.run()
        assert len(self.endings) == COUNT
        return set(self.endings)

    def close(self) -> None:
        assert self.probes.check() == 0
        self.probes.close()
        self.reactor.close()


async def slow_probe(address: tuple[str, int], http: bool, gate: asyncio.Semaphore) -> Ending:
    """The same probe on asyncio's streamless socket calls."""
    loop = asyncio.get_running_loop()
    async with gate:
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            data = b""
            if http:
                await loop.sock_sendall(sock, REQUEST)
                while len(data) < len(REPLY):
                    piece = await loop.sock_recv(sock, 65536)
                    if not piece:
                        return Ending.SHORT
                    data += piece
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    if not http:
        return Ending.CONNECTED
    head, _, body = data.partition(b"\r\n\r\n")
    if not any(low <= int(head.split(b" ")[1]) <= high for low, high in STATUS):
        return Ending.STATUS
    return Ending.ANSWERED if hashlib.md5(body).digest() == MD5 else Ending.DIGEST


def slowly(address: tuple[str, int], http: bool) -> set[int]:
    async def main() -> set[int]:
        gate = asyncio.Semaphore(AT_ONCE)
        return set(await asyncio.gather(*(slow_probe(address, http, gate) for _ in range(COUNT))))

    return asyncio.run(main())


Benchmark = Callable[[Callable[..., object]], object]


@pytest.mark.benchmark(group="2000 TCP probes")
def test_tcp_native(benchmark: Benchmark, address: tuple[str, int]) -> None:
    native = Native(address, http=False)
    assert native() == {Ending.CONNECTED}
    benchmark(native)
    native.close()


@pytest.mark.benchmark(group="2000 TCP probes")
def test_tcp_asyncio(benchmark: Benchmark, address: tuple[str, int]) -> None:
    assert slowly(address, http=False) == {Ending.CONNECTED}
    benchmark(lambda: slowly(address, http=False))


@pytest.mark.benchmark(group="2000 HTTP probes with digest")
def test_http_native(benchmark: Benchmark, address: tuple[str, int]) -> None:
    native = Native(address, http=True)
    assert native() == {Ending.ANSWERED}
    benchmark(native)
    native.close()


@pytest.mark.benchmark(group="2000 HTTP probes with digest")
def test_http_asyncio(benchmark: Benchmark, address: tuple[str, int]) -> None:
    assert slowly(address, http=True) == {Ending.ANSWERED}
    benchmark(lambda: slowly(address, http=True))
