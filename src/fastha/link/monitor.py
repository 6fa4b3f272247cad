"""Keeps a Table true: a dump at start, then the kernel's notifications; a lost one means another dump."""

from __future__ import annotations

import errno
import select
import socket
import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from fastha.errors import SystemFault
from fastha.link import rtnl
from fastha.link.table import Table
from fastha.model import ReceiveBuffer
from fastha.room import make_room

if TYPE_CHECKING:
    from fastha.loop.reactor import Reactor

ROOM = 1 << 18
BUFFER = 4 << 20  # notifications of some 5000 addresses; more than that costs one more dump
SO_ATTACH_FILTER = 26
# linux/filter.h: BPF_LD|BPF_H|BPF_ABS, BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
LOAD_HALF, LOAD_WORD, EQUAL, RETURN = 0x28, 0x20, 0x15, 0x06
LEAST = 1 << 16  # for answers to a batch
SLICE = 64  # notifications taken in per turn
DUMP_TIMEOUT = struct.pack("ll", 2, 0)
UNSAID = ReceiveBuffer()

Pair = tuple[ReceiveBuffer, ReceiveBuffer]  # of sockets that ask, and of those that are told


def open_netlink(groups: int = 0, buffer: ReceiveBuffer = UNSAID) -> socket.socket:
    """A route netlink socket with a large receive buffer, or with this one. SystemFault if the kernel refuses."""
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        sock.bind((0, groups))
    except OSError as error:
        raise SystemFault(f"cannot open a netlink socket: {error.strerror}") from None
    make_room(sock, BUFFER, buffer)
    return sock


def of_commands(buffer: ReceiveBuffer) -> ReceiveBuffer:
    """For sockets that ask: the answers to one batch have room, whatever is said."""
    return replace(buffer, size=max(buffer.size, LEAST)) if buffer.size else buffer


def dump(inet6: bool = False, buffer: ReceiveBuffer = UNSAID) -> Table:
    """A fresh Table of everything there is now; IPv6 addresses only where asked for."""
    with open_netlink(0, of_commands(buffer)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, DUMP_TIMEOUT)
        table = Table()
        requests = [rtnl.dump_links(1), rtnl.dump_addresses(2)]
        if inet6:
            requests.append(rtnl.dump_addresses(3, socket.AF_INET6))
        for sequence, request in enumerate(requests, 1):
            sock.send(request)
            for message in _until_done(sock, sequence):
                table.apply(message)
        return table


def _until_done(sock: socket.socket, sequence: int) -> Iterator[rtnl.Link | rtnl.Address | rtnl.Gone]:
    while True:
        try:
            data = sock.recv(ROOM)
        except OSError as error:
            raise SystemFault(f"cannot list interfaces: {error.strerror}") from None
        for message in rtnl.parse(data):
            if not isinstance(message, rtnl.Reply):
                yield message
            elif message.sequence == sequence:
                if message.errno:
                    raise SystemFault(f"cannot list interfaces: errno {message.errno}")
                return


Changes = set[tuple[int, str]]  # (interface index, address that came or went; "" for the link itself)


class Monitor:
    """`table` is the present picture; `changed(changes)` is called after each batch of news that changed it, with
    None when everything may have.

    `ignore_added(port)`: of IPv4 addresses that this netlink port adds the kernel says nothing; who adds them tells
    `table`. A takeover of thousands would be heard of twice, and what was lost of it would cost a dump."""

    def __init__(
        self,
        reactor: Reactor,
        changed: Callable[[Changes | None], object],
        inet6: bool = False,
        buffers: Pair = (UNSAID, UNSAID),
    ) -> None:
        self._inet6 = inet6
        self._asking, told = buffers
        self._reactor = reactor
        self._changed = changed
        self.lost = 0  # how often notifications were lost
        self._own_port = 0
        # Subscribed before the dump, so that nothing falls between them.
        self._sock = open_netlink(
            rtnl.RTMGRP_LINK | rtnl.RTMGRP_IPV4_IFADDR | (rtnl.RTMGRP_IPV6_IFADDR if inet6 else 0), told
        )
        self._sock.setblocking(False)
        self.table = dump(inet6, self._asking)
        reactor.add(self._sock.fileno(), select.EPOLLIN, self._ready)

    def resize(self, buffers: Pair) -> None:
        self._asking, told = buffers
        make_room(self._sock, BUFFER, told)

    def ignore_added(self, port: int) -> None:
        self._own_port = port
        # The kernel loads in network order what netlink has in the host's.
        program = (
            (LOAD_HALF, 0, 0, 4),  # nlmsg_type
            (EQUAL, 0, 3, socket.htons(rtnl.RTM_NEWADDR)),
            (LOAD_WORD, 0, 0, 12),  # nlmsg_pid
            (EQUAL, 0, 1, socket.htonl(port)),
            (RETURN, 0, 0, 0),
            (RETURN, 0, 0, 0x7FFFFFFF),
        )
        code = array("B", b"".join(struct.pack("=HBBI", *one) for one in program))
        self._sock.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0])
        )

    def _ready(self, _events: int) -> None:
        changes = self.read()
        if changes is None or changes:
            self._changed(changes)

    def read(self) -> Changes | None:
        """Take in what has been announced so far."""
        changes: Changes = set()
        everything = doubtful = False
        for _ in range(SLICE):  # the rest is reported again: others have their turn
            try:
                data = self._sock.recv(ROOM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost += 1  # the picture is worth nothing now
                self._drain()
                self.table = dump(self._inet6, self._asking)
                everything = True
                continue
            own = self._own_port and rtnl.port(data) == self._own_port
            for message in rtnl.parse(data):
                if own and isinstance(message, rtnl.Gone) and self.table.knows(message.what):
                    doubtful = True  # removed with another one by the kernel, or by us and added again since
                elif self.table.apply(message):
                    changes.add(_subject(message))
        if doubtful:
            self.table = dump(self._inet6, self._asking)
            everything = True
        return None if everything else changes

    def _drain(self) -> None:
        """What still waits is older than what was lost: after a dump it would tell of the past."""
        with suppress(BlockingIOError):
            while True:
                try:
                    self._sock.recv(ROOM)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise

    def close(self) -> None:
        self._reactor.remove(self._sock.fileno())
        self._sock.close()


def _subject(message: rtnl.Link | rtnl.Address | rtnl.Gone | rtnl.Reply) -> tuple[int, str]:
    what = message.what if isinstance(message, rtnl.Gone) else message
    return (
        (what.index, what.ip if isinstance(what, rtnl.Address) else "") if not isinstance(what, rtnl.Reply) else (0, "")
    )
