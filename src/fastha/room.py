"""Room in a socket for what waits to be read."""

from __future__ import annotations

import socket
from typing import Protocol

SO_RCVBUFFORCE = 33  # asm-generic/socket.h; needs CAP_NET_ADMIN
MOST = (1 << 31) - 1  # the kernel's int


class Wanted(Protocol):
    """A model.ReceiveBuffer."""

    @property
    def size(self) -> int: ...
    @property
    def force(self) -> bool: ...


def make_room(sock: socket.socket, own: int, wanted: Wanted | None = None) -> None:
    """As `wanted` says; where it names no size `own` bytes, beyond the limit of the system (net.core.rmem_max) where we
    may. The kernel reserves twice as much, for what it spends itself. OSError."""
    ours = wanted is None or not wanted.size
    size = own if wanted is None or ours else min(wanted.size, MOST)
    force = ours or (wanted is not None and wanted.force)
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF) if force else (socket.SO_RCVBUF,):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
            return
        except PermissionError:
            continue
