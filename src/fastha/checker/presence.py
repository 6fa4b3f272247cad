"""Which addresses this host has, for `ha_suspend` (shell over the link room)."""

from __future__ import annotations

from collections.abc import Callable

from fastha.link.monitor import Changes, Monitor, Pair
from fastha.loop.reactor import Reactor


class Presence:
    """Listens only while somebody wants to know. `changed()` is called when addresses came or went. SystemFault if
    the kernel does not tell."""

    def __init__(self, reactor: Reactor, changed: Callable[[], object]) -> None:
        self._reactor = reactor
        self._changed = changed
        self._monitor: Monitor | None = None

    def listen(self, wanted: bool, buffers: Pair) -> None:
        """With these receive buffers."""
        if not wanted:
            self.close()
        elif self._monitor is None:
            self._monitor = Monitor(self._reactor, self._news, inet6=True, buffers=buffers)
        else:
            self._monitor.resize(buffers)

    def has(self, ip: str) -> bool:
        """Whether some interface has the address; canonical text."""
        return self._monitor is not None and self._monitor.table.anywhere(ip)

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def _news(self, _changes: Changes | None) -> None:
        self._changed()
