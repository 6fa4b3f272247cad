"""What all sessions of the process share: the sockets that hear, the lane, the discriminators."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

from fastha.bfd.lane import Lane
from fastha.bfd.sockets import family_of, open_receive
from fastha.model import BfdInstance

if TYPE_CHECKING:
    from fastha.child import Child

Kind = tuple[socket.AddressFamily, bool]  # family, multihop


class House:
    """`hear` opens what a configuration needs; a socket once open stays, so that a reload drops no packet."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.reactor = child.reactor
        self.lane = Lane(child.reactor)
        self.taken: set[int] = set()  # discriminators
        self._sockets: dict[Kind, socket.socket] = {}

    def hear(self, bfd: BfdInstance) -> None:
        """Packets for such a session are heard from now on. SystemFault if they cannot be."""
        kind = family_of(bfd), bfd.multihop
        if kind not in self._sockets:
            sock = self._sockets[kind] = open_receive(*kind)
            self.lane.add_socket(sock.fileno(), *kind)

    def discriminator(self, wanted: int = 0) -> int:
        """One that no other session here has, RFC 5880 section 6.8.1; `wanted` if it is free."""
        while not wanted or wanted in self.taken:
            wanted = secrets.randbits(32)
        self.taken.add(wanted)
        return wanted

    def close(self) -> None:
        """Release everything."""
        self.lane.close()
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
