"""Unsolicited neighbour advertisements for code that prebuilds frames; native rooms use na.pxd."""

from collections.abc import Iterable

FRAME_SIZE: int
"""Bytes of one frame: 86."""

def encode(mac: bytes, addresses: Iterable[str], router: bool = False) -> bytes:
    """One complete Ethernet frame (FRAME_SIZE bytes) for each IPv6 address, one after another."""

def encode_into(out: bytearray | memoryview, mac: bytes, addresses: Iterable[str], router: bool = False) -> int:
    """The same at the start of `out`; returns the bytes written. ValueError if they do not fit."""
