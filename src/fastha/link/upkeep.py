"""Routes and rules in the kernel: what of ours is there, and word of what may have been taken away.

No table of all routes is kept: a router with a full BGP table has a million that are none of ours. A filter on the
socket lets pass what concerns routes of our protocol, what replaces a route, and rules; each of that, and a lost
notification, means one look (a dump of our protocol's routes and of all rules).
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from ctypes import addressof, create_string_buffer
from typing import TYPE_CHECKING

from fastha.errors import SystemFault
from fastha.link import routes, rtnl
from fastha.link.monitor import BUFFER, DUMP_TIMEOUT, ROOM, SLICE, UNSAID, Pair, of_commands, open_netlink
from fastha.link.routes import RTM_DELROUTE, RTM_DELRULE, RTM_NEWROUTE, Seen
from fastha.model.routes import KEEPALIVED
from fastha.room import make_room

if TYPE_CHECKING:
    from fastha.loop.reactor import Reactor

GROUPS = (
    routes.RTMGRP_IPV4_ROUTE | routes.RTMGRP_IPV4_RULE | routes.RTMGRP_IPV6_ROUTE | routes.RTMGRP_IPV6_RULE
)  # fmt: skip
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
SO_ATTACH_FILTER = 26
REPLACED = routes.NLM_F_REPLACE >> 8  # in the high byte of nlmsg_flags
# linux/filter.h: BPF_LD|BPF_B|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JSET|BPF_K, BPF_RET|BPF_K
LOAD, EQUAL, BIT, RETURN = 0x30, 0x15, 0x45, 0x06
LOW, HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
FILTER = (
    (LOAD, 0, 0, 4 + LOW),  # nlmsg_type
    (EQUAL, 1, 0, RTM_NEWROUTE),
    (EQUAL, 2, 5, RTM_DELROUTE),
    (LOAD, 0, 0, 6 + HIGH),  # nlmsg_flags
    (BIT, 3, 0, REPLACED),
    (LOAD, 0, 0, rtnl.HEADER.size + 5),  # rtm_protocol
    (EQUAL, 1, 0, KEEPALIVED),
    (RETURN, 0, 0, 0),
    (RETURN, 0, 0, 0x7FFFFFFF),
)


class Upkeep:
    """`seen` is what the last look found; `looks` counts them. `disturbed()` is called when another one is due."""

    def __init__(self, reactor: Reactor, disturbed: Callable[[], object], buffers: Pair = (UNSAID, UNSAID)) -> None:
        self._reactor = reactor
        self._disturbed = disturbed
        self.seen: list[Seen] = []
        self.looks = 0
        self.lost = 0
        self._sock = open_netlink(GROUPS, buffers[1])
        self._sock.setblocking(False)
        _attach(self._sock)
        self._asking = open_netlink(0, of_commands(buffers[0]))
        self._asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, DUMP_TIMEOUT)
        try:
            self._asking.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        except OSError:
            pass  # Linux before 4.20 tells of all routes
        self._sequence = 0
        reactor.add(self._sock.fileno(), select.EPOLLIN, self._ready)
        self.look()

    def resize(self, buffers: Pair) -> None:
        make_room(self._asking, BUFFER, of_commands(buffers[0]))
        make_room(self._sock, BUFFER, buffers[1])

    def look(self) -> None:
        """Take in what is there now. SystemFault if the kernel does not tell."""
        found: list[Seen] = []
        for family in (4, 6):
            found += self._answers(routes.dump_routes(self._sequence + 1, family, KEEPALIVED))
            found += self._answers(routes.dump_rules(self._sequence + 1, family))
        self.seen = found
        self.looks += 1

    def has(self, wanted: Seen, exact: bool = False) -> bool:
        """The last look found it."""
        return any(one.serves(wanted, exact) for one in self.seen)

    def vrf_tables(self) -> dict[str, int]:
        """Name -> routing table of every VRF."""
        links = self._datagrams(rtnl.dump_links(self._sequence + 1))
        return {name: table for data in links for name, table in rtnl.vrf_tables(data)}

    def _answers(self, request: bytes) -> Iterator[Seen]:
        for data in self._datagrams(request):
            yield from routes.parse(data)

    def _datagrams(self, request: bytes) -> Iterator[bytes]:
        """The answer to a request with the next sequence number. An error ends it too: a kernel without IPv6 has none
        of its routes."""
        self._sequence += 1
        self._asking.send(request)
        while True:
            try:
                data = self._asking.recv(ROOM)
            except OSError as error:
                raise SystemFault(f"cannot list routes: {error.strerror}") from None
            yield data
            for message in rtnl.parse(data):
                if isinstance(message, rtnl.Reply) and message.sequence == self._sequence:
                    return

    def _ready(self, _events: int) -> None:
        disturbed = False
        for _ in range(SLICE):
            try:
                data = self._sock.recv(ROOM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost += 1
                disturbed = True
                continue
            for kind, _body in routes.bodies(data):
                disturbed |= kind in (RTM_DELROUTE, RTM_DELRULE) or bool(data[6 + HIGH] & REPLACED)
        if disturbed:
            self._disturbed()

    def close(self) -> None:
        self._reactor.remove(self._sock.fileno())
        self._sock.close()
        self._asking.close()


def _attach(sock: socket.socket) -> None:
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in FILTER)
    kept = create_string_buffer(program, len(program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(FILTER), addressof(kept)))
