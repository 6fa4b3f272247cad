"""Who may connect to the control socket, and who of them may change something.

Root and the user the daemon runs as may everything. `admins` is a group whose members may too. `readers` is a group
without which nobody else may even connect; without one everybody may look.
"""

from __future__ import annotations

import array
import grp
import os
import socket
import struct
from dataclasses import dataclass

from fastha.errors import SystemFault

SO_PEERGROUPS = 59  # Linux 4.13, include/uapi/asm-generic/socket.h: the peer's supplementary groups, gid_t each
GROUPS_BYTES = 1024  # what Python reads at most: 256 groups


@dataclass(frozen=True, slots=True)
class Access:
    """Numbers of groups; -1: none."""

    readers: int = -1
    admins: int = -1

    def is_admin(self, uid: int, groups: frozenset[int]) -> bool:
        return uid in (0, os.geteuid()) or self.admins in groups

    def protect(self, path: str) -> None:
        """Give the socket file its owner and mode: who may write to it may connect (unix(7)). Where there are readers
        these may by their group, and admins have to be among them. OSError."""
        if self.readers >= 0:
            os.chown(path, -1, self.readers)
            os.chmod(path, 0o660)
        else:
            os.chmod(path, 0o666)


def access(readers: str, admins: str) -> Access:
    """From names or numbers of groups, "" for none; SystemFault for one that there is not."""
    return Access(_group(readers), _group(admins))


def _group(name: str) -> int:
    if not name:
        return -1
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SystemFault(f"there is no group {name}") from None


def peer(sock: socket.socket) -> tuple[int, frozenset[int]]:
    """Who connected: uid, and all groups at that moment (SO_PEERCRED, unix(7): struct ucred {pid, uid, gid})."""
    _pid, uid, gid = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = array.array("I")
    try:
        groups.frombytes(sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_BYTES))
    except OSError:
        pass  # a kernel without it, or more groups (ERANGE): the primary one alone counts
    return int(uid), frozenset((int(gid), *groups))
