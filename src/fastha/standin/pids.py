"""Pid files of the parent and its children, as keepalived has them (keepalived.md 1.15)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fastha.errors import SystemFault


class PidFiles:
    """`paths`: {"parent", "vrrp", "checker", "bfd": file}; "" or none: no file for it."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = {role: os.path.abspath(path) for role, path in paths.items() if path}
        self._written: dict[str, int] = {}

    def write(self, pids: Mapping[str, int]) -> None:
        """Make the files what `pids` says. SystemFault: one cannot be written."""
        for role, path in self._paths.items():
            pid = pids.get(role, 0)
            if pid == self._written.get(role, 0):
                continue
            try:
                if pid:
                    write_atomically(path, f"{pid}\n".encode(), 0o644)
                else:
                    os.unlink(path)
            except FileNotFoundError:
                if pid:
                    raise SystemFault(f"pid file {path}: its directory does not exist") from None
            except OSError as error:
                raise SystemFault(f"pid file {path}: {error.strerror or error}") from None
            self._written[role] = pid

    def remove(self) -> None:
        """All that were written."""
        for role in [role for role, pid in self._written.items() if pid]:
            try:
                os.unlink(self._paths[role])
            except OSError:
                pass
            del self._written[role]


def write_atomically(path: str, data: bytes, mode: int) -> None:
    """A file that is whole whenever somebody opens it. OSError. A symbolic link in its place is replaced, not followed:
    dumps go to a directory where everybody may write."""
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
