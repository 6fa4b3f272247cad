"""`vrrp_startup_delay` and `vrrp_delay_after_boot`: when a VRRP process that nobody preceded begins. Pure.

A replacement begins at once: what it replaces has begun already, and its peers would take over while it waits. So does
a process after a reload, which does not begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastha.model import GlobalDefs


def begins_ns(defs: GlobalDefs, previous: Mapping[str, Any], now_ns: int, uptime_ns: int) -> int:
    """The moment on the clock of `now_ns`; `uptime_ns`: for how long the machine has been up, asleep or not.
    `previous`: what the parent knows of the process before this."""
    if "died_ago_ns" in previous:
        return now_ns
    return now_ns + max(defs.startup_delay_ns, defs.delay_after_boot_ns - uptime_ns, 0)
