"""The dry-run backend: a table in memory that answers as the kernel would. Used by `--dataplane none` and by tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fastha.dataplane.ops import enact
from fastha.dataplane.rows import Op, ServiceKey, ServiceRow, Table
from fastha.model import VirtualServer


class NoneBackend:
    """Keeps the contract of `dataplane.backend.Backend` without a kernel."""

    name = "none"

    def __init__(self) -> None:
        self._table: Table = {}

    def refuse(self, server: VirtualServer) -> str:
        """Memory carries everything: always ""."""
        return ""

    def dump(self) -> Table:
        """A copy: later operations do not show in it."""
        return {key: ServiceRow(row.service, dict(row.dests)) for key, row in self._table.items()}

    def apply(self, ops: Sequence[Op]) -> list[int]:
        """Each operation in order; one result each: 0 or the errno the kernel gives (ip_vs_ctl.c)."""
        return [enact(self._table, op) for op in ops]

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """{}: nothing flows here."""
        return {}

    def close(self) -> None:
        """Forgets nothing; there is no descriptor."""
