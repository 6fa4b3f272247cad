"""What the parent itself is like as a process, and where it runs: network namespace, name, umask, PID files. Shell."""

from __future__ import annotations

import os

from fastha import outside
from fastha.errors import SystemFault
from fastha.log import Log
from fastha.model import Processes
from fastha.parent.whole_file import write_pid
from fastha.setns import NAMESPACES, setns

RUN = "/run/fastha"


def enter(name: str) -> None:
    """From now on this process and those it starts are in the network namespace `name`. SystemFault."""
    try:
        with open(f"{NAMESPACES}/{name}", "rb") as file:
            outside.keep()
            setns(file.fileno())
    except OSError as error:
        raise SystemFault(f"net_namespace {name}: {error.strerror}") from None


def run_folder(wanted: Processes) -> str:
    """Where this daemon has its sockets and PID files: a folder of its own if it has a name."""
    return f"{RUN}/{wanted.tag}" if wanted.tag else RUN


def fixed(running: Processes, new: Processes) -> str:
    """Why a reload cannot go from one to the other; "" if it can (keepalived.md 1.2)."""
    for word, before, after in (
        ("net_namespace", running.namespace or None, new.namespace or None),
        ("net_namespace_ipvs", running.ipvs_namespace, new.ipvs_namespace),
        ("instance", running.instance or None, new.instance or None),
    ):
        if before != after:
            return f"{word} cannot change while the daemon runs ({_shown(before)} -> {_shown(after)})"
    return ""


def _shown(name: str | None) -> str:
    return "none" if name is None else name or "no name"


class Setting:
    """`follow` at the first commit, and at each later one."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._name = ""

    def follow(self, wanted: Processes) -> None:
        if wanted.umask >= 0:
            os.umask(wanted.umask)
        if wanted.name != self._name:
            self._name = wanted.name
            try:
                with open("/proc/self/comm", "w") as file:
                    file.write(wanted.name or "fastha")
            except OSError as error:
                self._log.error(f"process_name has no effect: {error.strerror}")


class PidFiles:
    """One file for each process of this daemon, in `folder`; none while that is ""."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.folder = ""

    def write(self, role: str, pid: int) -> None:
        if not self.folder:
            return
        try:
            os.makedirs(self.folder, mode=0o755, exist_ok=True)
            write_pid(self.path(role), pid)
        except OSError as error:
            self._log.error(f"PID file {self.path(role)}: {error.strerror}")

    def remove(self, role: str) -> None:
        if self.folder:
            try:
                os.unlink(self.path(role))
            except OSError:
                pass

    def path(self, role: str) -> str:
        return f"{self.folder}/{role}.pid"
