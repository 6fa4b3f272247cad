"""One end of the channel: a non-blocking stream socket, frames in and out, nothing ever blocks.

The owner watches `fileno()` for reading, and for writing while `wants_write()`. A peer that does not read
costs memory here and never time: a busy child must not delay the parent, nor the reverse. A peer that never stops
writing is read in portions, so that it cannot hold its reader either (the watch is level-triggered: the rest comes
next turn).
"""

from __future__ import annotations

import socket

from fastha.channel.frame import Decoder, encode
from fastha.channel.messages import Message, check

READ_BYTES = 1 << 16  # one recv: a larger buffer would be mapped and unmapped by malloc each time
READ_PORTION = 1 << 18  # one receive(), about a millisecond of decoding
WRITE_BYTES = 1 << 20


class Closed(Exception):
    """The other process is gone, or has said something that no process of ours says."""


class Endpoint:
    """`says` is the direction of what this end sends: "down" for the parent, "up" for a child."""

    def __init__(self, sock: socket.socket, says: str) -> None:
        if says not in ("up", "down"):
            raise ValueError(f"direction {says!r}")
        sock.setblocking(False)
        self._sock = sock
        self._says = says
        self._hears = "up" if says == "down" else "down"
        self._decoder = Decoder()
        self._out = bytearray()
        self._bad: ValueError | None = None

    @classmethod
    def inherited(cls, fd: int) -> Endpoint:
        """A child's end of the socketpair, from the descriptor number after `--channel`.

        It is not passed on to programs the child itself would start. OSError if `fd` is no socket."""
        sock = socket.socket(fileno=fd)
        sock.set_inheritable(False)
        return cls(sock, "up")

    def fileno(self) -> int:
        """-1 once closed."""
        return self._sock.fileno()

    def send(self, **message: object) -> None:
        """Queue a message and write what the socket takes now. Closed if the peer is gone; ValueError (and
        nothing queued) for a message that is not in the table."""
        check(message, self._says)
        self._out += encode(message)
        self.flush()

    def wants_write(self) -> bool:
        return bool(self._out)

    def queued(self) -> int:
        """Bytes that the peer has not taken yet. A sender of periodic messages leaves one out while this is not 0."""
        return len(self._out)

    def flush(self) -> None:
        """Write what the socket takes now; the rest stays queued."""
        try:
            while self._out:
                del self._out[: self._sock.send(memoryview(self._out)[:WRITE_BYTES])]
        except BlockingIOError:
            pass
        except OSError as error:
            self._out.clear()
            raise Closed(str(error)) from None

    def receive(self) -> list[Message]:
        """Messages that have arrived whole. Closed once the peer is gone and all it said was returned.

        ValueError for bytes that are not in the table; the messages before them are returned first."""
        if self._bad is not None:
            raise self._bad
        messages: list[Message] = []
        taken = 0
        try:
            while taken < READ_PORTION and (data := self._sock.recv(READ_BYTES)):
                taken += len(data)
                for message in self._decoder.feed(data):
                    check(message, self._hears)
                    messages.append(message)
            if taken >= READ_PORTION:
                return messages
        except BlockingIOError:
            return messages
        except ValueError as error:
            self._bad = error
            if not messages:
                raise
        except OSError:
            pass
        if not messages:
            raise Closed("end of stream")
        return messages

    def close(self) -> None:
        """Idempotent."""
        self._sock.close()
