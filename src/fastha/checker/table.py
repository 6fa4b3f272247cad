"""The checker's side of the dataplane: keeps the kernel's table equal to the wanted one (shell).

All changes of a turn go out in one `apply`, worked out against what the kernel is believed to hold. Any error means
that the belief about those services is wrong: the table is dumped and reconciled, again and again with growing pauses
while errors last. Every 10 s it is looked at anyway; what differs then is drift, somebody else's doing: repaired,
counted and logged. The look goes from service to service where the backend can (`Piecewise`): checks go on between two.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from fastha.checker.watch import Watch
from fastha.child.log import Limiter
from fastha.dataplane.backend import Announced, Backend, Piecewise
from fastha.dataplane.reconcile import describe, reconcile, same_service
from fastha.dataplane.rows import Dest, DestKey, Op, Service, ServiceKey, ServiceRow, Table, Verb
from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_MS, NS_PER_S

RECONCILE_NS = 10 * NS_PER_S
FIRST_RETRY_NS = 50 * NS_PER_MS
LAST_RETRY_NS = 10 * NS_PER_S
SLICE_NS = NS_PER_MS  # of a look, between two turns of the loop
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
        self.where = ""  # the file of the network namespace that the backend is in, if it is another one
        self.reconciled = 0.0  # wall clock, for people
        self.differed: deque[dict[str, Any]] = deque(maxlen=KEPT)  # {"at": wall clock, "text"}: the last drift
        self._trouble_text = ""
        self._differed_in = ""  # the latest dump
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
        self._look: Iterator[None] | None = None  # under way
        self._touched: set[ServiceKey] = set()  # changed by us since it began
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
        if not self._dirty or self._blind:
            return  # `resync` will cover it
        dirty, self._dirty = self._dirty, {}
        for key, _dest in self._suspect:  # one service in trouble does not hold up the others
            if key in dirty:
                self._dirty[key] = dirty.pop(key)
        self._send(reconcile(_part(self._wanted, dirty), _part(self._believed, dirty), dirty))

    def start(self) -> None:
        """Reconcile every 10 s from now on, and when the kernel announces a change. Idempotent."""
        if self._timer is None:
            self._timer = self._reactor.call_later(RECONCILE_NS, self._begin_look)
        if self._watch is None and isinstance(self.backend, Announced):
            self._watch = Watch(self.backend, self._reactor, self.resync)

    def resync(self) -> bool:
        """Dump, compare, repair; plan the next time. True if the kernel now holds what is wanted."""
        self._look = None
        try:
            self._believed = self.backend.dump()
        except OSError as error:
            self._blind = True
            self._trouble(f"cannot read the table: {error.strerror or error}")
            return False
        suspect, self._suspect, self._blind = self._suspect, set(), False
        pending, self._dirty = self._dirty, {}
        ops = reconcile(self._wanted, self._believed, self._believed if self._exclusive else self._owned)
        self._differed_in = _told(ops)
        # What is wanted since the last flush (a reload commits over many turns) is not somebody else's doing.
        drift = [op for op in ops if (op.key, op.dest_key) not in suspect and op.key not in pending]
        self.drift += len(drift)
        self._send(ops)
        self._tell(drift)
        if self._suspect or self._blind:
            return False
        self._settled()
        return True

    def _settled(self) -> None:
        self.reconciled = time.time()
        self._retry_ns = 0
        self._again_in(RECONCILE_NS, self._begin_look)

    def _tell(self, drift: Sequence[Op]) -> None:
        """Of what was repaired; who is told finds the operations counted."""
        if drift:
            text = _told(drift)
            self.differed.append({"at": time.time(), "text": text})
            self._limited("drift", 0.5, f"the kernel's table had changed; repaired: {text}")
            self._drifted(text)

    def _begin_look(self) -> None:
        if self._suspect or self._blind or not isinstance(self.backend, Piecewise):
            self.resync()
            return
        self._touched.clear()
        self._look = self._inspect(self.backend)
        self._go_on_looking()

    def _go_on_looking(self) -> None:
        look = self._look
        end_ns = self._reactor.now_ns() + SLICE_NS
        while look is not None and look is self._look:  # a resync takes its place
            try:
                next(look)
            except StopIteration:
                self._look = None
                if not (self._suspect or self._blind):
                    self._settled()
            except OSError as error:
                self._look, self._blind = None, True
                self._trouble(f"cannot read the table: {error.strerror or error}")
            else:
                if self._reactor.now_ns() >= end_ns and not (self._suspect or self._blind):
                    self._again_in(0, self._go_on_looking)
                    return

    def _inspect(self, backend: Piecewise) -> Iterator[None]:
        """Compare and repair: first which services there are, then the destinations of one after another, each of them
        read and compared at one moment. What we change meanwhile, or at the next flush, is known anyway. Ends at the
        first error: a `resync` is planned then."""
        drift: list[Op] = []
        odd: dict[ServiceKey, Service | None] = {}  # missing (None), other than wanted, or ours and not wanted
        seen: set[ServiceKey] = set()
        try:
            for key, service in backend.services():
                wanted = self._wanted.get(key)
                if wanted is not None:
                    seen.add(key)
                if not same_service(wanted.service, service) if wanted else self._exclusive or key in self._owned:
                    odd[key] = service
                yield
            if len(seen) < len(self._wanted):
                for key in list(self._wanted):
                    if key not in seen:
                        odd[key] = None
                    yield
            for key in [key for key in odd if self._is_changing(key)]:
                del odd[key]
            for key, there in odd.items():
                self._found(key, there, backend)
            self._mend(odd.keys(), drift)
            for key in list(self._wanted):
                yield
                if self._suspect or self._blind:
                    return
                wanted = self._wanted.get(key)
                if wanted is None or key in odd or self._is_changing(key):
                    continue
                self._found(key, wanted.service, backend)
                if self._believed.get(key) is not wanted:
                    self._mend({key}, drift)
        finally:
            self._tell(drift)

    def _is_changing(self, key: ServiceKey) -> bool:
        return key in self._touched or key in self._dirty

    def _found(self, key: ServiceKey, service: Service | None, backend: Piecewise) -> None:
        """Believe what is there: `service` (None: nothing), and the destinations it has now."""
        wanted = self._wanted.get(key)
        there = _dests(backend, key) if service is not None else None
        if service is None or there is None:
            self._believed.pop(key, None)
        elif wanted is not None and service is wanted.service and there == wanted.dests:
            self._believed[key] = wanted
        else:
            self._believed[key] = ServiceRow(service, there)

    def _mend(self, keys: Set[ServiceKey], drift: list[Op]) -> None:
        ops = reconcile(_part(self._wanted, keys), _part(self._believed, keys), keys)
        self.drift += len(ops)
        drift += ops
        self._send(ops)

    def resync_now(self) -> Resynced:
        """Somebody waits for it: what fails (a row came or went between dump and repair) is tried again at once."""
        before, found = self.operations, []
        for _ in range(TRIES):
            self._differed_in = ""
            done = self.resync()
            found += [self._differed_in] if self._differed_in else []
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
        if self._look is not None:
            self._touched.update(op.key for op in ops)
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
        self._again_in(self._retry_ns, self.resync)

    def _again_in(self, delay_ns: int, what: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_later(delay_ns, what)


def _told(ops: Sequence[Op]) -> str:
    text = "; ".join(describe(op) for op in ops[:TOLD])
    return f"{text} and {len(ops) - TOLD} more" if len(ops) > TOLD else text


def _dests(backend: Piecewise, key: ServiceKey) -> dict[DestKey, Dest] | None:
    """None: there is no such service."""
    try:
        return backend.dests(key)
    except OSError as error:
        if error.errno == errno.ESRCH:
            return None
        raise


def _part(table: Mapping[ServiceKey, ServiceRow], keys: Iterable[ServiceKey]) -> Table:
    return {key: table[key] for key in keys if key in table}
