"""What the parent itself is like as a process, and where it runs: network namespace, name, umask, PID files. Shell."""

from __future__ import annotations

import ctypes
import os

from fastha import outside
from fastha.errors import SystemFault
from fastha.log import Log
from fastha.model import Processes

NAMESPACES = "/run/netns"  # of ip-netns(8)
RUN = "/run/fastha"
CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter(name: str) -> None:
    """From now on this process and those it starts are in the network namespace `name`. SystemFault."""
    try:
        with open(f"{NAMESPACES}/{name}", "rb") as file:
            outside.keep()
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(file.fileno(), CLONE_NEWNET):  # os.setns exists from Python 3.12 only
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    except OSError as error:
        raise SystemFault(f"net_namespace {name}: {error.strerror}") from None


def run_folder(wanted: Processes) -> str:
    """Where this daemon has its sockets and PID files: a folder of its own if it has a name."""
    return f"{RUN}/{wanted.tag}" if wanted.tag else RUN


def fixed(running: Processes, new: Processes) -> str:
    """Why a reload cannot go from one to the other; "" if it can (keepalived.md 1.2)."""
    for word, before, after in (
        ("net_namespace", running.namespace, new.namespace),
        ("instance", running.instance, new.instance),
    ):
        if before != after:
            return f"{word} cannot change while the daemon runs ({before or 'none'} -> {after or 'none'})"
    return ""


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
            with open(f"{self.path(role)}.new", "w") as file:
                file.write(f"{pid}\n")
            os.rename(f"{self.path(role)}.new", self.path(role))
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
