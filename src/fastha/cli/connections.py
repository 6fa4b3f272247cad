"""Active connections of every real server, read from the kernel by the command that shows them: no child's loop has the
cost, and nobody pays while nobody looks.

In the picture the checker itself reports them of what drains alone. Needs CAP_NET_ADMIN; without it the picture stays
as it was.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from fastha.dataplane.backend import Backend
from fastha.dataplane.choose import open_backend
from fastha.dataplane.rows import ServiceKey
from fastha.errors import SystemFault
from fastha.setns import entered

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
SHARE = 20  # a look is followed by that many times what it took, without one
READABLE = ("ipvs", "nft")
Doc = Mapping[str, Any]


class Connections:
    """What was read last is good for some time: one who looks again and again has a twentieth of the cost."""

    def __init__(self) -> None:
        self._backend: Backend | None = None
        self._active: dict[tuple[ServiceKey, str], Mapping[str, int]] = {}
        self._not_before_s = 0.0

    def add(self, answer: dict[str, Any]) -> dict[str, Any]:
        """`answer` to `status`, with `active` in every real server that is in the kernel's table."""
        checker = answer.get("checker", {})
        servers = checker.get("virtual_servers", {})
        keys = {name: services(name, one) for name, one in servers.items()}
        if keys and time.monotonic() >= self._not_before_s:
            name = checker.get("dataplane", {}).get("backend", "")
            pid = answer.get("daemon", {}).get("children", {}).get("checker", {}).get("pid")
            where = checker.get("dataplane", {}).get("namespace") or f"/proc/{pid or 'self'}/ns/net"
            self._read(name, where, {key for found in keys.values() for key in found})
        for name, one in servers.items():
            for real, facts in one.get("real_servers", {}).items():
                if "in_table" in facts and "active" not in facts:
                    rows = [row for key in keys[name] if (row := self._active.get((key, real)))]
                    if rows and all("active" in row for row in rows):
                        facts["active"] = sum(row["active"] for row in rows)
        return answer

    def _read(self, name: str, where: str, keys: set[ServiceKey]) -> None:
        if name not in READABLE or os.geteuid() != 0:
            return
        began_s = time.monotonic()
        try:
            with entered(where):
                if self._backend is None:
                    self._backend = open_backend(name)
                self._active = dict(self._backend.counters(keys))
        except (OSError, SystemFault):  # what is no longer known is not shown
            self._active = {}
        now_s = time.monotonic()
        self._not_before_s = now_s + SHARE * (now_s - began_s)


def services(name: str, one: Doc) -> list[ServiceKey]:
    """The kernel's services of the virtual server called `name`, as its facts have them. [] if it cannot be told."""
    where, _, protocol = name.rpartition("/")
    if "members" in one:
        return list(dict.fromkeys(_members(one, PROTOCOLS.get(protocol, 0))))
    if where.startswith("fwmark "):
        family = socket.AF_INET6 if protocol == "inet6" else socket.AF_INET
        return [ServiceKey(family, 0, fwmark=int(where.removeprefix("fwmark ")))]
    ip, _, port = where.rpartition(":")
    if protocol not in PROTOCOLS or not port.isdecimal():
        return []
    ip = ip.strip("[]")
    return [ServiceKey(socket.AF_INET6 if ":" in ip else socket.AF_INET, PROTOCOLS[protocol], ip, int(port))]


def _members(one: Doc, protocol: int) -> Iterator[ServiceKey]:
    for first, last, port, fwmark, family_name in one["members"]:
        family = socket.AF_INET6 if family_name == "inet6" else socket.AF_INET
        if fwmark or one.get("mark"):
            yield ServiceKey(family, 0, fwmark=fwmark or one["mark"])
            continue
        begin = ip_address(first)
        for offset in range(int(ip_address(last)) - int(begin) + 1):
            yield ServiceKey(family, protocol, str(begin + offset), port)
