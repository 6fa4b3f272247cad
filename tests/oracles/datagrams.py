"""Datagram servers for probes to be tried on, each with its own way, in one thread; and slow twins of the probes."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from fastha.checker.ending import Ending

Answer = Callable[[bytes], Sequence[bytes]]
"""What is sent back for a datagram: any number of datagrams."""


def silent(_question: bytes) -> Sequence[bytes]:
    return ()


def echo(question: bytes) -> Sequence[bytes]:
    return (question,)


def says(*replies: bytes) -> Answer:
    return lambda _question: replies


def dns(rcode: int = 0, before: Sequence[bytes] = ()) -> Answer:
    """Answers with this response code, after other datagrams; in those two leading bytes ID are the query's id."""

    def answer(question: bytes) -> Sequence[bytes]:
        head = question[:2] + bytes([question[2] | 0x80, rcode]) + question[4:]
        return (*(d.replace(b"ID", question[:2], 1) for d in before), head)

    return answer


class Datagrams:
    """Use as a context manager. `serve(answer)` gives the port of a server that answers so, and keeps what it heard."""

    def __init__(self, ip: str = "127.0.0.1") -> None:
        self.ip = ip
        self.heard: dict[int, list[bytes]] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._answers: dict[int, tuple[int, Answer]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def serve(self, answer: Answer) -> int:
        family = socket.AF_INET6 if ":" in self.ip else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((self.ip, 0))
        port: int = sock.getsockname()[1]
        self.heard[port] = []
        self._answers[sock.fileno()] = port, answer
        self._selector.register(sock, selectors.EVENT_READ)
        self._wake.send(b"x")
        return port

    def change(self, port: int, answer: Answer) -> None:
        fd = next(fd for fd, (p, _) in self._answers.items() if p == port)
        self._answers[fd] = port, answer

    def __enter__(self) -> Datagrams:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._wake.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is self._woken:
                    if not self._woken.recv(100):
                        return
                    continue
                port, answer = self._answers[key.fd]
                question, where = key.fileobj.recvfrom(65536)
                self.heard[port].append(question)
                for reply in answer(question):
                    key.fileobj.sendto(reply, where)


def slow_udp(
    ip: str, port: int, timeout_s: float, payload: bytes, wanted: tuple[bytes, bytes, int, int] | None
) -> Ending:
    """One UDP probe, blocking. `wanted`: (pattern, mask, least, most) of a reply, None if none is required."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect((ip, port))
        sock.send(payload)
        try:
            reply = sock.recv(65536)
        except TimeoutError:
            return Ending.SILENT if wanted is None else Ending.REPLY_TIMEOUT
        except ConnectionRefusedError:
            return Ending.REFUSED
    if wanted is None:
        return Ending.ANSWERED
    pattern, mask, least, most = wanted
    if not least <= len(reply) <= most:
        return Ending.LENGTH
    same = [a & m == b & m for a, b, m in zip(reply, pattern, mask, strict=False)]
    return Ending.ANSWERED if len(reply) >= len(pattern) and all(same) else Ending.MISMATCH


def slow_dns(ip: str, port: int, timeout_s: float, query: bytes) -> Ending:
    """One DNS probe, blocking."""
    query = b"\x12\x34" + query[2:]
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect((ip, port))
        sock.send(query)
        while True:
            try:
                reply = sock.recv(65536)
            except TimeoutError:
                return Ending.REPLY_TIMEOUT
            except ConnectionRefusedError:
                return Ending.REFUSED
            if len(reply) >= 12 and reply[:2] == query[:2] and reply[2] & 0x80:
                return Ending.RCODE if reply[3] & 15 else Ending.ANSWERED
