"""Timeouts and synchronisation daemons <-> the C structs of csrc/fha_ipvs.h.

What a C field cannot hold the kernel could not take either: it is the OSError the kernel would give.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from fastha._ipvs import ffi, lib
from fastha.dataplane.ipvs_rows import address_text, family_of, packed
from fastha.dataplane.rows import Daemon, Timeouts

INTERFACE_MAX = lib.FHA_IPVS_NAME_SIZE - 1


def timeouts_struct(timeouts: Timeouts) -> Any:
    """`struct fha_ipvs_timeouts *`."""
    c = ffi.new("struct fha_ipvs_timeouts *")
    try:
        c.tcp_s, c.tcpfin_s, c.udp_s = timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s
    except OverflowError as fault:
        raise _refused(errno.EINVAL, f"timeouts {timeouts}") from fault
    return c


def read_timeouts(c: Any) -> Timeouts:
    """What the kernel answered."""
    return Timeouts(c.tcp_s, c.tcpfin_s, c.udp_s)


def daemon_struct(daemon: Daemon) -> Any:
    """`struct fha_ipvs_daemon *`."""
    name = os.fsencode(daemon.interface)
    if len(name) > INTERFACE_MAX:  # the kernel has no such interface; cut short it could be another one's name
        raise _refused(errno.ENODEV, f"interface {daemon.interface!r}")
    c = ffi.new("struct fha_ipvs_daemon *")
    try:
        c.state, c.sync_id, c.interface = daemon.state, daemon.sync_id, name
        c.maxlen, c.port, c.ttl = daemon.maxlen, daemon.port, daemon.ttl
        if daemon.group:
            c.group_family, c.group = family_of(daemon.group), packed(daemon.group)
    except (OverflowError, OSError) as fault:
        raise _refused(errno.EINVAL, str(daemon)) from fault
    return c


def read_daemon(c: Any) -> Daemon:
    """One daemon that runs, with the values the kernel chose."""
    group = address_text(c.group_family, bytes(ffi.buffer(c.group))) if c.group_family else ""
    return Daemon(c.state, os.fsdecode(ffi.string(c.interface)), c.sync_id, c.maxlen, c.port, c.ttl, group)


def _refused(code: int, what: str) -> OSError:
    return OSError(code, f"ipvs: {os.strerror(code)}: {what}")
