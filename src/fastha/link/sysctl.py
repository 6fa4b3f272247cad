"""Settings of interfaces below /proc/sys/net (shell)."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/proc/sys/net")


def read(family: str, interface: str, name: str) -> int | None:
    """`family`: ipv4 or ipv6. None if there is no such setting."""
    try:
        return int((ROOT / family / "conf" / interface / name).read_text())
    except (OSError, ValueError):
        return None


def write(family: str, interface: str, name: str, value: int) -> int:
    """The errno, 0 for success. Written also if it is so: a setting never written follows `default`."""
    try:
        (ROOT / family / "conf" / interface / name).write_text(str(value))
    except OSError as error:
        return error.errno or 5
    return 0


def interfaces(family: str) -> list[str]:
    """Names of all that have settings, without `all`."""
    try:
        return [path.name for path in (ROOT / family / "conf").iterdir() if path.name != "all"]
    except OSError:
        return []
