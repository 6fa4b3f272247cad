"""Makes, changes and removes interfaces: messages (core), and a socket that waits for the answers (shell).

By hand for the reason that rtnl gives: a thousand VMACs are made in batches, between which adverts leave.
Layouts: linux/if_link.h; the kernel's do_setlink for what a RTM_NEWLINK that creates does not take (alias, af_spec).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence

from fastha.link import rtnl
from fastha.link.monitor import BUFFER, ROOM, UNSAID, of_commands, open_netlink
from fastha.link.rtnl import Link, attribute
from fastha.model import ReceiveBuffer
from fastha.room import make_room

MACVLAN, PRIVATE = "macvlan", 1  # MACVLAN_MODE_PRIVATE
IPVLAN, IPVLAN_FLAGS = "ipvlan", {"bridge": 0, "private": 1, "vepa": 2}  # IPVLAN_F_*; of IPVLAN_MODE_L2, which is 0
IFLA_AF_SPEC, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE = 26, 8, 1
WAIT = struct.pack("ll", 5, 0)
U32 = rtnl.SEQUENCE
REPLACE = rtnl.NLM_F_REQUEST | rtnl.NLM_F_ACK


def make_macvlan(name: str, base: int, mac: bytes, group: int) -> bytes:
    """A private macvlan on the interface with index `base`, down."""
    body = (
        rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        + attribute(rtnl.IFLA_LINK, U32.pack(base))
        + attribute(rtnl.IFLA_IFNAME, name.encode() + b"\0")
        + attribute(rtnl.IFLA_ADDRESS, mac)
        + attribute(rtnl.IFLA_GROUP, U32.pack(group))
        + _private()
    )
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE | rtnl.NLM_F_CREATE | rtnl.NLM_F_EXCL, body)


def make_ipvlan(name: str, base: int, flags: int, group: int) -> bytes:
    """An ipvlan of layer 2 on the interface with index `base`, down."""
    body = (
        rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        + attribute(rtnl.IFLA_LINK, U32.pack(base))
        + attribute(rtnl.IFLA_IFNAME, name.encode() + b"\0")
        + attribute(rtnl.IFLA_GROUP, U32.pack(group))
        + _ipvlan(flags)
    )
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE | rtnl.NLM_F_CREATE | rtnl.NLM_F_EXCL, body)


def correct_ipvlan(index: int, flags: int, group: int) -> bytes:
    """One that is there gets the mode it should have, and all others on its base with it."""
    body = rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attribute(rtnl.IFLA_GROUP, U32.pack(group))
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE, body + _ipvlan(flags))


def describe(name: str, alias: str, master: int) -> bytes:
    """No link-local address by itself, a note of whose it is, and its VRF."""
    spec = attribute(socket.AF_INET6, attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([ADDR_GEN_MODE_NONE])))
    body = (
        rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        + attribute(rtnl.IFLA_IFNAME, name.encode() + b"\0")
        + attribute(rtnl.IFLA_IFALIAS, alias.encode())
        + (attribute(rtnl.IFLA_MASTER, U32.pack(master)) if master else b"")
        + (attribute(IFLA_AF_SPEC, spec) if socket.has_ipv6 else b"")
    )
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE, body)


def correct(index: int, mac: bytes, group: int) -> bytes:
    """One that is there gets the address and the mode it should have."""
    body = (
        rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        + attribute(rtnl.IFLA_ADDRESS, mac)
        + attribute(rtnl.IFLA_GROUP, U32.pack(group))
        + _private()
    )
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE, body)


def set_up(index: int, up: bool = True) -> bytes:
    body = rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, index, rtnl.IFF_UP if up else 0, rtnl.IFF_UP)
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE, body)


def set_group(index: int, group: int) -> bytes:
    body = rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attribute(rtnl.IFLA_GROUP, U32.pack(group))
    return rtnl.message(rtnl.RTM_NEWLINK, REPLACE, body)


def remove(index: int) -> bytes:
    return rtnl.message(rtnl.RTM_DELLINK, REPLACE, rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0))


def remove_group(group: int) -> bytes:
    """All of a group at once: one by one, each waits for a grace period of the kernel."""
    body = rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(rtnl.IFLA_GROUP, U32.pack(group))
    return rtnl.message(rtnl.RTM_DELLINK, REPLACE, body)


def _private() -> bytes:
    data = attribute(rtnl.IFLA_MACVLAN_MODE, U32.pack(PRIVATE))
    return attribute(
        rtnl.IFLA_LINKINFO,
        attribute(rtnl.IFLA_INFO_KIND, MACVLAN.encode() + b"\0") + attribute(rtnl.IFLA_INFO_DATA, data),
    )


def _ipvlan(flags: int) -> bytes:
    data = attribute(rtnl.IFLA_IPVLAN_MODE, rtnl.SHORT.pack(0)) + attribute(
        rtnl.IFLA_IPVLAN_FLAGS, rtnl.SHORT.pack(flags)
    )
    return attribute(
        rtnl.IFLA_LINKINFO,
        attribute(rtnl.IFLA_INFO_KIND, IPVLAN.encode() + b"\0") + attribute(rtnl.IFLA_INFO_DATA, data),
    )


class Talk:
    """One question at a time, of several messages."""

    def __init__(self, buffer: ReceiveBuffer = UNSAID) -> None:
        self._sock = open_netlink(0, of_commands(buffer))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, WAIT)
        self._sequence = 0

    def resize(self, buffer: ReceiveBuffer) -> None:
        make_room(self._sock, BUFFER, of_commands(buffer))

    def ask(self, messages: Sequence[bytes]) -> list[int]:
        """Send them together; the kernel's errno for each (ETIMEDOUT: it said nothing), 0 for success."""
        first = self._sequence + 1
        buffer = bytearray()
        for one in messages:
            self._sequence += 1
            offset = len(buffer)
            buffer += one
            rtnl.number(buffer, offset, self._sequence)
        answers: dict[int, int] = {}
        try:
            self._sock.send(buffer)
            while len(answers) < len(messages):
                for reply in rtnl.parse(self._sock.recv(ROOM)):
                    if isinstance(reply, rtnl.Reply) and reply.sequence >= first:
                        answers[reply.sequence] = reply.errno
        except OSError as error:
            code = error.errno if error.errno not in (None, errno.EAGAIN) else errno.ETIMEDOUT
            return [answers.get(first + i, code or errno.EIO) for i in range(len(messages))]
        return [answers[first + i] for i in range(len(messages))]

    def look(self, name: str) -> Link | None:
        """The interface as it is now."""
        self._sequence += 1
        body = rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(rtnl.IFLA_IFNAME, name.encode() + b"\0")
        try:
            self._sock.send(rtnl.message(rtnl.RTM_GETLINK, rtnl.NLM_F_REQUEST, body, self._sequence))
            while True:
                for message in rtnl.parse(self._sock.recv(ROOM)):
                    if isinstance(message, Link):
                        return message
                    if isinstance(message, rtnl.Reply) and message.sequence == self._sequence:
                        return None
        except OSError:
            return None

    def close(self) -> None:
        self._sock.close()
