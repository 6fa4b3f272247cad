"""What happens in a namespace: when adverts arrive, when addresses appear. Seconds of CLOCK_REALTIME."""

from __future__ import annotations

import itertools
import os
import select
import socket
import struct
import threading
import time
from types import TracebackType

from fastha.lab.netns import Namespace

SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
RTMGRP_IPV4_IFADDR = 0x10
RTM_NEWADDR = 20
VRRP = 112


class _Ear:
    """A thread that takes in one socket until the end of the `with`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket = sock
        self._end, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Ear:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        for fd in (self._end, self._wake):
            os.close(fd)
        self._socket.close()

    def _run(self) -> None:
        while self._end not in (ready := select.select([self._socket, self._end], [], [])[0]):
            if ready:
                self._take()

    def _take(self) -> None:
        raise NotImplementedError


class Adverts(_Ear):
    """`heard[vrid]`: when adverts of that router arrived at `interface`, resignations (priority 0) left out."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        sock = namespace.socket(socket.AF_INET, socket.SOCK_RAW, VRRP)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        with namespace.entered():
            index = socket.if_nametoindex(interface)
        group = struct.pack("4s4si", socket.inet_aton("224.0.0.18"), bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        super().__init__(sock)
        self.heard: dict[int, list[float]] = {}

    def _take(self) -> None:
        data, extra, _flags, _from = self._socket.recvmsg(2048, 256)
        start = (data[0] & 15) * 4  # the IP header's length, RFC 791 section 3.1
        stamps = [struct.unpack("@qq", value[:16]) for _l, kind, value in extra if kind == SO_TIMESTAMPNS]
        seconds, ns = stamps[0] if stamps else divmod(time.time_ns(), 10**9)
        if data[start + 2]:  # RFC 9568 section 5.1: version and type, virtual router, priority
            self.heard.setdefault(data[start + 1], []).append(seconds + ns / 1e9)


class Addresses(_Ear):
    """`added`: when each IPv4 address was announced by the kernel, in order."""

    def __init__(self, namespace: Namespace) -> None:
        sock = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        sock.bind((0, RTMGRP_IPV4_IFADDR))
        super().__init__(sock)
        self.added: list[float] = []
        self.lost = False

    def _take(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except OSError:  # ENOBUFS
            self.lost = True
            return
        now = time.time()
        at = 0
        while at < len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == RTM_NEWADDR:
                self.added.append(now)
            at += (length + 3) & ~3


def gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(times)]
