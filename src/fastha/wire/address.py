"""IP addresses between text, the bytes of the wire and numbers; only outside the hot path."""

from __future__ import annotations

from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

SIZES = {4: 4, 6: 16}  # family -> bytes of an address


def pack(text: str) -> bytes:
    """Four bytes in network order. ValueError if `text` is not a dotted quad."""
    try:
        return inet_pton(AF_INET, text)
    except OSError:
        raise ValueError(f"not an IPv4 address: {text!r}") from None


def pack6(text: str) -> bytes:
    """Sixteen bytes in network order. ValueError if `text` is not an IPv6 address."""
    try:
        return inet_pton(AF_INET6, text)
    except OSError:
        raise ValueError(f"not an IPv6 address: {text!r}") from None


def pack_any(text: str) -> bytes:
    """Four or sixteen bytes; ValueError if it is neither."""
    return pack6(text) if ":" in text else pack(text)


def pack_all(texts: Iterable[str], family: int = 4) -> bytes:
    """One after another, all of one family."""
    one = pack6 if family == 6 else pack
    return b"".join([one(text) for text in texts])


def unpack(packed: bytes) -> str:
    """The text of four or sixteen bytes."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def unpack_all(packed: bytes, family: int = 4) -> tuple[str, ...]:
    """The addresses of a multiple of four (sixteen) bytes."""
    size = SIZES[family]
    return tuple([unpack(packed[i : i + size]) for i in range(0, len(packed), size)])


def number(text: str) -> int:
    """0x0a000001 for 10.0.0.1, 128 bits for IPv6, 0 for none: as the routers compare addresses."""
    return int.from_bytes(pack_any(text), "big") if text else 0


def shown(ip: int) -> str:
    """10.0.0.1 for 0x0a000001. An IPv6 address below 2**32 is nobody's."""
    return unpack(ip.to_bytes(4 if ip >> 32 == 0 else 16, "big"))
