"""The other routers that an instance has heard, as facts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from fastha.vrrp.machine import dotted

Peer = dict[str, Any]
NOBODY: dict[str, Peer] = {}  # of thousands of instances


class Peers:
    """`previous`: what the predecessor of this process reported; those are still known, until they are heard again."""

    __slots__ = ("_at", "_before")

    def __init__(self, previous: Iterable[Peer]) -> None:
        self._before = {str(one["ip"]): one for one in previous if isinstance(one, dict) and "ip" in one} or NOBODY
        self._at: dict[int, tuple[int, float]] = {}  # address -> heard_ns of the last advert, and when that was (wall)

    def told(self, heard: Iterable[tuple[int, int, int, int]]) -> list[Peer]:
        """[{ip, priority: of its last advert (0: it resigned), received, heard: wall}], the last one first. A silent
        peer says the same each time."""
        out, known, self._at = dict(self._before), self._at, {}
        for number, priority, received, heard_ns in heard:
            ip = dotted(number)
            at = known.get(number)
            if at is None or at[0] != heard_ns:
                at = heard_ns, round(time.time() - (time.monotonic_ns() - heard_ns) / 1e9, 3)
            self._at[number] = at
            before = self._before.get(ip, {}).get("received", 0)
            out[ip] = {"ip": ip, "priority": priority, "received": before + received, "heard": at[1]}
        return sorted(out.values(), key=lambda one: -one.get("heard", 0.0))
