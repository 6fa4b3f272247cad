"""A TCP server on loopback that does to each HTTP request what its path says; for probes to be tried on.

A path is registered with `say(data, end, pieces)`: after the request the server sends `data` (in `pieces`) and then
closes, resets, or stalls or floods (with the last bytes of `data`) until the client goes away. It runs an event loop
of its own in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from types import TracebackType

RESET = struct.pack("ii", 1, 0)


class RoughServer:
    """Use as a context manager. `open_connections` counts those the client has not given up."""

    def __init__(self, ip: str = "127.0.0.1") -> None:
        self.ip = ip
        self.port = 0
        self.accepted = 0
        self.open_connections = 0
        self.requests: list[bytes] = []
        self.bind_address = ""
        self._replies: dict[str, tuple[bytes, str, int, float]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def say(self, data: bytes, end: str = "close", pieces: int = 0, delay_s: float = 0.0) -> str:
        """A path whose reply is `data`, in pieces of `pieces` bytes (0: at once), `delay_s` after the request."""
        path = f"/{len(self._replies)}"
        self._replies[path] = data, end, pieces, delay_s
        return path

    def change(self, path: str, data: bytes, end: str = "close") -> None:
        self._replies[path] = data, end, 0, 0.0

    def __enter__(self) -> RoughServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        family = socket.AF_INET6 if ":" in self.ip else socket.AF_INET
        listening = socket.create_server((self.ip, 0), family=family, backlog=4096)
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        self._loop.add_reader(listening, self._accept, listening)
        self._ready.set()
        await self._stop.wait()
        self._loop.remove_reader(listening)
        listening.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # nothing more to accept, or no descriptor for it
            for _ in range(64):
                sock, where = listening.accept()
                sock.setblocking(False)
                self.accepted += 1
                self.bind_address = where[0]
                task = self._loop.create_task(self._serve(sock))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(lambda _task, sock=sock: sock.close())  # also if it never began

    async def _serve(self, sock: socket.socket) -> None:
        self.open_connections += 1
        try:
            with contextlib.suppress(OSError):
                await self._talk(sock)
        finally:
            self.open_connections -= 1
            sock.close()

    async def _talk(self, sock: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            piece = await self._loop.sock_recv(sock, 4096)
            if not piece:
                return
            request += piece
        self.requests.append(request)
        data, end, pieces, delay_s = self._replies.get(request.split(b" ")[1].decode(), (b"", "close", 0, 0.0))
        if delay_s:
            await asyncio.sleep(delay_s)
        for at in range(0, len(data), pieces or max(1, len(data))):
            await self._loop.sock_sendall(sock, data[at : at + (pieces or len(data))])
            await asyncio.sleep(0)
        if end == "reset":
            if data:
                await asyncio.sleep(0.02)  # what was sent is to be read before the reset destroys it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif end == "flood":
            flood = (data[-64:] or b"x") * 1024
            while True:
                await self._loop.sock_sendall(sock, flood)
                await asyncio.sleep(0)
        elif end == "stall":
            while await self._loop.sock_recv(sock, 4096):
                pass
