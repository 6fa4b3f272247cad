"""Telling systemd: READY, RELOADING, STOPPING, WATCHDOG, STATUS (sd_notify(3)). Says nothing where NOTIFY_SOCKET is not
set."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from fastha.model.units import NS_PER_US
from fastha.parent.loop import Loop, Timer


def notify(state: str) -> None:
    """Send `state`, lines of NAME=value. Never blocks, never fails."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    address = "\0" + path[1:] if path[0] == "@" else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.sendto(state.encode(), address)
    except OSError:
        pass


def watchdog_ns(environment: Mapping[str, str], pid: int) -> int:
    """How often systemd wants to hear of us (sd_watchdog_enabled(3)); 0: it does not."""
    try:
        if int(environment.get("WATCHDOG_PID") or pid) != pid:
            return 0
        return max(0, int(environment.get("WATCHDOG_USEC") or 0)) * NS_PER_US
    except ValueError:
        return 0


class Feeder:
    """Three times per period: WATCHDOG=1 while `stuck()` names no child, and STATUS when `status()` has changed.

    The parent kills a child whose loop stands still. What is left for systemd is a child that cannot be killed, and
    the parent itself: then nothing is sent, and systemd starts everything again. With a period of 0 only STATUS is
    sent."""

    STATUS_NS = 3_000_000_000

    def __init__(self, loop: Loop, period_ns: int, stuck: Callable[[], list[str]], status: Callable[[], str]) -> None:
        self._loop, self._stuck, self._status = loop, stuck, status
        self._feeds = period_ns > 0
        self._every_ns = max(1, period_ns // 3) if self._feeds else self.STATUS_NS
        self._said = ""
        self._timer: Timer | None = None

    def start(self) -> None:
        """Once there is something to watch."""
        self._turn()

    def _turn(self) -> None:
        self._timer = self._loop.call_later(self._every_ns, self._turn)
        stuck, status = self._stuck(), self._status()
        if stuck:
            status = f"{', '.join(stuck)} cannot be ended; {status}"
        if self._feeds and not stuck:
            notify("WATCHDOG=1")
        if status != self._said:
            self._said = status
            notify(f"STATUS={status}")

    def close(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
