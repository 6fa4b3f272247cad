"""Frames on the channel: a 4-byte big-endian length, then that many bytes of JSON (one object). Pure."""

from __future__ import annotations

import orjson

from fastha.channel.messages import Message

MAX_FRAME = 1 << 28  # a sanity bound: 37 000 real servers need about 20 MB


def encode(message: Message) -> bytes:
    """The frame for one message. ValueError if the other end would refuse it."""
    body = orjson.dumps(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"message {message.get('type')!r} of {len(body)} bytes")
    return len(body).to_bytes(4, "big") + body


class Decoder:
    """Bytes in, whole messages out. ValueError on a length or body that our own peer cannot have sent; the
    stream has no meaning after that."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add received bytes; return the messages they complete, in order."""
        buffer = self._buffer
        buffer += data
        messages = []
        start = 0
        while len(buffer) - start >= 4:
            size = int.from_bytes(buffer[start : start + 4], "big")
            if size > MAX_FRAME:
                raise ValueError(f"frame of {size} bytes")
            if len(buffer) - start - 4 < size:
                break
            with memoryview(buffer) as view:
                message = orjson.loads(view[start + 4 : start + 4 + size])
            if not isinstance(message, dict):
                raise ValueError(f"frame holds {type(message).__name__}, not an object")
            messages.append(message)
            start += 4 + size
        del buffer[:start]
        return messages
