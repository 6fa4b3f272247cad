"""Settings of interfaces below /proc/sys/net (shell)."""

from __future__ import annotations

import os

ROOT = "/proc/sys/net"


def read(family: str, interface: str, name: str) -> int | None:
    """`family`: ipv4 or ipv6. None if there is no such setting."""
    try:
        with open(f"{ROOT}/{family}/conf/{interface}/{name}") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def write(family: str, interface: str, name: str, value: int) -> int:
    """The errno, 0 for success. Written also if it is so: a setting never written follows `default`."""
    try:
        with open(f"{ROOT}/{family}/conf/{interface}/{name}", "w") as file:
            file.write(str(value))
    except OSError as error:
        return error.errno or 5
    return 0


def interfaces(family: str) -> list[str]:
    """Names of all that have settings, without `all`."""
    try:
        return [name for name in os.listdir(f"{ROOT}/{family}/conf") if name != "all"]
    except OSError:
        return []
