"""Did anybody change the ruleset, and was it ours? (shell) Listing a large table takes seconds, asking microseconds.

The kernel counts each committed transaction of a network namespace (the generation) and announces what it
changed, then the new generation, to a multicast group. Sources: linux/netfilter/nf_tables.h, nfnetlink.h, netlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

NETLINK_NETFILTER, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, SO_RCVBUFFORCE = 12, 270, 1, 33
NFNL_SUBSYS_NFTABLES, NFNLGRP_NFTABLES = 10, 7
NFT_MSG_NEWGEN, NFT_MSG_GETGEN, NFTA_GEN_ID = 15, 16, 1
NFTA_TABLE = 1  # of every other message: the name of the table it concerns
NLMSG_ERROR, NLM_F_REQUEST = 2, 1

QUEUE_BYTES = 8 << 20  # announcements kept between two looks; beyond, the table is listed again
LARGEST = 1 << 18  # one datagram of announcements

Message = tuple[int, dict[int, bytes]]  # (NFT_MSG_*, attributes)


class Generation:
    """The ruleset's generation in the namespace in which the object was made."""

    def __init__(self, table: str) -> None:
        self._table = table.encode() + b"\0"
        self._last: int | None = None  # the latest generation announced
        self._ours = 0  # the latest that touched our table, or may have
        self._touched = False  # so did what was heard since the latest
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._asking = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        self._asking.settimeout(5)
        self._hearing = socket.socket(socket.AF_NETLINK, kind | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
        self._hearing.bind((0, 0))  # without a port of its own it would hear nothing
        with contextlib.suppress(PermissionError):  # then the queue is as long as the system allows
            self._hearing.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)
        with contextlib.suppress(PermissionError):  # read() will say so
            self._hearing.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)

    def read(self) -> int:
        """OSError: EPERM without CAP_NET_ADMIN, EINVAL or EOPNOTSUPP from a kernel without nf_tables."""
        # nlmsghdr, then nfgenmsg {family, version, res_id}
        kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN
        self._asking.send(struct.pack("=IHHIIBBH", 20, kind, NLM_F_REQUEST, 0, 0, 0, 0, 0))
        answer = self._asking.recv(4096)
        if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
            code = -struct.unpack_from("=i", answer, 16)[0]
            raise OSError(code, os.strerror(code))
        for _, attributes in messages(answer):
            return int.from_bytes(attributes[NFTA_GEN_ID])
        raise OSError(errno.EPROTO, "nf_tables answered without a generation")

    def fileno(self) -> int:
        """Readable when something was announced."""
        return self._hearing.fileno()

    def hear(self) -> None:
        """Take in what was announced so far. A transaction's messages may come in several pieces, so what was heard of
        one whose generation is still to come is remembered."""
        for kind, attributes in self._heard():
            if kind != NFT_MSG_NEWGEN:
                self._touched = self._touched or attributes.get(NFTA_TABLE) == self._table
                continue
            announced = int.from_bytes(attributes[NFTA_GEN_ID])
            if self._touched or (self._last is not None and announced != self._last + 1):  # or some were lost
                self._ours = announced
            self._touched, self._last = False, announced

    def only_others(self, since: int, now: int) -> bool:
        """True if every transaction after generation `since` up to `now` was heard of and left our table alone."""
        if self._last is None:
            self._last = since
        self.hear()
        return self._last == now and self._ours <= since

    def close(self) -> None:
        self._asking.close()
        self._hearing.close()

    def _heard(self) -> Iterator[Message]:
        """Everything announced and not yet taken."""
        while True:
            try:
                yield from messages(self._hearing.recv(LARGEST))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._touched = True  # the queue could not hold everything


def messages(data: bytes) -> Iterator[Message]:
    """The nf_tables messages of one datagram: nlmsghdr (16 bytes), nfgenmsg (4), attributes."""
    start = 0
    while start + 20 <= len(data):
        length, kind = struct.unpack_from("=IH", data, start)
        if length < 20:
            return
        end, offset = min(start + length, len(data)), start + 20
        attributes: dict[int, bytes] = {}
        while offset + 4 <= end:
            size, name = struct.unpack_from("=HH", data, offset)
            attributes.setdefault(name & 0x3FFF, data[offset + 4 : offset + size])  # NLA_TYPE_MASK
            offset += max(4, (size + 3) & ~3)
        if kind >> 8 == NFNL_SUBSYS_NFTABLES:
            yield kind & 0xFF, attributes
        start += (length + 3) & ~3
