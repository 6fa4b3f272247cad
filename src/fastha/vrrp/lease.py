"""`address_lease`: addresses that vanish by themselves when nobody is left who could remove them.

The kernel counts a lifetime down for each; every third of the lease all that are held get it anew. So two renewals may
be missed, whatever keeps us busy. Static addresses have none, nor have staged ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from fastha.link.rtnl import FOREVER_S
from fastha.model.units import NS_PER_S

if TYPE_CHECKING:
    from fastha.loop.reactor import Reactor, Timer


class Holder(Protocol):
    """An instance that may hold addresses."""

    def renew(self) -> None:
        """Ask for another lifetime for all that are there."""


class Lease:
    """`seconds` 0: addresses stay until they are removed."""

    def __init__(self, reactor: Reactor, breathe: Callable[[], object]) -> None:
        self.seconds = 0
        self._reactor = reactor
        self._breathe = breathe  # between two instances, adverts that are due leave
        self._timer: Timer | None = None

    @property
    def valid_s(self) -> int:
        return self.seconds or FOREVER_S

    def renew(self, holders: Callable[[], Iterable[Holder]]) -> None:
        """Now, and again before it ends; once if there is none any more."""
        if self._timer is not None:
            self._timer.cancel()
        for holder in tuple(holders()):
            holder.renew()
            self._breathe()
        self._timer = (
            self._reactor.call_later(self.seconds * NS_PER_S // 3, lambda: self.renew(holders))
            if self.seconds
            else None
        )
