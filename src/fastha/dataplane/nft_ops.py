"""Operations on a Table as values: what the nft backend wants the kernel to hold afterwards (core)."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.dataplane.nft_limits import refuse_op
from fastha.dataplane.ops import enact
from fastha.dataplane.rows import Op, ServiceKey, ServiceRow, Table


def after(rows: Table, ops: Iterable[Op]) -> tuple[Table, list[int]]:
    """A new table with `ops` carried out in order, and one errno (or 0) each; `rows` is left alone."""
    result = dict(rows)
    own: set[ServiceKey] = set()  # rows that were copied before the first write
    errors = []
    for op in ops:
        if op.key in result and op.key not in own:
            result[op.key] = ServiceRow(result[op.key].service, dict(result[op.key].dests))
        own.add(op.key)
        errors.append(refuse_op(op) or enact(result, op))
    return result, errors
