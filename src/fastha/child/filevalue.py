"""What the number in a tracked file means. Pure. keepalived.md 1.5 (track_file), 2.6, 2.9 (FILE_CHECK)."""

from __future__ import annotations

import re

MOST = 128  # bytes of a file that are looked at: more than any number has
NUMBER = re.compile(rb"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))\s*\0*", re.A)
PRIORITY = 253  # a priority changes by no more
FAULT = -254
WEIGHT_MAX = 2**31 - 1
WEIGHT_DOWN = -(2**31)


def parse(data: bytes) -> int:
    """The one signed integer in a file: decimal, 0x hexadecimal or 0 octal (strtol(3), base 0), blanks around it; 0 for
    anything else, and for a number of no 64 bits."""
    match = NUMBER.fullmatch(data) if len(data) <= MOST else None
    if match is None:
        return 0
    sign, hexadecimal, octal, decimal = match.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (decimal, 10)
    value = int(digits, base) * (-1 if sign == b"-" else 1)
    return value if -(2**63) <= value < 2**63 else 0


def weight_change(value: int, weight: int, reverse: bool) -> int | None:
    """What a FILE_CHECK adds to the weight of its real server; None: the server is down.

    Weight 0: anything but 0 is down (reverse: 0 is). Else value x weight (reverse: negated), clipped to WEIGHT_MAX; at
    or below WEIGHT_DOWN it is down.
    """
    if not weight:
        return None if (value == 0) is reverse else 0
    product = value * weight * (-1 if reverse else 1)
    return None if product <= WEIGHT_DOWN else min(product, WEIGHT_MAX)


def priority_change(value: int, weight: int, reverse: bool) -> int | None:
    """What a track_file adds to the priority of an instance; None: FAULT. As `weight_change`, within -253 and 253."""
    if not weight:
        return None if (value == 0) is reverse else 0
    product = value * weight * (-1 if reverse else 1)
    return None if product <= FAULT else min(product, PRIORITY)
