"""Shell: this machine, as warnings_host asks about it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
from functools import cached_property

LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


class ThisHost:
    """Asked when it is needed; what it cannot say (no /proc) counts as fine."""

    def command(self, path: str) -> str:
        if "/" not in path:
            return "" if shutil.which(path) else "it is not in PATH"
        if not os.path.exists(path):
            return "there is no such file"
        if os.path.isdir(path):
            return "it is a directory"
        return "" if os.access(path, os.X_OK) else "it is not executable"

    def user(self, name: str) -> bool:
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def interfaces(self) -> frozenset[str]:
        return self._interfaces

    @cached_property
    def _interfaces(self) -> frozenset[str]:
        return frozenset(name for _index, name in socket.if_nameindex())

    def addresses(self) -> frozenset[str]:
        """IPv4 addresses of all interfaces: what the routing table calls LOCAL."""
        try:
            with open("/proc/net/fib_trie", encoding="ascii") as f:
                return frozenset(LOCAL.findall(f.read()))
        except OSError:
            return frozenset()

    def promotes_secondaries(self, interface: str) -> bool:
        """The kernel takes the larger of `all` and the interface's own (ip-sysctl: promote_secondaries)."""
        return any(self._sysctl(name) for name in ("all", interface))

    @staticmethod
    def _sysctl(name: str) -> bool:
        try:
            with open(f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries", encoding="ascii") as f:
                return f.read().strip() != "0"
        except OSError:
            return name != "all"
