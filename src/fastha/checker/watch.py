"""Listening to a kernel that announces changes: repaired at once, not with the next period (shell)."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable

from fastha.dataplane.backend import Announced
from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_MS, NS_PER_S

SETTLE_NS = 20 * NS_PER_MS  # somebody who changes one row mostly changes another
APART_NS = NS_PER_S  # somebody who fights us does not get all of our time


class Watch:
    """Calls `repair` soon after somebody else changed our rows, at most once a second."""

    def __init__(self, backend: Announced, reactor: Reactor, repair: Callable[[], object]) -> None:
        self._backend = backend
        self._reactor = reactor
        self._repair = repair
        self._timer: Timer | None = None
        self._not_before_ns = 0
        self._fd = backend.fileno()
        reactor.add(self._fd, select.EPOLLIN, self._heard)

    def close(self) -> None:
        """Before the backend is closed."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):  # a closed reactor has let go of it
            self._reactor.remove(self._fd)

    def _heard(self, _events: int) -> None:
        try:
            disturbed = self._backend.disturbed()  # asked each time: it takes the announcements off the queue
        except OSError:
            disturbed = True  # `repair` meets it again and says so
        if disturbed and self._timer is None:
            at = max(self._reactor.now_ns() + SETTLE_NS, self._not_before_ns)
            self._timer = self._reactor.call_at(at, self._due)

    def _due(self) -> None:
        self._timer = None
        self._not_before_ns = self._reactor.now_ns() + APART_NS
        self._repair()
