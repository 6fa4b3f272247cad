"""Gratuitous ARP and unsolicited neighbour advertisements: which copies leave when. One copy of every address first,
across all instances, then the repeats; and those only when no instance waits for its addresses any more.

A *block* is `repeat` copies of every address. After a transition: one block, another after master_delay, then one
of refresh_repeat copies every master_refresh (the first at delay + refresh, as keepalived), and what `garp_extra_if`
asks for. An advert of lower priority means two blocks of its own; what comes again and again keeps its rhythm. On an
interface with a `garp_interval` (`gna_interval`) one frame leaves per interval, and so it is on all interfaces of a
`garp_group` together; otherwise a slice of frames per turn of the reactor.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastha.model import Garp, GarpGroup
from fastha.model.units import NS_PER_MS
from fastha.vrrp.frames import ArpBlock
from fastha.wire import na

if TYPE_CHECKING:
    from fastha.loop.reactor import Reactor, Timer

WAIT_NS = 5 * NS_PER_MS
SLICE = 64  # frames per turn and interface: about 0.1 ms

Send = Callable[[bytes | memoryview, int, bytes], tuple[int, int]]  # frames, size, to -> burst.send's answer


@dataclass(slots=True)
class Rhythm:
    """A block that comes again and again, the next at `at_ns`."""

    blocks: list[ArpBlock]
    repeat: int
    interval_ns: int
    at_ns: int


@dataclass(slots=True)
class Token:
    """One occasion to announce; cancelled when its instance stops being master."""

    blocks: list[ArpBlock]
    garp: Garp
    timers: list[Timer] = field(default_factory=list)
    extra: list[ArpBlock] = field(default_factory=list)  # of `garp_extra_if`
    live: bool = True
    waiting: int = 0  # chunks that have not left
    rhythms: dict[str, Rhythm] = field(default_factory=dict)  # "refresh", "extra"


@dataclass(slots=True)
class Chunk:
    token: Token
    frames: memoryview
    size: int
    to: bytes
    interval_ns: int


@dataclass(slots=True)
class Line:
    """What waits to leave on one interface, or those of one group, of one kind."""

    first: deque[Chunk] = field(default_factory=deque)
    again: deque[Chunk] = field(default_factory=deque)
    scheduled: bool = False
    not_before_ns: int = 0


class Announcer:
    """All gratuitous ARP and neighbour advertisements of a process. `sent` and `errors` count frames."""

    def __init__(self, reactor: Reactor, send: Send, busy: Callable[[], bool] = bool) -> None:
        """`busy()`: addresses are being added; nothing is repeated meanwhile."""
        self._reactor, self._busy = reactor, busy
        self._send = send
        # (index of an interface or interfaces of a group, size of a frame)
        self._lines: dict[tuple[Hashable, int], Line] = {}
        self._groups: dict[str, GarpGroup] = {}  # by interface
        self.sent = 0
        self.errors = 0

    def pace(self, groups: Iterable[GarpGroup]) -> None:
        """These limits hold for blocks from now on."""
        self._groups = {name: group for group in groups for name in group.interfaces}

    def announce(
        self,
        blocks: list[ArpBlock],
        garp: Garp,
        occasion: str,
        extra: Iterable[ArpBlock] = (),
        former: Token | None = None,
    ) -> Token:
        """Begin; `occasion` is machine.Garp's: "master" or "lower_prio". `extra`: what goes every `garp.extra_ns`.
        `former`: the occasion that this one replaces while its instance stays master; what it would have repeated for
        good is repeated when it would have been. While some of it still waits to leave, it is this one too: adverts of
        lower priority may come faster than frames leave."""
        if former is not None and former.live and former.waiting and occasion != "master" and former.blocks == blocks:
            return former
        token, now_ns = Token(blocks, garp, extra=list(extra)), self._reactor.now_ns()
        if occasion == "master":
            delay_ns, repeat = garp.master_delay_ns, garp.master_repeat
        else:
            delay_ns, repeat = garp.lower_prio_delay_ns, garp.lower_prio_repeat
        if former is not None:
            self.cancel(former)
        first_ns = now_ns + delay_ns + garp.master_refresh_ns
        for name, rhythm in (
            ("extra", Rhythm(token.extra, 1, garp.extra_ns, now_ns + garp.extra_ns)),
            ("refresh", Rhythm(blocks, garp.master_refresh_repeat, garp.master_refresh_ns, first_ns)),
        ):
            if rhythm.interval_ns and rhythm.blocks:
                if former is not None and name in former.rhythms:
                    rhythm.at_ns = former.rhythms[name].at_ns
                token.rhythms[name] = rhythm
                self._await(token, rhythm)
        self._block(token, repeat, blocks)
        if delay_ns:
            self._later(token, delay_ns, lambda: self._again(token, repeat))
        return token

    def cancel(self, token: Token) -> None:
        """Nothing more of this leaves."""
        token.live = False
        for timer in token.timers:
            timer.cancel()
        token.timers.clear()

    def _again(self, token: Token, repeat: int) -> None:
        self._forget_past(token)
        self._block(token, repeat, token.blocks)

    def _forget_past(self, token: Token) -> None:
        token.timers = [t for t in token.timers if t.when_ns > self._reactor.now_ns()]

    def _later(self, token: Token, delay_ns: int, action: Callable[[], object]) -> None:
        self._forget_past(token)
        token.timers.append(self._reactor.call_later(delay_ns, action))

    def _await(self, token: Token, rhythm: Rhythm) -> None:
        self._later(token, max(rhythm.at_ns - self._reactor.now_ns(), 0), lambda: self._beat(token, rhythm))

    def _beat(self, token: Token, rhythm: Rhythm) -> None:
        if not token.live:
            return
        self._block(token, rhythm.repeat, rhythm.blocks)
        rhythm.at_ns = self._reactor.now_ns() + rhythm.interval_ns
        self._await(token, rhythm)

    def _block(self, token: Token, repeat: int, blocks: list[ArpBlock]) -> None:
        for block in blocks:
            group = self._groups.get(block.base)
            limits = token.garp if group is None else group
            interval_ns = limits.gna_interval_ns if block.size == na.FRAME_SIZE else limits.interval_ns
            where: Hashable = block.index if group is None or not interval_ns else group.interfaces
            line = self._lines.setdefault((where, block.size), Line())
            frames = memoryview(block.frames)
            step = block.size * (1 if interval_ns else SLICE)
            chunks = [
                Chunk(token, frames[i : i + step], block.size, block.to, interval_ns)
                for i in range(0, len(frames), step)
            ]
            for copy in range(repeat):
                (line.again if copy else line.first).extend(chunks)
            token.waiting += repeat * len(chunks)
            self._schedule(line)

    def _schedule(self, line: Line) -> None:
        if not line.scheduled and (line.first or line.again):
            line.scheduled = True
            when = max(self._reactor.now_ns(), line.not_before_ns)
            if not line.first and self._busy():
                when = max(when, self._reactor.now_ns() + WAIT_NS)
            self._reactor.call_at(when, lambda: self._pump(line))

    def _pump(self, line: Line) -> None:
        line.scheduled = False
        if not line.first and self._busy():
            self._schedule(line)
            return
        while line.first or line.again:
            chunk = (line.first or line.again).popleft()
            chunk.token.waiting -= 1
            if not chunk.token.live:
                continue
            sent, failed = self._send(chunk.frames, chunk.size, chunk.to)
            self.sent += sent
            self.errors += len(chunk.frames) // chunk.size - sent
            if failed:
                logging.getLogger("fastha").debug("gratuitous ARP: errno %d", failed)
            line.not_before_ns = self._reactor.now_ns() + chunk.interval_ns
            break
        self._schedule(line)
