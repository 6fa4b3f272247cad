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
RTMGRP_LINK = 1
RTM_NEWADDR, RTM_NEWLINK = 20, 16
IFF_UP = 1
VRRP = 112
EAR_PRIORITY = 20  # above subject.FIFO_PRIORITY


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
        # It tells when it heard something: on a busy machine not how long it waited for a core. Of this thread alone.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(EAR_PRIORITY))
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


class _Kernel(_Ear):
    """What the kernel announces to a netlink group."""

    def __init__(self, namespace: Namespace, group: int) -> None:
        sock = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        sock.bind((0, group))
        super().__init__(sock)
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
            self._heard(kind, data, at, now)
            at += (length + 3) & ~3

    def _heard(self, kind: int, data: bytes, at: int, now: float) -> None:
        raise NotImplementedError


class Addresses(_Kernel):
    """`added`: when each IPv4 address was announced by the kernel, in order."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace, RTMGRP_IPV4_IFADDR)
        self.added: list[float] = []

    def _heard(self, kind: int, data: bytes, at: int, now: float) -> None:
        if kind == RTM_NEWADDR:
            self.added.append(now)


class Links(_Kernel):
    """`up`: when each interface was first heard to be up, by index."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace, RTMGRP_LINK)
        self.up: dict[int, float] = {}

    def _heard(self, kind: int, data: bytes, at: int, now: float) -> None:
        index, flags = struct.unpack_from("=iI", data, at + 20)  # struct ifinfomsg behind the header, rtnetlink(7)
        if kind == RTM_NEWLINK and flags & IFF_UP:
            self.up.setdefault(index, now)


def gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(times)]
