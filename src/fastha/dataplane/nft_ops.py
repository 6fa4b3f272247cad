"""Operations on a Table as values: what the nft backend wants the kernel to hold afterwards (core).

The errno of a senseless operation is the one IPVS gives (ip_vs_ctl.c), so that callers see no difference.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from fastha.dataplane.nft_limits import refuse_op
from fastha.dataplane.rows import Op, ServiceKey, ServiceRow, Table, Verb


def after(rows: Table, ops: Iterable[Op]) -> tuple[Table, list[int]]:
    """A new table with `ops` carried out in order, and one errno (or 0) each; `rows` is left alone."""
    result = dict(rows)
    own: set[ServiceKey] = set()  # rows that were copied before the first write
    errors = []
    for op in ops:
        if op.key in result and op.key not in own:
            result[op.key] = ServiceRow(result[op.key].service, dict(result[op.key].dests))
            own.add(op.key)
        errors.append(refuse_op(op) or _enact(result, op))
        own.add(op.key)
    return result, errors


def _enact(rows: Table, op: Op) -> int:
    if op.verb is Verb.NEW_SERVICE:
        assert op.service is not None
        if op.key in rows:
            return errno.EEXIST
        rows[op.key] = ServiceRow(op.service, {})
        return 0
    if (row := rows.get(op.key)) is None:
        return errno.ESRCH
    if op.verb is Verb.SET_SERVICE:
        assert op.service is not None
        row.service = op.service
    elif op.verb is Verb.DEL_SERVICE:
        del rows[op.key]
    else:
        assert op.dest_key is not None
        if (op.dest_key in row.dests) == (op.verb is Verb.NEW_DEST):
            return errno.EEXIST if op.verb is Verb.NEW_DEST else errno.ENOENT
        if op.verb is Verb.DEL_DEST:
            del row.dests[op.dest_key]
        else:
            assert op.dest is not None
            row.dests[op.dest_key] = op.dest
    return 0
