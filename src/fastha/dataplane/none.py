"""The dry-run backend: a table in memory that answers as the kernel would. Used by `--dataplane none` and by tests."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from fastha.dataplane.ops import enact
from fastha.dataplane.rows import Daemon, Dest, DestKey, Op, Service, ServiceKey, ServiceRow, Table, Timeouts
from fastha.model import VirtualServer

TIMEOUTS = Timeouts(tcp_s=900, tcpfin_s=120, udp_s=300)  # ip_vs_proto_tcp.c, ip_vs_proto_udp.c
TIMEOUT_MAX_S = (2**31 - 1) // 1000  # INT_MAX / HZ, HZ at most 1000 (ip_vs_set_timeout)
DAEMON = Daemon(0, "", maxlen=1472, port=8848, ttl=1, group="224.0.0.81")  # ip_vs_sync.c, an MTU of 1500
DAEMON6_MAXLEN = 1452


class NoneBackend:
    """Keeps the contracts of `dataplane.backend.Backend` and `KernelBalancer` without a kernel."""

    name = "none"

    def __init__(self) -> None:
        self._table: Table = {}
        self._timeouts = TIMEOUTS
        self._daemons: dict[int, Daemon] = {}

    def refuse(self, server: VirtualServer) -> str:
        """Memory carries everything: always ""."""
        return ""

    def dump(self) -> Table:
        """A copy: later operations do not show in it."""
        return {key: ServiceRow(row.service, dict(row.dests)) for key, row in self._table.items()}

    def services(self) -> Iterator[tuple[ServiceKey, Service]]:
        """As they are when the first one is taken."""
        yield from [(key, row.service) for key, row in self._table.items()]

    def dests(self, key: ServiceKey) -> dict[DestKey, Dest]:
        """A copy. OSError ESRCH: there is no such service."""
        if key not in self._table:
            raise _refused(errno.ESRCH)
        return dict(self._table[key].dests)

    def apply(self, ops: Sequence[Op]) -> list[int]:
        """Each operation in order; one result each: 0 or the errno the kernel gives (ip_vs_ctl.c)."""
        return [enact(self._table, op) for op in ops]

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """{}: nothing flows here."""
        return {}

    def close(self) -> None:
        """Forgets nothing; there is no descriptor."""

    def timeouts(self) -> Timeouts:
        """The kernel's defaults until somebody sets others."""
        return self._timeouts

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """All or none; 0 leaves one as it is. OSError EINVAL out of range."""
        values = {name: getattr(timeouts, name) for name in ("tcp_s", "tcpfin_s", "udp_s")}
        if not all(0 <= value <= TIMEOUT_MAX_S for value in values.values()):
            raise _refused(errno.EINVAL)
        self._timeouts = replace(self._timeouts, **{name: value for name, value in values.items() if value})

    def daemons(self) -> list[Daemon]:
        """The master first, with the kernel's defaults filled in."""
        return [self._daemons[state] for state in sorted(self._daemons)]

    def start_daemon(self, daemon: Daemon) -> None:
        """OSError EEXIST: one of that state runs; ENODEV: no interface named; EINVAL: nonsense to the kernel."""
        if daemon.state not in (1, 2) or not all(0 <= v < 1 << 16 for v in (daemon.maxlen, daemon.port)):
            raise _refused(errno.EINVAL)
        if not 0 <= daemon.ttl < 256 or (daemon.group and not ipaddress.ip_address(daemon.group).is_multicast):
            raise _refused(errno.EINVAL)
        if self._has_mixed_families():
            raise _refused(errno.EINVAL)
        if daemon.state in self._daemons:
            raise _refused(errno.EEXIST)
        if not 0 < len(daemon.interface) < 16:
            raise _refused(errno.ENODEV)
        self._daemons[daemon.state] = Daemon(
            daemon.state,
            daemon.interface,
            daemon.sync_id,
            daemon.maxlen or (DAEMON6_MAXLEN if ":" in daemon.group else DAEMON.maxlen),
            daemon.port or DAEMON.port,
            daemon.ttl or DAEMON.ttl,
            daemon.group or DAEMON.group,
        )

    def stop_daemon(self, state: int) -> None:
        """OSError ESRCH: none of that state runs."""
        if self._daemons.pop(state, None) is None:
            raise _refused(errno.ESRCH)

    def flush(self) -> None:
        """Every row. Timeouts and daemons stay, as in the kernel."""
        self._table.clear()

    def _has_mixed_families(self) -> bool:
        return any((":" in d.ip) != (k.family == socket.AF_INET6) for k, row in self._table.items() for d in row.dests)


def _refused(code: int) -> OSError:
    return OSError(code, f"none: {os.strerror(code)}")
