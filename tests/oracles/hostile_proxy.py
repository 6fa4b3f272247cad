"""A proxy on loopback that lets a real server speak up to a byte, and then ruins it; for whatever protocol.

`plans` are taken one by one, a connection each: (how many bytes the server may say, what happens then).

    stall    nothing more is said; the connection stays open until the client goes
    close    it is closed
    reset    it is reset
    noise    random bytes instead of the server's, as many as it had, then it is closed
    flip     one bit of the next byte is wrong; the rest is the server's
    flood    random bytes without end
    drip     the rest comes byte by byte
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter, deque

RESET = struct.pack("ii", 1, 0)
ENDS = ("stall", "close", "reset", "noise", "flip", "flood", "drip")


class HostileProxy:
    """Use as a context manager; it runs an event loop of its own in a thread."""

    def __init__(self, upstream: int, rng: random.Random) -> None:
        self.port = 0
        self.plans: deque[tuple[int, str]] = deque()
        self.played: Counter[str] = Counter()
        self.most_said = 0  # bytes of the longest whole conversation
        self.flooded = 0
        self._upstream = upstream
        self._rng = rng
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> HostileProxy:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        accepting = self._loop.create_task(self._accept(listening))
        self._ready.set()
        await self._stop.wait()
        accepting.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(accepting, *self._tasks, return_exceptions=True)
        listening.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listening)
            client.setblocking(False)
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        limit, end = self.plans.popleft() if self.plans else (1 << 30, "close")
        server = socket.socket()
        server.setblocking(False)
        up = None
        try:
            with contextlib.suppress(OSError):
                await self._loop.sock_connect(server, ("127.0.0.1", self._upstream))
                up = self._loop.create_task(self._pump_up(client, server))
                await self._pump_down(client, server, limit, end)
        finally:
            if up is not None:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)
            client.close()
            server.close()
            self.played[end] += 1

    async def _pump_up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            try:
                while data := await self._loop.sock_recv(client, 65536):
                    await self._loop.sock_sendall(server, data)
            finally:  # also after a reset: `_pump_down` waits for the server
                server.shutdown(socket.SHUT_RDWR)

    async def _pump_down(self, client: socket.socket, server: socket.socket, limit: int, end: str) -> None:
        said = 0
        ruined = False
        while data := await self._loop.sock_recv(server, 65536):
            if not ruined and said + len(data) > limit:
                keep = limit - said
                await self._loop.sock_sendall(client, data[:keep])
                said += keep
                data = data[keep:]
                ruined = True
                if end == "noise":
                    await self._loop.sock_sendall(client, self._rng.randbytes(len(data)))
                elif end == "flood":
                    while self.flooded < 1 << 28:
                        piece = self._rng.randbytes(65536)
                        await self._loop.sock_sendall(client, piece)
                        self.flooded += len(piece)
                elif end == "flip":
                    data = bytes([data[0] ^ 1 << self._rng.randint(0, 7)]) + data[1:]
                if end == "reset":
                    await asyncio.sleep(0.005)  # what was said is to be read before the reset destroys it
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                if end == "stall":
                    await self._gone(client)
                if end not in ("flip", "drip"):
                    return
            if ruined and end == "drip":
                for byte in data:
                    await self._loop.sock_sendall(client, bytes([byte]))
                    await asyncio.sleep(0)
            else:
                await self._loop.sock_sendall(client, data)
            said += len(data)
            self.most_said = max(self.most_said, said)

    async def _gone(self, client: socket.socket) -> None:
        """Until the client has closed; `_pump_up` reads what it says."""
        while True:
            await asyncio.sleep(0.02)
            state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if state[0] != 1:  # TCP_ESTABLISHED
                return
