"""The control socket: answers come from the parent's picture, at once, never by asking a child.

A client costs what these limits say and no more, whatever it does: it has PATIENCE_NS to say a whole request and to
take a whole answer, one request is served at a time, and answers that are not taken yet share MAX_OUTSTANDING bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from fastha.errors import SystemFault
from fastha.model.units import NS_PER_S
from fastha.parent.access import Access, peer
from fastha.parent.loop import READ, WRITE, Loop, Timer
from fastha.parent.protocol import MAX_REQUEST, BadRequest, Request, answer, parse, refusal

MAX_CLIENTS = 64
MAX_STRANGERS = 32  # of these, clients that are no admins: they cannot keep root out
MAX_OUTSTANDING = 1 << 26
PATIENCE_NS = 10 * NS_PER_S
ACCEPTS_PER_TURN = 16
WRITE_BYTES = 1 << 18

EVERYBODY = Access()  # may look; root and the daemon's own user may change something

Reply = Callable[[bytes], None]
# request, reply -> None; reply may be called later, once, and does nothing for a client that has left.
Handler = Callable[[Request, Reply], None]


def listen(path: str, access: Access = EVERYBODY) -> socket.socket:
    """A listening socket at `path`; one left behind by a dead daemon is replaced. SystemFault in one clear line."""
    try:
        Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Between looking and binding nobody else may do the same.
        directory = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            _remove_stale(path)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                sock.bind(path)
                access.protect(path)  # who may do what is decided by SO_PEERCRED
                sock.listen(MAX_CLIENTS)
            except BaseException:
                sock.close()
                raise
            return sock
        finally:
            os.close(directory)
    except OSError as error:
        raise SystemFault(f"control socket {path}: {error.strerror or error}") from None


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SystemFault(f"control socket {path}: there is something else of that name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        code = probe.connect_ex(path)
    if code not in (errno.ECONNREFUSED, errno.ENOENT):
        raise SystemFault(f"another fastha answers at the control socket {path} (a second one needs its own --control)")
    os.unlink(path)


class Server:
    """Owns the listening socket and its clients."""

    def __init__(self, loop: Loop, path: str, handler: Handler, access: Access = EVERYBODY) -> None:
        self.path = path
        self.refused = 0
        self._loop, self._handler, self._access = loop, handler, access
        self._listener = listen(path, access)
        self._inode = os.lstat(path).st_ino
        self._clients: set[Client] = set()
        self._paused: Timer | None = None
        loop.add(self._listener.fileno(), READ, self._accept)

    @property
    def clients(self) -> int:
        return len(self._clients)

    def outstanding(self) -> int:
        """Bytes of answers that clients have not taken yet; a shared answer counts once."""
        return sum({id(c.output): len(c.output) for c in self._clients}.values())

    def handle(self, request: Request, reply: Reply) -> None:
        self._handler(request, reply)

    def forget(self, client: Client) -> None:
        self._clients.discard(client)

    def _accept(self, _events: int) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # Out of descriptors: the connection stays in the backlog. Look again later instead of spinning.
                self._loop.remove(self._listener.fileno())
                self._paused = self._loop.call_later(NS_PER_S // 10, self._resume)
                return
            sock.setblocking(False)
            uid, groups = peer(sock)
            admin = self._access.is_admin(uid, groups)
            strangers = sum(not c.admin for c in self._clients)
            if len(self._clients) >= MAX_CLIENTS or (not admin and strangers >= MAX_STRANGERS):
                self.refused += 1
                _say_busy(sock)
                sock.close()
                continue
            self._clients.add(Client(self._loop, self, sock, admin, uid))

    def _resume(self) -> None:
        self._paused = None
        self._loop.add(self._listener.fileno(), READ, self._accept)

    def close(self) -> None:
        """Close everything and remove the socket, unless it is somebody else's by now. Answers that a client can
        take at once are still written."""
        for client in list(self._clients):
            client.close()
        if self._paused is not None:
            self._paused.cancel()
        else:
            self._loop.remove(self._listener.fileno())
        self._listener.close()
        try:
            if os.lstat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        except OSError:
            pass


class Client:
    """One connection: reads a line, has it answered, writes the answer, reads the next."""

    def __init__(self, loop: Loop, server: Server, sock: socket.socket, admin: bool, uid: int) -> None:
        self.admin, self.uid = admin, uid
        self.output = b""
        self._written = 0
        self._loop, self._server, self._sock = loop, server, sock
        self._input = bytearray()
        self._answering = False
        self._open = True
        self._deadline = loop.call_later(PATIENCE_NS, self.close)
        loop.add(sock.fileno(), READ, self._event)

    def _event(self, events: int) -> None:
        if events & WRITE:
            self._write()
        elif events & READ:
            self._read()

    def _read(self) -> None:
        try:
            data = self._sock.recv(MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self._answering:  # only to notice that it has left: what it says now is a nuisance
            if len(self._input) + len(data) > MAX_REQUEST:
                self.close()
                return
            self._input += data
            return
        self._input += data
        self._next()

    def _next(self) -> None:
        """Take one request from what was read."""
        line, newline, rest = self._input.partition(b"\n")
        if not newline or len(line) > MAX_REQUEST:
            if len(self._input) > MAX_REQUEST:
                self._answer(refusal(BadRequest("malformed", f"a request has at most {MAX_REQUEST} bytes")))
                self.close()
            return
        self._input = rest
        self._answering = True
        self._deadline.cancel()  # our time now, not the client's
        try:
            request = parse(bytes(line), self.admin, self.uid)
            if self._server.outstanding() > MAX_OUTSTANDING:
                raise BadRequest("busy", "too many answers wait for slow clients")
        except BadRequest as error:
            self._answer(refusal(error))
        else:
            self._server.handle(request, self._answer)

    def _answer(self, output: bytes) -> None:
        if not self._open:
            return
        self.output, self._written = output, 0
        self._deadline.cancel()
        self._deadline = self._loop.call_later(PATIENCE_NS, self.close)
        self._write()

    def _write(self) -> None:
        try:
            while self._written < len(self.output):
                view = memoryview(self.output)[self._written : self._written + WRITE_BYTES]
                self._written += self._sock.send(view)
        except BlockingIOError:
            self._loop.modify(self._sock.fileno(), WRITE)
            return
        except OSError:
            self.close()
            return
        self.output = b""
        self._answering = False
        self._loop.modify(self._sock.fileno(), READ)
        if self._input:
            # In a later turn: a client with many requests waits in line like everybody else.
            self._loop.call_later(0, self._continue)

    def _continue(self) -> None:
        if self._open and not self._answering:
            self._next()

    def close(self) -> None:
        """Idempotent."""
        if self._open:
            self._open = False
            self.output = b""
            self._deadline.cancel()
            self._loop.remove(self._sock.fileno())
            self._sock.close()
            self._server.forget(self)


def _say_busy(sock: socket.socket) -> None:
    try:
        sock.send(answer({"ok": False, "code": "busy", "error": "too many clients"}))
    except OSError:
        pass
