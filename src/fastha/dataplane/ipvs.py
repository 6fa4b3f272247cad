"""The IPVS backend: csrc/ behind the contract of `dataplane.backend.Backend`.

After an error on the socket nothing is known about answers that are still under way, so the next use opens a new one.
The caller dumps and reconciles, as after any OSError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from fastha._ipvs import ffi, lib
from fastha.dataplane.ipvs_rows import fill_service, op_array, read_dest, read_service
from fastha.dataplane.rows import Op, Service, ServiceKey, ServiceRow, Table
from fastha.errors import SystemFault
from fastha.model import VirtualServer

NAME_MAX = lib.FHA_IPVS_NAME_SIZE - 1  # of a scheduler or a persistence engine
DUMP_TRIES = 8  # a dump during which the table changed is repeated

_WHY = {
    errno.ENOENT: "the kernel has no IPVS (module ip_vs), or not in this network namespace",
    errno.EPERM: "needs root (CAP_NET_ADMIN)",
    errno.EPROTONOSUPPORT: "the kernel has no generic netlink",
}


class IpvsBackend:
    """An open generic netlink socket of the network namespace it was opened in."""

    name = "ipvs"

    def __init__(self) -> None:
        self._socket = ffi.new("struct fha_ipvs_socket *")
        self._socket.fd = -1
        self._services = ffi.new("struct fha_ipvs_service[]", 256)
        self._dests = ffi.new("struct fha_ipvs_dest[]", 1024)
        self._closed = False
        if rc := lib.fha_ipvs_open(self._socket):
            raise SystemFault(f"ipvs: {_WHY.get(-rc, os.strerror(-rc))}")

    def refuse(self, server: VirtualServer) -> str:
        """See `refusal`."""
        return refusal(server)

    def dump(self) -> Table:
        """Every service of the namespace with its destinations."""
        table: Table = {}
        for key, service in self._dump_services():
            table[key] = ServiceRow(service, dict(read_dest(c) for c in self._dump_dests(key)))
        return table

    def apply(self, ops: Sequence[Op]) -> list[int]:
        """In windows of up to 256 messages, each acknowledged."""
        if not ops:
            return []
        self._open()
        results = ffi.new("int32_t[]", len(ops))
        self._check(lib.fha_ipvs_apply(self._socket, op_array(ops), len(ops), results))
        return ffi.unpack(results, len(ops))  # type: ignore[no-any-return]

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """Active and inactive connections now, and connections ever scheduled (the kernel adds those up every 2 s)."""
        found = {}
        for key in [key for key, _ in self._dump_services()] if keys is None else keys:
            try:
                dests = self._dump_dests(key)
            except OSError as error:
                if keys is None or error.errno != errno.ESRCH:  # ESRCH: no such service
                    raise
                continue
            for c in dests:
                dest_key, _ = read_dest(c)
                found[key, str(dest_key)] = {
                    "active": c.active,
                    "inactive": c.inactive,
                    "connections": c.connections,
                }
        return found

    def close(self) -> None:
        """Idempotent. Rows stay."""
        self._closed = True
        lib.fha_ipvs_close(self._socket)

    def _dump_services(self) -> list[tuple[ServiceKey, Service]]:
        count = ffi.new("size_t *")
        while True:
            self._dump_once(
                lambda: lib.fha_ipvs_dump_services(self._socket, self._services, len(self._services), count)
            )
            if count[0] <= len(self._services):
                return [read_service(self._services[i]) for i in range(count[0])]
            self._services = ffi.new("struct fha_ipvs_service[]", 2 * count[0])

    def _dump_dests(self, key: ServiceKey) -> Iterator[Any]:
        """The C structs of one service's destinations, valid until the next dump."""
        identity = ffi.new("struct fha_ipvs_service *")
        fill_service(identity, key, Service(""))
        count = ffi.new("size_t *")
        while True:
            self._dump_once(
                lambda: lib.fha_ipvs_dump_dests(self._socket, identity, self._dests, len(self._dests), count)
            )
            if count[0] <= len(self._dests):
                return (self._dests[i] for i in range(count[0]))
            self._dests = ffi.new("struct fha_ipvs_dest[]", 2 * count[0])

    def _dump_once(self, dump: Any) -> None:
        """One dump; repeated while the kernel says that the table changed under it (NLM_F_DUMP_INTR)."""
        for last in [False] * (DUMP_TRIES - 1) + [True]:
            self._open()
            rc = dump()
            if rc != -errno.EINTR or last:
                self._check(rc)
                return
            lib.fha_ipvs_close(self._socket)  # the rest of the interrupted dump is of no use

    def _open(self) -> None:
        """Open again after an error."""
        if self._closed:
            raise OSError(errno.EBADF, "ipvs: closed")
        if self._socket.fd < 0:
            self._check(lib.fha_ipvs_open(self._socket))

    def _check(self, rc: int) -> None:
        if rc:
            lib.fha_ipvs_close(self._socket)
            raise OSError(-rc, f"ipvs: {os.strerror(-rc)}")


def refusal(server: VirtualServer) -> str:
    """Why IPVS cannot carry `server` (linux/ip_vs.h, ip_vs_ctl.c), or ""."""
    for word, name in (("scheduler", server.scheduler), ("persistence_engine", server.persistence_engine)):
        if len(name) > NAME_MAX or not name.isascii():
            return f"{word} {name!r}: the kernel takes at most {NAME_MAX} ASCII characters"
    for real in server.real_servers:
        if real.lthreshold > real.uthreshold:  # ip_vs_add_dest: ERANGE
            return f"{real.key}: lthreshold {real.lthreshold} is above uthreshold {real.uthreshold}"
    family = "inet6" if ":" in server.ip else "inet" if server.ip else server.family
    members = [(r.key, r.ip, r.forward) for r in server.real_servers]
    if sorry := server.sorry_server:
        members.append((sorry.key, sorry.ip, sorry.forward))
    for key, ip, forward in members:
        # ip_vs_genl_set_cmd: a destination of another family is taken with tunnelling alone
        if (":" in ip) != (family == "inet6") and forward != "TUN":
            return f"{key}: the kernel forwards from {family} to another address family by TUN only, not {forward}"
    return ""
