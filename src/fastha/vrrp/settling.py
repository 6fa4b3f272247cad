"""Feeds LinkDelays with what the kernel says of links, and looks again when a delay is over (shell)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastha.link.monitor import Changes
from fastha.link.rtnl import Link
from fastha.model import LinkDelay
from fastha.vrrp.link_delays import LinkDelays

if TYPE_CHECKING:
    from fastha.link.monitor import Monitor
    from fastha.loop.reactor import Reactor, Timer


class Settling:
    """`longest_down_ns(name)`: how long a link that is down may count as up; `changed`: told what counts as another
    because a delay is over."""

    def __init__(
        self,
        reactor: Reactor,
        monitor: Monitor,
        longest_down_ns: Callable[[str], int],
        changed: Callable[[Changes | None], object],
    ) -> None:
        self._reactor, self._monitor = reactor, monitor
        self._longest_down_ns, self._changed = longest_down_ns, changed
        self._delays = LinkDelays()
        self._timer: Timer | None = None

    def follow(self, delays: Iterable[LinkDelay]) -> None:
        """From now on. A link that has no delay any more counts as what it is."""
        delays = tuple(delays)
        if {delay.interface: delay for delay in delays} == self._delays.wanted:
            return
        names = {*self._delays.wanted, *(delay.interface for delay in delays)}
        self._delays.follow(delays)
        self.look()
        links = (self._monitor.table.link(name) for name in names)
        self._changed({(link.index, "") for link in links if link is not None})

    def look(self) -> Changes:
        """Links are other than they were; those that count as another now."""
        now_ns, changes = self._reactor.now_ns(), set()
        for name in self._delays.wanted:
            link = self._monitor.table.link(name)
            up = None if link is None else link.running
            longest_ns = self._longest_down_ns(name) if up is False else 0  # all instances are asked: for what is down
            if self._delays.look(name, up, longest_ns, now_ns) and link is not None:
                changes.add((link.index, ""))
        if self._timer is not None:
            self._timer.cancel()
        due_ns = self._delays.due_ns
        self._timer = None if due_ns is None else self._reactor.call_at(due_ns, self._over)
        return changes

    def running(self, link: Link) -> bool:
        """What counts."""
        return self._delays.counts(link.name, link.running)

    def _over(self) -> None:
        self._timer = None
        if changes := self.look():
            self._changed(changes)
