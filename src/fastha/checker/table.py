"""The checker's side of the dataplane: keeps the kernel's table equal to the wanted one (shell).

All changes of a turn go out in one `apply`, worked out against what the kernel is believed to hold. Any error means
that the belief about those services is wrong: the table is dumped and reconciled, again and again with growing pauses
while errors last. Every 10 s it is dumped anyway; what differs then is drift, somebody else's doing: repaired, counted
and logged.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastha.checker.watch import Watch
from fastha.child.log import Limiter
from fastha.dataplane.backend import Announced, Backend
from fastha.dataplane.reconcile import describe, reconcile
from fastha.dataplane.rows import DestKey, Op, ServiceKey, ServiceRow, Table, Verb
from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_MS, NS_PER_S

RECONCILE_NS = 10 * NS_PER_S
FIRST_RETRY_NS = 50 * NS_PER_MS
LAST_RETRY_NS = 10 * NS_PER_S
Place = tuple[ServiceKey, DestKey | None]  # what one operation is about: a destination, or the service itself

TOLD = 3  # differences named in one log line
KEPT = 5  # differences kept for status
TRIES = 3  # of a resync that somebody waits for


@dataclass(frozen=True, slots=True)
class Resynced:
    """How a resync that somebody asked for went. `ok`: the kernel holds what is wanted; `text`: what differed, or what
    is wrong."""

    ok: bool
    operations: int
    text: str


class TableKeeper:
    """`want`, `forget` and `flush`; the rest happens by itself. `drifted(text)` is called when drift was repaired."""

    def __init__(
        self,
        backend: Backend,
        reactor: Reactor,
        limited: Limiter,
        drifted: Callable[[str], object] = lambda _text: None,
    ) -> None:
        self.backend = backend
        self.operations = 0
        self.errors = 0
        self.drift = 0
        self.reconciled = 0.0  # wall clock, for people
        self.differed: deque[dict[str, Any]] = deque(maxlen=KEPT)  # {"at": wall clock, "text"}: the last drift
        self._trouble_text = ""
        self._found = ""  # what the latest dump differed in
        self._reactor = reactor
        self._limited = limited
        self._drifted = drifted
        self._wanted: Table = {}
        self._believed: Table = {}
        self._owned: set[ServiceKey] = set()
        self._dirty: dict[ServiceKey, None] = {}
        self._suspect: set[Place] = set()  # what failed and is not known to be right since
        self._blind = False  # nothing is known of the kernel's table
        self._retry_ns = 0
        self._timer: Timer | None = None
        self._watch: Watch | None = None
        self._exclusive = getattr(backend, "exclusive", False)  # all that it dumps is ours

    # -- what is wanted --

    def adopt(self, believed: Table, owned: Iterable[ServiceKey] = ()) -> None:
        """Begin with what the kernel holds; `owned` are services a predecessor added."""
        self._believed = believed
        owned = set(believed) if self._exclusive else set(owned)
        self._owned |= owned
        self._dirty.update(dict.fromkeys(key for key in owned if key in believed))

    def want(self, key: ServiceKey, row: ServiceRow) -> None:
        """Want this row from the next `flush` on."""
        self._wanted[key] = row
        self._owned.add(key)
        self._dirty[key] = None

    def forget(self, key: ServiceKey) -> None:
        """Want this service no more."""
        if self._wanted.pop(key, None) is not None:
            self._dirty[key] = None

    def wanted(self, key: ServiceKey) -> ServiceRow:
        return self._wanted[key]

    # -- making it so --

    def flush(self) -> None:
        """Send what the changes since the last flush amount to, in one apply; no change, no kernel operation."""
        dirty, self._dirty = self._dirty, {}
        if not dirty or self._blind:
            return  # `resync` will cover it
        if self._suspect:  # one service in trouble does not hold up the others
            for key, _dest in self._suspect:
                dirty.pop(key, None)
        self._send(reconcile(_part(self._wanted, dirty), _part(self._believed, dirty), dirty))

    def start(self) -> None:
        """Reconcile every 10 s from now on, and when the kernel announces a change. Idempotent."""
        if self._timer is None:
            self._timer = self._reactor.call_later(RECONCILE_NS, self.resync)
        if self._watch is None and isinstance(self.backend, Announced):
            self._watch = Watch(self.backend, self._reactor, self.resync)

    def resync(self) -> bool:
        """Dump, compare, repair; plan the next time. True if the kernel now holds what is wanted."""
        try:
            self._believed = self.backend.dump()
        except OSError as error:
            self._blind = True
            self._trouble(f"cannot read the table: {error.strerror or error}")
            return False
        suspect, self._suspect, self._blind = self._suspect, set(), False
        self._dirty.clear()
        ops = reconcile(self._wanted, self._believed, self._believed if self._exclusive else self._owned)
        self._found = _told(ops)
        drift = [op for op in ops if (op.key, op.dest_key) not in suspect]
        if drift:
            self.drift += len(drift)
            text = _told(drift)
            self.differed.append({"at": time.time(), "text": text})
            self._limited("drift", 0.5, f"the kernel's table had changed; repairing: {text}")
        self._send(ops)
        if drift:
            self._drifted(self.differed[-1]["text"])  # who is told finds the operations counted
        if self._suspect or self._blind:
            return False
        self.reconciled = time.time()
        self._retry_ns = 0
        self._again_in(RECONCILE_NS)
        return True

    def resync_now(self) -> Resynced:
        """Somebody waits for it: what fails (a row came or went between dump and repair) is tried again at once."""
        before, found = self.operations, []
        for _ in range(TRIES):
            self._found = ""
            done = self.resync()
            found += [self._found] if self._found else []
            if done:
                return Resynced(True, self.operations - before, "; ".join(found))
        return Resynced(False, self.operations - before, self._trouble_text)

    def clear(self, tries: int = 3) -> bool:
        """Take away everything that is ours, now. True if it is gone."""
        self._wanted.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._remove_believed():
            return True
        for _ in range(tries):
            self._suspect = {(key, None) for key in self._owned}  # what goes now is no drift
            if self.resync():
                return True
        return False

    def _remove_believed(self) -> bool:
        """The quick end: one operation for each service we know of, and no look first, because to read ten thousand
        rows takes longer than to remove them. False if anything is in doubt."""
        if self._blind or self._suspect:
            return False
        ops = [Op(Verb.DEL_SERVICE, key) for key in self._believed if key in self._owned]
        try:
            results = self.backend.apply(ops)
        except OSError:
            return False
        self.operations += len(ops)
        return all(
            code in (0, errno.ESRCH, errno.ENOENT) for code in results
        )  # one that somebody else removed is gone as well

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.close()
        self.backend.close()

    def _send(self, ops: Sequence[Op]) -> None:
        if not ops:
            return
        self.operations += len(ops)
        try:
            results = self.backend.apply(ops)
        except OSError as error:
            self._blind = True
            self._suspect |= {(op.key, op.dest_key) for op in ops}
            self._trouble(f"cannot change the table: {error.strerror or error}")
            return
        failed = [(op, code) for op, code in zip(ops, results, strict=True) if code]
        wrong = {op.key for op, _ in failed}
        for key in {op.key for op in ops} - wrong:
            row = self._wanted.get(key)
            if row is None:
                self._believed.pop(key, None)
            else:
                self._believed[key] = row  # rows are replaced, never changed
        if failed:
            self._suspect |= {(op.key, op.dest_key) for op, _ in failed}
            op, code = failed[0]
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            self._trouble(f"{describe(op)}: {os.strerror(code)}{more}", len(failed))

    def _trouble(self, text: str, errors: int = 1) -> None:
        """The belief is wrong: look again soon, later each time."""
        self.errors += errors
        self._trouble_text = text
        self._limited("dataplane", 1, f"dataplane {self.backend.name}: {text}", logging.ERROR)
        self._retry_ns = min(max(2 * self._retry_ns, FIRST_RETRY_NS), LAST_RETRY_NS)
        self._again_in(self._retry_ns)

    def _again_in(self, delay_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_later(delay_ns, self.resync)


def _told(ops: Sequence[Op]) -> str:
    text = "; ".join(describe(op) for op in ops[:TOLD])
    return f"{text} and {len(ops) - TOLD} more" if len(ops) > TOLD else text


def _part(table: Mapping[ServiceKey, ServiceRow], keys: Iterable[ServiceKey]) -> Table:
    return {key: table[key] for key in keys if key in table}
