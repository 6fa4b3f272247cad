"""The IPVS backend: csrc/ behind the contract of `dataplane.backend.Backend`.

After an error on the socket nothing is known about answers that are still under way, so the next use opens a new one.
The caller dumps and reconciles, as after any OSError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from fastha._ipvs import ffi, lib
from fastha.dataplane.ipvs_control import daemon_struct, read_daemon, read_timeouts, timeouts_struct
from fastha.dataplane.ipvs_mh import USUAL, asked_slots, configured_slots, destinations
from fastha.dataplane.ipvs_pack import fill_ops
from fastha.dataplane.ipvs_rows import (
    fill_service,
    read_counters,
    read_dest_names,
    read_dests,
    read_service,
)
from fastha.dataplane.rows import Daemon, Dest, DestKey, Op, Service, ServiceKey, ServiceRow, Table, Timeouts
from fastha.errors import SystemFault
from fastha.model import VirtualServer
from fastha.setns import Place, here

NAME_MAX = lib.FHA_IPVS_NAME_SIZE - 1  # of a scheduler or a persistence engine
SLICE = 512  # operations on their way through one buffer, between two signs of life
DUMP_TRIES = 8  # a dump during which the table changed is repeated

_WHY = {
    errno.ENOENT: "the kernel has no IPVS (module ip_vs), or not in this network namespace",
    errno.EPERM: "needs root (CAP_NET_ADMIN)",
    errno.EPROTONOSUPPORT: "the kernel has no generic netlink",
}


class IpvsBackend:
    """An open generic netlink socket of the network namespace it was opened in; `place` is that one."""

    name = "ipvs"

    def __init__(self, place: Place = here) -> None:
        self._place = place
        self._socket = ffi.new("struct fha_ipvs_socket *")
        self._socket.fd = -1
        self._services = ffi.new("struct fha_ipvs_service[]", 256)
        self._dests = ffi.new("struct fha_ipvs_dest[]", 1024)
        self._counters: Any = ffi.NULL  # as long as the rows they belong to, once somebody asks for them
        self._mh_slots = 0  # not known: nobody has asked for more than the usual yet
        self._closed = False
        self.progress: Callable[[], object] = lambda: None  # of dataplane.backend.Patient
        if rc := lib.fha_ipvs_open(self._socket):
            raise SystemFault(f"ipvs: {_WHY.get(-rc, os.strerror(-rc))}")

    def refuse(self, server: VirtualServer) -> str:
        """See `refusal`; and mh with more destinations than this kernel's mh has slots."""
        if why := refusal(server):
            return why
        count = destinations(server)
        if server.scheduler != "mh" or count <= min(self._mh_slots or USUAL, USUAL):
            return ""
        if not self._mh_slots:
            try:
                self._mh_slots = configured_slots() or asked_slots(self.apply)
            except OSError as fault:
                return f"mh: {fault.strerror}"
        if count <= self._mh_slots:
            return ""
        return f"mh: this kernel's table has {self._mh_slots} slots, too few for {count} destinations"

    def dump(self) -> Table:
        """Every service of the namespace with its destinations."""
        table: Table = {}
        services = [read_service(self._services[i]) for i in range(self._dump_services())]
        for key, service in services:
            count = self._dump_dests(key)
            table[key] = ServiceRow(service, dict(read_dests(self._dests, count)))
            self.progress()
        return table

    def services(self) -> Iterator[tuple[ServiceKey, Service]]:
        """As they are when the first one is taken; other dumps may come between two."""
        count = self._dump_services()
        own = ffi.new("struct fha_ipvs_service[]", count)
        ffi.memmove(own, self._services, ffi.sizeof(own))
        return (read_service(own[i]) for i in range(count))

    def dests(self, key: ServiceKey) -> dict[DestKey, Dest]:
        """Of one service; {} if there is no such service (ip_vs_genl_dump_dests)."""
        return dict(read_dests(self._dests, self._dump_dests(key)))

    def apply(self, ops: Sequence[Op]) -> list[int]:
        """In windows of up to 256 messages, each acknowledged; `progress` is called now and then."""
        results: list[int] = []
        if ops:
            room = ffi.new("struct fha_ipvs_op[]", min(len(ops), SLICE))
            answers = ffi.new("int32_t[]", min(len(ops), SLICE))
        for at in range(0, len(ops), SLICE):
            part = list(ops[at : at + SLICE])
            fill_ops(ffi.buffer(room), part)
            self._open()
            self._check(lib.fha_ipvs_apply(self._socket, room, len(part), answers))
            results += ffi.unpack(answers, len(part))
            self.progress()
        return results

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """Every field of `struct fha_ipvs_counters`, for each destination and, under (service, ""), for each service
        (of `keys`: for their destinations alone).

        The kernel adds packets, bytes and connections up every 2 s.
        """
        found: dict[tuple[ServiceKey, str], dict[str, int]] = {}
        if keys is None:
            count = self._dump_services(counted=True)
            services = [read_service(self._services[i])[0] for i in range(count)]
            for key, own in zip(services, read_counters(self._counters, count), strict=True):
                for unknown in ("active", "inactive", "persistent"):  # the kernel counts those of destinations alone
                    del own[unknown]
                found[key, ""] = own
        for key in services if keys is None else keys:
            try:
                count = self._dump_dests(key, counted=True)
            except OSError as error:
                if keys is None or error.errno != errno.ESRCH:  # ESRCH: no such service
                    raise
                continue
            names = [(key, name) for name in read_dest_names(self._dests, count)]
            found.update(zip(names, read_counters(self._counters, count), strict=True))
        return found

    def timeouts(self) -> Timeouts:
        """The connection timeouts of this network namespace."""
        answer = ffi.new("struct fha_ipvs_timeouts *")
        self._open()
        self._check(lib.fha_ipvs_get_timeouts(self._socket, answer))
        return read_timeouts(answer)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """All or none; 0 leaves one as it is."""
        request = timeouts_struct(timeouts)
        self._open()
        self._check(lib.fha_ipvs_set_timeouts(self._socket, request))

    def daemons(self) -> list[Daemon]:
        """The synchronisation daemons that run, the master first, with the values the kernel chose for them."""
        out, count = ffi.new("struct fha_ipvs_daemon[]", 2), ffi.new("size_t *")
        self._dump_once(lambda: lib.fha_ipvs_dump_daemons(self._socket, out, len(out), count))
        return [read_daemon(out[i]) for i in range(min(count[0], len(out)))]

    def start_daemon(self, daemon: Daemon) -> None:
        """OSError EEXIST: one of that state runs already (stop it first); ENODEV: no such interface; EINVAL also while
        any service has a destination of another address family."""
        request = daemon_struct(daemon)
        self._open()
        self._check(lib.fha_ipvs_start_daemon(self._socket, request))

    def stop_daemon(self, state: int) -> None:
        """OSError ESRCH: none of that state runs."""
        self._open()
        rc = lib.fha_ipvs_stop_daemon(self._socket, state)
        if rc == -errno.EINTR and all(daemon.state != state for daemon in self.daemons()):
            return  # it had not run yet: it ends, and the kernel says nothing
        self._check(rc)

    def flush(self) -> None:
        """Every service of the namespace with its destinations, in one operation."""
        self._open()
        self._check(lib.fha_ipvs_flush(self._socket))

    def close(self) -> None:
        """Idempotent. Rows stay."""
        self._closed = True
        lib.fha_ipvs_close(self._socket)

    def _dump_services(self, counted: bool = False) -> int:
        """How many services lie in `_services` (and `_counters`), valid until the next dump."""

        def dump(room: Any, counters: Any, count: Any) -> int:
            return int(lib.fha_ipvs_dump_services(self._socket, room, counters, len(room), count))

        self._services, count = self._dump_whole(self._services, counted, dump)
        return count

    def _dump_dests(self, key: ServiceKey, counted: bool = False) -> int:
        """How many destinations of one service lie in `_dests` (and `_counters`), valid until the next dump."""
        identity = ffi.new("struct fha_ipvs_service *")
        fill_service(identity, key, Service(""))

        def dump(room: Any, counters: Any, count: Any) -> int:
            return int(lib.fha_ipvs_dump_dests(self._socket, identity, room, counters, len(room), count))

        self._dests, count = self._dump_whole(self._dests, counted, dump)
        return count

    def _dump_whole(self, room: Any, counted: bool, dump: Callable[[Any, Any, Any], int]) -> tuple[Any, int]:
        """`room`, made longer until the dump fits, and the number of rows in it."""
        count = ffi.new("size_t *")
        while True:
            if counted and (self._counters == ffi.NULL or len(self._counters) < len(room)):
                self._counters = ffi.new("struct fha_ipvs_counters[]", len(room))
            counters = self._counters if counted else ffi.NULL
            self._dump_once(partial(dump, room, counters, count))
            if count[0] <= len(room):
                return room, count[0]
            room = ffi.new(ffi.typeof(room), 2 * count[0])

    def _dump_once(self, dump: Callable[[], int]) -> None:
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
            with self._place():
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
        if real.forward == "TUN" and real.tunnel.kind == "gue" and not real.tunnel.port:  # EINVAL
            return f"{real.key}: a gue tunnel needs a port"
    family = "inet6" if ":" in server.ip else "inet" if server.ip else server.family
    members = [(r.key, r.ip, r.forward) for r in server.real_servers]
    if sorry := server.sorry_server:
        members.append((sorry.key, sorry.ip, sorry.forward))
    for key, ip, forward in members:
        # ip_vs_genl_set_cmd: a destination of another family is taken with tunnelling alone
        if (":" in ip) != (family == "inet6") and forward != "TUN":
            return f"{key}: the kernel forwards from {family} to another address family by TUN only, not {forward}"
    return ""
