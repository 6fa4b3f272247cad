"""Adds and removes addresses in batches: many messages per send. What fails is answered one by one, and the last one in
any case: then all that was not answered went well.

The kernel answers before send() returns, so no wait is needed. Work is done in slices with the reactor in between:
adverts of other instances do not wait for a takeover of thousands of addresses.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastha.link import rtnl
from fastha.link.monitor import BUFFER, ROOM, UNSAID, of_commands, open_netlink
from fastha.model import ReceiveBuffer
from fastha.model.units import NS_PER_MS
from fastha.room import make_room

if TYPE_CHECKING:
    from fastha.loop.reactor import Reactor

BATCH = 8  # messages per send, at most: each waits for the rtnl lock, which others may hold; 32 save 2 us of 25 each
PATIENCE_NS = (
    4 * NS_PER_MS
)  # a send that took longer waited for somebody's lock (rtnl), which it takes for each message
LATELY_NS = 20 * NS_PER_MS
SLICE_NS = NS_PER_MS  # of work per turn; the kernel needs 20 us to add an address and up to 1 ms to remove one
URGENT_NS = 100 * NS_PER_MS  # of urgent work per turn: a VMAC needs 300 us to be up, with 250 addresses on it
HARMLESS = frozenset((errno.EEXIST, errno.EADDRNOTAVAIL))  # adding what is there, removing what is not

Key = tuple[int, str, int]  # interface index, IP, prefix length
BELONGING: Key = (0, "", 0)  # of what is no address


@dataclass(frozen=True, slots=True)
class Operation:
    """A prebuilt message. `done(errno)` is told 0 for success and for what is `harmless`: was so already."""

    key: Key
    message: bytes
    done: Callable[[int], object]
    harmless: Container[int] = HARMLESS


class AddressQueue:
    """First in, first out, what is urgent before all else. `operations` and `errors` count what the kernel answered.
    `breathe()`: others' adverts may leave; called between batches of urgent work, which takes longer turns."""

    def __init__(
        self, reactor: Reactor, buffer: ReceiveBuffer = UNSAID, breathe: Callable[[], object] = lambda: None
    ) -> None:
        self._reactor = reactor
        self._breathe = breathe
        self._sock = open_netlink(0, of_commands(buffer))
        self._sock.setblocking(False)
        self._queue: deque[Operation] = deque()
        self._urgent: deque[Operation] = deque()
        self._queued: dict[Key, int] = {}
        self._most = BATCH
        self._answered_ns = -LATELY_NS
        self._sequence = 0
        self._scheduled = False
        self.operations = 0
        self.errors = 0

    def resize(self, buffer: ReceiveBuffer) -> None:
        make_room(self._sock, BUFFER, of_commands(buffer))

    def submit(self, operations: Iterable[Operation], urgent: bool = False) -> None:
        """Queue them; `pump` (or the next turn) sends. `urgent`: before what is there already."""
        queue = self._urgent if urgent else self._queue
        for operation in operations:
            queue.append(operation)
            self._queued[operation.key] = self._queued.get(operation.key, 0) + 1
        self._schedule()

    @property
    def port(self) -> int:
        """Its netlink port: notifications of what it asked for name it."""
        return int(self._sock.getsockname()[0])

    def busy(self, key: Key) -> bool:
        """An operation on this address is still queued: what the kernel has now says nothing."""
        return key in self._queued

    @property
    def idle(self) -> bool:
        return not (self._queue or self._urgent)

    @property
    def restless(self) -> bool:
        """There is work, or was a moment ago, and more may follow."""
        return not self.idle or self._reactor.now_ns() - self._answered_ns < LATELY_NS

    def pump(self) -> None:
        """Send for one slice of time and tell the results."""
        end_ns = self._reactor.now_ns() + URGENT_NS
        while self._urgent and self._reactor.now_ns() < end_ns:
            self._batch(self._urgent)
            self._breathe()
        end_ns = self._reactor.now_ns() + SLICE_NS
        while self._queue and not self._urgent and self._reactor.now_ns() < end_ns:
            self._batch(self._queue)
        self._schedule()

    def _batch(self, queue: deque[Operation]) -> None:
        batch: dict[int, Operation] = {}
        buffer = bytearray()
        begun_ns = self._reactor.now_ns()
        while queue and len(batch) < self._most:
            operation = queue.popleft()
            self._sequence += 1
            offset = len(buffer)
            buffer += operation.message
            rtnl.number(buffer, offset, self._sequence, only_errors=bool(queue) and len(batch) < self._most - 1)
            batch[self._sequence] = operation
        results = self._exchange(buffer, batch)
        self._answered_ns = self._reactor.now_ns()
        late = self._answered_ns - begun_ns > PATIENCE_NS
        self._most = max(self._most // 4, 1) if late else min(self._most * 2, BATCH)
        unanswered = 0 if self._sequence in results else errno.ETIMEDOUT
        for sequence, operation in batch.items():
            more = self._queued.pop(operation.key) - 1
            if more:
                self._queued[operation.key] = more
            result = results.get(sequence, unanswered)
            self.operations += 1
            self.errors += result not in operation.harmless and result != 0
            operation.done(0 if result in operation.harmless else result)

    def _exchange(self, buffer: bytearray, batch: dict[int, Operation]) -> dict[int, int]:
        """{sequence number: errno} of what was answered."""
        results: dict[int, int] = {}
        last = self._sequence
        try:
            self._sock.send(buffer)
        except OSError as error:
            return dict.fromkeys(batch, error.errno or errno.EIO)
        while last not in results:
            try:
                data = self._sock.recv(ROOM)
            except OSError:
                break  # an acknowledgement was lost: the monitor's picture will tell
            for message in rtnl.parse(data):
                if isinstance(message, rtnl.Reply) and message.sequence in batch:
                    results[message.sequence] = message.errno
        return results

    def _schedule(self) -> None:
        if not self.idle and not self._scheduled:
            self._scheduled = True
            self._reactor.call_at(self._reactor.now_ns(), self._next)

    def _next(self) -> None:
        self._scheduled = False
        self.pump()

    def close(self) -> None:
        self._sock.close()
