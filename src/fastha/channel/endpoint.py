"""One end of the channel: a non-blocking stream socket, frames in and out, nothing ever blocks.

The owner watches `fileno()` for reading, and for writing while `wants_write()`. A peer that does not read
costs memory here and never time: a busy child must not delay the parent, nor the reverse.
"""

from __future__ import annotations

import socket

from fastha.channel.frame import Decoder, encode
from fastha.channel.messages import Message, check


class Closed(Exception):
    """The other process is gone."""


class Endpoint:
    """`says` is the direction of what this end sends: "down" for the parent, "up" for a child."""

    def __init__(self, sock: socket.socket, says: str) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._says = says
        self._hears = "up" if says == "down" else "down"
        self._decoder = Decoder()
        self._out = bytearray()

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, **message: object) -> None:
        """Queue a message and write what the socket takes now. Closed if the peer is gone."""
        check(message, self._says)
        self._out += encode(message)
        self.flush()

    def wants_write(self) -> bool:
        return bool(self._out)

    def flush(self) -> None:
        """Write what the socket takes now; the rest stays queued."""
        try:
            while self._out:
                del self._out[: self._sock.send(memoryview(self._out)[: 1 << 20])]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self) -> list[Message]:
        """Every message that has arrived whole. Closed once the peer is gone and all it said was returned."""
        messages: list[Message] = []
        try:
            while data := self._sock.recv(1 << 18):
                for message in self._decoder.feed(data):
                    check(message, self._hears)
                    messages.append(message)
        except BlockingIOError:
            return messages
        except OSError:
            pass
        if not messages:
            raise Closed("end of stream")
        return messages

    def close(self) -> None:
        self._sock.close()
