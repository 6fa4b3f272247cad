"""Gratuitous ARP for code that prebuilds frames; native rooms use arp.pxd."""

from collections.abc import Iterable

FRAME_SIZE: int
"""Bytes of one frame: 42."""

def encode(mac: bytes, addresses: Iterable[str]) -> bytes:
    """One complete Ethernet frame (FRAME_SIZE bytes) for each IPv4 address, one after another."""

def encode_into(out: bytearray | memoryview, mac: bytes, addresses: Iterable[str]) -> int:
    """The same at the start of `out`; returns the bytes written. ValueError if they do not fit."""
