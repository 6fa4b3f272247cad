"""The dry-run backend: a table in memory that answers as the kernel would. Used by `--dataplane none` and by tests."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence

from fastha.dataplane.rows import Op, ServiceKey, ServiceRow, Table, Verb
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
        return [self._one(op) for op in ops]

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """{}: nothing flows here."""
        return {}

    def close(self) -> None:
        """Forgets nothing; there is no descriptor."""

    def _one(self, op: Op) -> int:
        if op.verb in (Verb.NEW_DEST, Verb.SET_DEST, Verb.DEL_DEST):
            return self._one_dest(op)
        row = self._table.get(op.key)
        if op.verb == Verb.NEW_SERVICE:
            if row:
                return errno.EEXIST
            assert op.service
            self._table[op.key] = ServiceRow(op.service, {})
        elif row is None:
            return errno.ESRCH
        elif op.verb == Verb.SET_SERVICE:
            assert op.service
            row.service = op.service
        else:
            del self._table[op.key]
        return 0

    def _one_dest(self, op: Op) -> int:
        assert op.dest_key
        row = self._table.get(op.key)
        if row is None:
            return errno.ESRCH
        if op.dest and (op.dest.weight < 0 or op.dest.lthreshold > op.dest.uthreshold):
            return errno.ERANGE
        there = op.dest_key in row.dests
        if op.verb == Verb.NEW_DEST and there:
            return errno.EEXIST
        if op.verb != Verb.NEW_DEST and not there:
            return errno.ENOENT
        if op.verb == Verb.DEL_DEST:
            del row.dests[op.dest_key]
            return 0
        assert op.dest
        row.dests[op.dest_key] = op.dest
        return 0
