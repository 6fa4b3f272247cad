"""`disable_local_igmp`: whether the kernel reports membership of link-local groups (RFC 4541 section 2.1.2).

The setting is one of the network namespace, since Linux 4.3 (shell).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastha.lean import replace
from fastha.model import FirewallDefs

if TYPE_CHECKING:
    from fastha.child import Child

SYSCTL = "/proc/sys/net/ipv4/igmp_link_local_mcast_reports"
FACT = "igmp_reports_before"


class LocalIgmp:
    """Set while it is wanted, put back when it is not and at the end. What it was is a fact, so that a process which
    replaces one that was killed puts it back too."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._before: str | None = None

    def follow(self, defs: FirewallDefs, known: str | None) -> FirewallDefs:
        """The definitions, with what came of it. `known`: what a predecessor of this process found."""
        if defs.local_igmp:
            self._before = self._before or known
            self.close()
            return defs
        if self._before is not None:
            return defs
        try:
            with open(SYSCTL) as file:
                before = known or file.read().strip()
            _write("0")
        except OSError as error:
            self._child.log.error("disable_local_igmp has no effect: %s: %s", SYSCTL, error.strerror)
            return replace(defs, local_igmp=True)
        self._before = before
        self._child.facts({FACT: before})
        return defs

    def close(self) -> None:
        """As it was."""
        if self._before is None:
            return
        try:
            _write(self._before)
        except OSError as error:
            self._child.log.error("%s cannot be put back: %s", SYSCTL, error.strerror)
        self._before = None
        self._child.facts({FACT: None})


def _write(value: str) -> None:
    with open(SYSCTL, "w") as file:
        file.write(value)
