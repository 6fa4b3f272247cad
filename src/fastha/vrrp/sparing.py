"""How often is told what peers can cause with every advert: a few times at once, then now and then. Pure."""

from __future__ import annotations

from fastha.model.units import NS_PER_S

AT_ONCE = 8
EVERY_NS = 10 * NS_PER_S


class Sparing:
    """Of one router. Two numbers, for there are thousands of them."""

    __slots__ = ("_held", "_paid_ns")

    def __init__(self) -> None:
        self._paid_ns = 0  # until when what was told so far would have taken at one in EVERY_NS
        self._held = 0

    def tells(self, text: str, now_ns: int) -> str:
        """What to tell of `text`: with what was held back since the last time, or "" for nothing."""
        paid_ns = max(self._paid_ns, now_ns)
        if paid_ns - now_ns > (AT_ONCE - 1) * EVERY_NS:
            self._held += 1
            return ""
        self._paid_ns = paid_ns + EVERY_NS
        held, self._held = self._held, 0
        return f"{text} ({held} more like this were not told)" if held else text
