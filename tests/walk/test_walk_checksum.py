"""The checksum against the 16-bit loop: every alignment, every split, every small size."""

from __future__ import annotations

import itertools

from fastha.wire.checksum import checksum as fast
from oracles.checksum import checksum as slow
from walk.seeds import walk


def test_every_alignment_and_small_size() -> None:
    r = walk("checksum")
    block = memoryview(bytearray(r.randbytes(128)))
    for start in range(16):
        for size in range(80):
            part = block[start : start + size]
            assert fast(part) == slow(bytes(part)), (start, size)


def test_splits_at_even_offsets_do_not_matter() -> None:
    r = walk("checksum splits")
    for _ in range(1000):
        data = r.randbytes(r.choice((0, 1, 2, 19, 20, 100, 1500)))
        cuts = sorted({0, len(data), *(2 * r.randrange(len(data) // 2 + 1) for _ in range(r.randrange(4)))})
        parts = [data[a:b] for a, b in itertools.pairwise(cuts)] or [data]
        assert fast(*parts) == slow(data), (data.hex(), cuts)


def test_extremes() -> None:
    for size in (*range(20), 65535):
        for byte in (0x00, 0x01, 0x80, 0xFF):
            data = bytes([byte]) * size
            assert fast(data) == slow(data), (byte, size)
