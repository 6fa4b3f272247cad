"""The contract of a dataplane backend. ipvs, nft and none keep it; tests/unit and tests/vm hold them to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol, runtime_checkable

from fastha.dataplane.rows import Daemon, Dest, DestKey, Op, Service, ServiceKey, Table, Timeouts
from fastha.model import VirtualServer


class Backend(Protocol):
    """Holds a table in some kernel. Constructing one opens it, or raises SystemFault with one clear line."""

    name: str  # "ipvs", "nft", "none"

    def refuse(self, server: VirtualServer) -> str:
        """Why this backend cannot carry `server` ("" if it can), e.g. nft and lb_kind DR. Decided before commit."""

    def dump(self) -> Table:
        """What is there now, foreign rows included. OSError if the kernel does not answer."""

    def apply(self, ops: Sequence[Op]) -> list[int]:
        """Send the operations in order, in bulk; one result each: 0 or a positive errno. OSError only if
        nothing is known of what was done (then dump and reconcile)."""

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """{(service, dest key text): {name: n}} where known; may be {}, and names may be missing.

        Now: active, inactive, persistent connections. Ever: connections, in_packets, out_packets, in_bytes, out_bytes.
        Rates: connections_per_s, in_packets_per_s ... out_bytes_per_s. (service, "") has the service's own, which has
        no active, inactive and persistent.

        `keys`: only these services, and "active" is known of their destinations; one that is not there is left out.
        """

    def close(self) -> None:
        """Release descriptors. Rows stay."""


@runtime_checkable
class Patient(Protocol):
    """A backend whose `dump` and `apply` may take seconds; `isinstance(backend, Patient)` asks for it.

    It calls `progress` at least every 0.2 s meanwhile, from the thread that called it. Set by whoever is watched.
    """

    progress: Callable[[], object]


@runtime_checkable
class Piecewise(Protocol):
    """A backend that can be dumped in pieces; `isinstance(backend, Piecewise)` asks for it. OSError as of `dump`."""

    def services(self) -> Iterator[tuple[ServiceKey, Service]]:
        """Every service as it is when the first one is taken, foreign ones included."""

    def dests(self, key: ServiceKey) -> dict[DestKey, Dest]:
        """The destinations of one service. {}, or OSError ESRCH: there is no such service."""


@runtime_checkable
class Announced(Protocol):
    """A backend whose kernel announces changes; `isinstance(backend, Announced)` asks for it."""

    def fileno(self) -> int:
        """Readable when something was announced."""

    def disturbed(self) -> bool:
        """Take what was announced: may somebody else have changed our rows since the last dump or apply? OSError."""


@runtime_checkable
class KernelBalancer(Protocol):
    """What only IPVS has besides the table; `isinstance(backend, KernelBalancer)` asks for it. OSError on failure."""

    def timeouts(self) -> Timeouts:
        """The connection timeouts now."""

    def set_timeouts(self, timeouts: Timeouts) -> None: ...

    def daemons(self) -> list[Daemon]:
        """The synchronisation daemons that run: none, one or both states."""

    def start_daemon(self, daemon: Daemon) -> None: ...

    def stop_daemon(self, state: int) -> None: ...

    def flush(self) -> None:
        """Remove every service, foreign ones included, in one operation."""
