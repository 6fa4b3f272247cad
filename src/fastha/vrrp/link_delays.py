"""What a link counts as while changes of it have to last (`interface_up_down_delays`). Pure.

A link that vanishes is gone at once, and one that appears counts as what it is: delays are for links that flap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastha.model import LinkDelay


@dataclass(slots=True)
class Known:
    """What a link counts as; `due_ns`: when it counts as the opposite, which it is, None: it counts as what it is."""

    up: bool
    due_ns: int | None = None


class LinkDelays:
    """Of each interface that has a line. Times are those of the reactor, ns."""

    def __init__(self) -> None:
        self.wanted: dict[str, LinkDelay] = {}
        self._known: dict[str, Known] = {}

    def follow(self, delays: Iterable[LinkDelay]) -> None:
        """These hold from the next change on; what waits keeps its time."""
        self.wanted = {delay.interface: delay for delay in delays}
        self._known = {name: known for name, known in self._known.items() if name in self.wanted}

    def look(self, name: str, up: bool | None, longest_down_ns: int, now_ns: int) -> bool:
        """The link is so (None: there is none); whether it counts as another from now on. No down delay is longer than
        `longest_down_ns`."""
        delay, known = self.wanted[name], self._known.get(name)
        if up is None:
            return self._known.pop(name, None) is not None
        if known is None:
            self._known[name] = Known(up)
            return True
        if up is known.up:
            known.due_ns = None
            return False
        if known.due_ns is None:
            known.due_ns = now_ns + (delay.up_ns if up else min(delay.down_ns, longest_down_ns))
        if now_ns < known.due_ns:
            return False
        known.up, known.due_ns = up, None
        return True

    def counts(self, name: str, up: bool) -> bool:
        """What a link that is `up` counts as."""
        known = self._known.get(name)
        return up if known is None else known.up

    @property
    def due_ns(self) -> int | None:
        """When somebody has to look again."""
        return min((known.due_ns for known in self._known.values() if known.due_ns is not None), default=None)
