"""IPv4 addresses between text and the four bytes of the wire; only outside the hot path."""

from __future__ import annotations

from collections.abc import Iterable
from socket import AF_INET, inet_ntop, inet_pton


def pack(text: str) -> bytes:
    """Four bytes in network order. ValueError if `text` is not a dotted quad."""
    try:
        return inet_pton(AF_INET, text)
    except OSError:
        raise ValueError(f"not an IPv4 address: {text!r}") from None


def pack_all(texts: Iterable[str]) -> bytes:
    return b"".join([pack(text) for text in texts])


def unpack(packed: bytes) -> str:
    return inet_ntop(AF_INET, packed)


def unpack_all(packed: bytes) -> tuple[str, ...]:
    """The addresses of a multiple of four bytes."""
    return tuple([inet_ntop(AF_INET, packed[i : i + 4]) for i in range(0, len(packed), 4)])
