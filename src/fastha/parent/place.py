"""Whom else the daemon has to please: somebody who knows another program in its place (fastha.standin)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from fastha.model import Processes
from fastha.parent.supervisor import Supervisor


class Place(Protocol):
    """Called from the daemon's loop. Failures are its own to tell."""

    respawn: bool  # False: the daemon ends when a child ends
    keep: Collection[str]  # roles whose processes leave everything in the kernel at the end

    @property
    def signals(self) -> Collection[int]:
        """Those it answers, besides the daemon's own."""

    def signal(self, number: int, supervisor: Supervisor) -> None:
        """One of `signals` has come."""

    def settle(self, wanted: Processes) -> bool:
        """What the configuration says of pid files, once and before any is written; whether all of them are the
        place's. SystemFault."""

    def processes(self, pids: Mapping[str, int]) -> None:
        """{"parent": pid, role: pid} of all that live, whenever that has changed. SystemFault: it cannot go on so
        (only at the first call)."""

    def close(self) -> None:
        """The daemon ends."""
