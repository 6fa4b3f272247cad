"""The slow twin of fastha.wire.bfd, with struct: RFC 5880 sections 4.1 and 6.8.6 word by word."""

from __future__ import annotations

import struct

LAYOUT = struct.Struct("!BBBBIIIII")
NAMES = ("mine", "yours", "min_tx_us", "min_rx_us", "min_echo_us")


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
    return LAYOUT.pack(
        1 << 5 | diag, state << 6 | flags, multiplier, 24, mine, yours, min_tx_us, min_rx_us, min_echo_us
    )


def decode(packet: bytes) -> tuple[str, dict[str, int]]:
    """(verdict, fields); the fields are {} when there is no room for them."""
    if len(packet) < LAYOUT.size:
        return "short", {}
    first, second, multiplier, length, *numbers = LAYOUT.unpack(packet[:24])
    fields = dict(zip(NAMES, numbers, strict=True))
    fields |= {"diag": first & 31, "state": second >> 6, "flags": second & 63, "multiplier": multiplier}
    authenticated, multipoint = bool(second & 4), bool(second & 1)
    for discard, why in (
        (first >> 5 != 1, "version"),
        (length < (26 if authenticated else 24), "length"),
        (length > len(packet), "length"),
        (multiplier == 0, "multiplier"),
        (multipoint, "multipoint"),
        (fields["mine"] == 0, "my_discriminator"),
        (fields["yours"] == 0 and fields["state"] not in (0, 1), "your_discriminator"),
    ):
        if discard:
            return why, fields
    return "ok", fields
