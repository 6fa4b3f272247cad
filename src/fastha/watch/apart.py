"""Privilege, split: who serves a network face has none, and a steward behind a socket pair keeps what little is needed.

The process is started as root, or by systemd as a user with a few capabilities. Before it listens to anybody it forks
the steward, which answers questions of one kind (`Steward`) and hears nobody else; then it becomes an ordinary user
for good (`become`). Started without privilege there is nothing to give up, and the steward can do what its user can.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import struct
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection

from fastha.errors import SystemFault

USERS = ("fastha-watch", "nobody")  # the first that exists
CAP_NET_ADMIN = 12  # linux/capability.h
VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 8, 38  # linux/prctl.h
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_libc = ctypes.CDLL(None, use_errno=True)


def become(user: str = "", capabilities: Collection[int] = ()) -> None:
    """Be `user` ("": the first of USERS that exists) without groups, with these capabilities alone, never to gain any.

    Without root only what is held can be given up. SystemFault if there is no such user, or it cannot be done."""
    try:
        if os.geteuid() == 0:
            entry = _entry(user)
            _prctl(PR_SET_KEEPCAPS, 1)
            os.setgroups([])
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
            os.chdir("/")
        elif user and pwd.getpwuid(os.geteuid()).pw_name != user:
            raise SystemFault(f"to become {user} it has to be started as root")
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        _keep(sum(1 << number for number in capabilities))
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        raise SystemFault(f"privilege cannot be given up: {error.strerror or error}") from None


def _entry(user: str) -> pwd.struct_passwd:
    for name in (user,) if user else USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise SystemFault(f"no user {user or ' or '.join(USERS)}")


def held() -> int:
    """The permitted capabilities of this process, as a bit mask (capget(2))."""
    header, data = ctypes.create_string_buffer(struct.pack("@Ii", VERSION_3, 0)), ctypes.create_string_buffer(24)
    if _libc.capget(header, data):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    low, high = struct.unpack_from("@I", data, 4)[0], struct.unpack_from("@I", data, 16)[0]
    return int(low | high << 32)


def _keep(mask: int) -> None:
    """Permitted and effective become `mask`, of what is held; inheritable becomes empty (capset(2))."""
    mask &= held()
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = ctypes.create_string_buffer(struct.pack("@Ii", VERSION_3, 0))
    data = ctypes.create_string_buffer(struct.pack("@6I", low, low, 0, high, high, 0))
    if _libc.capset(header, data):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Steward:
    """A process of its own that answers `ask`. `prepare()` runs in it once, with the privilege of its start, and makes
    the function that answers; `settle()` then gives up what that does not need. Ends when we end."""

    def __init__(self, prepare: Callable[[], Callable[[bytes], bytes]], settle: Callable[[], None]) -> None:
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                ours.close()
                _serve(Connection(theirs.detach()), prepare, settle)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        self._connection = Connection(ours.detach())

    def ask(self, question: bytes) -> bytes:
        """The answer; OSError if the steward is gone. One at a time."""
        try:
            self._connection.send_bytes(question)
            return self._connection.recv_bytes()
        except EOFError:
            raise BrokenPipeError("the steward is gone") from None

    def close(self) -> None:
        """It ends by that."""
        self._connection.close()
        os.waitpid(self.pid, 0)


def _serve(connection: Connection, prepare: Callable[[], Callable[[bytes], bytes]], settle: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the connection does
    answer = prepare()
    settle()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after `settle`: a change of user clears it (prctl(2))
    while True:
        try:
            question = connection.recv_bytes()
        except (EOFError, OSError):
            return
        connection.send_bytes(answer(question))
