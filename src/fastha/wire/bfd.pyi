"""Control packets as tests see them, and as they are prebuilt when a session changes; the lane uses bfd.pxd."""

from typing import TypedDict

from typing_extensions import Buffer

VERDICTS: tuple[str, ...]
"""Names of what a packet is before a session is looked for, indexed by bfd_verdict; "ok" first."""
SIZE: int
POLL: int
FINAL: int
INDEPENDENT: int
AUTH: int
DEMAND: int

class Control(TypedDict):
    """Fields of bfd_t (a name for type checkers only)."""

    diag: int
    state: int
    flags: int
    multiplier: int
    mine: int
    yours: int
    min_tx_us: int
    min_rx_us: int
    min_echo_us: int

def decode(packet: Buffer) -> tuple[str, Control]:
    """(verdict, fields) of a datagram's payload. Never raises for what the bytes say."""

def tally(packets: list[bytes]) -> tuple[int, ...]:
    """How many of the packets get each verdict, indexed like VERDICTS; makes no object per packet."""

def encode(
    state: int,
    diag: int,
    multiplier: int,
    mine: int,
    yours: int,
    min_tx_us: int,
    min_rx_us: int,
    flags: int = 0,
    min_echo_us: int = 0,
) -> bytes:
    """24 bytes of version 1. ValueError or OverflowError for values that have no place in a packet; those that RFC 5880
    section 6.8.6 forbids are written (tests send them)."""
