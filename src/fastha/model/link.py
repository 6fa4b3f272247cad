"""How long a change of a link must last before it counts."""

from __future__ import annotations

from fastha.lean import dataclass


@dataclass(frozen=True, slots=True)
class LinkDelay:
    """A line of `interface_up_down_delays`: `down_ns` after carrier is lost the link counts as down, `up_ns` after it
    is back as up. 0: at once."""

    __apart__ = ("interface",)  # what mostly differs from one to another: see fastha.lean

    interface: str
    down_ns: int = 0
    up_ns: int = 0
