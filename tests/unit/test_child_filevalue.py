"""The number in a tracked file, and what it does."""

from __future__ import annotations

import pytest

from fastha.child.filevalue import parse, priority_change, weight_change


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0),
        (b"0", 0),
        (b"1\n", 1),
        (b" \t\n-17 \n", -17),
        (b"+4", 4),
        (b"0x1F", 31),
        (b"-0XfF\n", -255),
        (b"017", 15),
        (b"08", 0),
        (b"0x", 0),
        (b"5 6", 0),
        (b"5x", 0),
        (b"1.5", 0),
        (b"--5", 0),
        (b"\xd9\xa1", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"9223372036854775808", 0),
        (b"1" * 129, 0),
        (b"\0", 0),
    ],
)
def test_numbers(data: bytes, value: int) -> None:
    assert parse(data) == value


@pytest.mark.parametrize(
    ("value", "weight", "reverse", "change"),
    [
        (0, 0, False, 0),
        (1, 0, False, None),
        (-1, 0, False, None),
        (0, 0, True, None),
        (5, 0, True, 0),
        (5, 2, False, 10),
        (5, 2, True, -10),
        (5, -2, True, 10),
        (-(2**30), 2, False, None),
        (-(2**30) + 1, 2, False, -(2**31) + 2),
        (2**30, 2, True, None),
        (2**40, 5, False, 2**31 - 1),
    ],
)
def test_weights(value: int, weight: int, reverse: bool, change: int | None) -> None:
    assert weight_change(value, weight, reverse) == change


@pytest.mark.parametrize(
    ("value", "weight", "reverse", "change"),
    [
        (1, 0, False, None),
        (0, 0, True, None),
        (253, 1, False, 253),
        (300, 1, False, 253),
        (-253, 1, False, -253),
        (-254, 1, False, None),
        (127, -2, False, None),
        (127, -2, True, 253),
    ],
)
def test_priorities(value: int, weight: int, reverse: bool, change: int | None) -> None:
    assert priority_change(value, weight, reverse) == change
