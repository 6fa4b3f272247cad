"""Text that came from elsewhere, made harmless. Pure."""

from __future__ import annotations

from typing import Final

# For str.translate: text from a peer must not be able to write lines of its own, or move a terminal's cursor.
SAFE: Final = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160))} | {0x2028: " ", 0x2029: " "}
