"""Telling systemd: READY, RELOADING, STOPPING (sd_notify(3)). Says nothing where NOTIFY_SOCKET is not set."""

from __future__ import annotations

import os
import socket


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
