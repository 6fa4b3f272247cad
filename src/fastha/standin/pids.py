"""Pid files of the parent and its children, as keepalived has them (keepalived.md 1.15)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from fastha.errors import SystemFault
from fastha.parent.whole_file import write_pid

FOLDER = "/run/keepalived"


class PidFiles:
    """`paths`: {"parent", "vrrp", "checker", "bfd": file}; "" or none: no file for it. `usual`: those of them that
    nobody has named, which use_pid_dir and `instance` move."""

    def __init__(self, paths: Mapping[str, str], usual: Collection[str] = ()) -> None:
        self._usual = frozenset(usual)
        self._paths = {role: os.path.abspath(path) for role, path in paths.items() if path}
        self._written: dict[str, int] = {}

    def settle(self, tag: str) -> None:
        """use_pid_dir, or what implies it: into a folder of their own, with the daemon's name in theirs if it has one.
        Before any is written."""
        for role in self._usual & self._paths.keys():
            stem = os.path.basename(self._paths[role]).removesuffix(".pid")
            self._paths[role] = f"{FOLDER}/{stem}_{tag}.pid" if tag else f"{FOLDER}/{stem}.pid"
        if self._usual:
            try:
                os.makedirs(FOLDER, mode=0o755, exist_ok=True)
            except OSError as error:
                raise SystemFault(f"{FOLDER}: {error.strerror or error}") from None

    def write(self, pids: Mapping[str, int]) -> None:
        """Make the files what `pids` says. SystemFault: one cannot be written."""
        for role, path in self._paths.items():
            pid = pids.get(role, 0)
            if pid == self._written.get(role, 0):
                continue
            try:
                if pid:
                    write_pid(path, pid)
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
