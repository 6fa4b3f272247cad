"""What the kernel's process connector says: bytes -> events, and the request for them. Pure; no bytes make it raise.

A message is a netlink header, a connector header and one `struct proc_event` (linux/netlink.h, linux/connector.h,
linux/cn_proc.h); all in the byte order of the machine.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

NETLINK_CONNECTOR = 11  # linux/netlink.h
CN_IDX_PROC, CN_VAL_PROC = 1, 1  # linux/connector.h
LISTEN, IGNORE = 1, 2  # enum proc_cn_mcast_op
# enum proc_cn_event
NONE, FORK, EXEC, COMM, EXIT = 0x0, 0x1, 0x2, 0x200, 0x80000000
NLMSG_DONE = 3
NETLINK = struct.Struct("=IHHII")  # length, type, flags, sequence, port
CONNECTOR = struct.Struct("=IIIIHH")  # idx, val, seq, ack, length of what follows, flags
EVENT = struct.Struct("=IIQ")  # what, CPU, nanoseconds since the boot
TWO, FOUR = struct.Struct("=II"), struct.Struct("=IIII")
ERROR = struct.Struct("=I")


class Event(NamedTuple):
    """`what`: NONE is the answer to our request, and `other` its errno; FORK: `other` is the parent of the new process
    `pid`; EXEC, COMM: `pid` is another program, or has another name; EXIT: it has ended."""

    what: int
    pid: int
    other: int = 0


def request(operation: int) -> bytes:
    """LISTEN or IGNORE, as one message."""
    word = ERROR.pack(operation)
    body = CONNECTOR.pack(CN_IDX_PROC, CN_VAL_PROC, 0, 0, len(word), 0) + word
    return NETLINK.pack(NETLINK.size + len(body), NLMSG_DONE, 0, 0, 0) + body


def decode(data: bytes) -> list[Event]:
    """The events of one datagram that are about whole processes; what is of no use or no such message is left out."""
    out: list[Event] = []
    at = 0
    while at + NETLINK.size <= len(data):
        length = NETLINK.unpack_from(data, at)[0]
        end = at + length
        if length < NETLINK.size or end > len(data):
            break
        body = at + NETLINK.size
        if body + CONNECTOR.size <= end:
            idx, val, _, _, inner, _ = CONNECTOR.unpack_from(data, body)
            body += CONNECTOR.size
            if (idx, val) == (CN_IDX_PROC, CN_VAL_PROC) and body + inner <= end:
                event = _event(data, body, body + inner)
                if event is not None:
                    out.append(event)
        at += length + 3 & ~3  # NLMSG_ALIGN
    return out


def _event(data: bytes, at: int, end: int) -> Event | None:
    values = at + EVENT.size
    if values + ERROR.size > end:
        return None
    what = EVENT.unpack_from(data, at)[0]
    if what == NONE:
        return Event(NONE, 0, ERROR.unpack_from(data, values)[0])
    if what == FORK:
        if values + FOUR.size > end:
            return None
        _, parent, thread, child = FOUR.unpack_from(data, values)
        return Event(FORK, child, parent) if thread == child else None
    if what in (EXEC, COMM, EXIT) and values + TWO.size <= end:
        thread, process = TWO.unpack_from(data, values)
        return Event(what, process) if thread == process else None  # else: about one thread of it
    return None
