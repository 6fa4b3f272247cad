"""One operation carried out on a Table in memory, answered as IPVS answers it (core)."""

from __future__ import annotations

import errno

from fastha.dataplane.rows import Op, ServiceRow, Table, TunnelType, Verb

DEST_VERBS = frozenset({Verb.NEW_DEST, Verb.SET_DEST, Verb.DEL_DEST})


def enact(rows: Table, op: Op) -> int:
    """Carry `op` out on `rows`, or leave them alone: 0 or the errno IPVS gives (ip_vs_ctl.c)."""
    row = rows.get(op.key)
    if op.verb is Verb.NEW_SERVICE:
        assert op.service is not None
        if row is not None:
            return errno.EEXIST
        rows[op.key] = ServiceRow(op.service, {})
    elif row is None:
        return errno.ESRCH
    elif op.verb in DEST_VERBS:
        return _enact_dest(row, op)
    elif op.verb is Verb.SET_SERVICE:
        assert op.service is not None
        row.service = op.service
    else:
        del rows[op.key]
    return 0


def _enact_dest(row: ServiceRow, op: Op) -> int:
    assert op.dest_key is not None
    if op.dest and (op.dest.weight < 0 or op.dest.lthreshold > op.dest.uthreshold):
        return errno.ERANGE
    if op.dest and op.dest.tun_type is TunnelType.GUE and not op.dest.tun_port:
        return errno.EINVAL
    if (op.dest_key in row.dests) == (op.verb is Verb.NEW_DEST):
        return errno.EEXIST if op.verb is Verb.NEW_DEST else errno.ENOENT
    if op.verb is Verb.DEL_DEST:
        del row.dests[op.dest_key]
    else:
        assert op.dest is not None
        row.dests[op.dest_key] = op.dest
    return 0
