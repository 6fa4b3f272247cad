"""Adverts as tests see them, and as they are prebuilt when a configuration is accepted; the lane uses advert.pxd."""

from collections.abc import Iterable
from typing import TypedDict

from typing_extensions import Buffer

VERDICTS: tuple[str, ...]
"""Names of every way a received packet can end, indexed by advert_verdict; "ok" first."""

class Advert(TypedDict):
    """Fields of advert_t (a name for type checkers only).

    With a verdict other than "ok", what was not read is 0 or empty.
    """

    src: str
    dst: str
    ttl: int
    version: int
    vrid: int
    priority: int
    auth_type: int
    adver_cs: int
    addresses: tuple[str, ...]
    auth: bytes

def decode(packet: Buffer, check_ttl: bool = True) -> tuple[str, Advert]:
    """(verdict, fields) of an IP packet of either family. Never raises for what the bytes say."""

def tally(packets: list[bytes], check_ttl: bool = True) -> tuple[int, ...]:
    """How many of the packets end in each verdict, indexed like VERDICTS; makes no object per packet."""

def encode(
    src: str,
    dst: str,
    version: int,
    vrid: int,
    priority: int,
    adver_cs: int,
    addresses: Iterable[str],
    auth_type: int = 0,
    auth: bytes = b"",
    ttl: int = 255,
    plain: bool = False,
    summed: str = "",
) -> bytes:
    """A complete IP packet, of the family of `src`. `adver_cs` in centiseconds; version 2 carries whole seconds,
    rounded up. `auth` is padded to 8 bytes (version 2 only). ValueError for values that have no place in a packet.

    Version 3 sums a pseudo header: `plain` leaves it out (v3_checksum_as_v2), `summed` is another destination in it
    (old_unicast_checksum).
    """

def set_priority(packet: bytearray, priority: int) -> None:
    """Change the priority of an encoded packet in place and mend its checksum (RFC 1624)."""
