"""Mail about changes: a queue, and a process that sends some of it and ends (shell over fastha.mail).

Nothing here waits. Letters leave in their order; one that the server refuses for good, or that is LIFE_NS old, is given
up, and of more than MOST the oldest go. Each of them is counted, whatever becomes of it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from fastha.log import ERROR, INFO, WARNING, Log
from fastha.model import GlobalDefs, MailDefs
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent.loop import READ, Loop, Timer
from fastha.parent.spawn import DROPPED, every_signal
from fastha.scripts.letters import CHECK, FAULT

ARGV = ("-m", "fastha.mail")
MOST = 1000  # letters that wait
TOGETHER = 50  # letters of one process
GATHER_NS = 200 * NS_PER_MS  # what happens together leaves together
SILENCE_NS = 150 * NS_PER_S  # of the process: it gives up a letter earlier by itself
AGAIN_NS, LAST_AGAIN_NS = 5 * NS_PER_S, 300 * NS_PER_S
LIFE_NS = 3600 * NS_PER_S
TELL_NS = 600 * NS_PER_S  # the same trouble is said once in so long
READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Letter:
    """One that waits. `number`: its own; `wall`: when it happened; `born_ns`: the same by the loop's clock."""

    number: int
    wall: float
    subject: str
    text: str
    born_ns: int


@dataclass(slots=True)
class Sending:
    """A process that sends the first letters of the queue. `left`: how many of them have no answer yet."""

    pid: int
    pidfd: int
    out: int  # what it says
    left: int
    timer: Timer
    heard: bytes = b""
    why: str = ""  # nothing more can be sent now


@dataclass(slots=True)
class Times:
    """How patient the post is; tests are less so."""

    gather_ns: int = GATHER_NS
    silence_ns: int = SILENCE_NS
    again_ns: int = AGAIN_NS
    last_again_ns: int = LAST_AGAIN_NS
    life_ns: int = LIFE_NS


class Post:
    """`configure` says how and to whom; `take` is what children say."""

    def __init__(self, loop: Loop, log: Log, *, argv: Sequence[str] = ARGV, times: Times | None = None) -> None:
        self.counts = {"sent": 0, "failed": 0, "dropped": 0}
        self._loop, self._log, self._argv, self._times = loop, log, argv, times or Times()
        self._defs, self._router_id = MailDefs(), ""
        self._queue: deque[Letter] = deque()
        self._number = 0
        self._sending: Sending | None = None
        self._timer: Timer | None = None  # the next process
        self._again_ns = 0
        self._sent_at = 0.0
        self._when_idle: Callable[[], object] | None = None
        self._trouble = _Trouble()
        self._said: dict[str, int] = {}  # when something was said last

    def configure(self, defs: GlobalDefs) -> None:
        """For what is sent from now on; what waits goes to those who are named now."""
        changed = defs.mail != self._defs
        self._defs, self._router_id = defs.mail, defs.router_id or os.uname().nodename
        if not changed:
            return
        if not self._defs.to and self._queue:
            self._log.warning(f"{len(self._queue)} mails were not sent: there is no notification_email any more")
            self._drop_all()
        if self._sending is None and self._queue:
            self._again_ns = 0
            self._start_in(0)

    def take(self, kind: str, subject: str, text: str) -> None:
        """One that is to be sent. `kind`, `subject`, `text`: see fastha.scripts.letters."""
        defs = self._defs
        if not defs.to or (kind == FAULT and not defs.faults) or (kind == CHECK and not defs.every_check):
            return
        self._number += 1
        subject = f"[{self._router_id}] {subject}"
        self._queue.append(Letter(self._number, time.time(), subject, text, self._loop.now_ns()))
        if len(self._queue) > MOST:
            del self._queue[self._sending.left if self._sending is not None else 0]
            self.counts["dropped"] += 1
            self._say("full", WARNING, f"more than {MOST} mails wait: the oldest are dropped")
        if self._sending is None and self._timer is None:
            self._start_in(self._times.gather_ns)

    @property
    def busy(self) -> bool:
        """Whether something is being sent, or is about to be: not if the server has to be waited for."""
        return bool(self._queue) and (self._sending is not None or not self._again_ns)

    def when_idle(self, callback: Callable[[], object]) -> None:
        """Call `callback()` once it is not busy (now, if that is so)."""
        self._when_idle = callback
        self._check_idle()

    def _check_idle(self) -> None:
        if self._when_idle is not None and not self.busy:
            callback, self._when_idle = self._when_idle, None
            callback()

    def facts(self) -> dict[str, Any]:
        out: dict[str, Any] = {**self.counts, "waiting": len(self._queue), "recipients": len(self._defs.to)}
        if self._sent_at:
            out["last_sent"] = self._sent_at
        if self._trouble.text:
            out["trouble"] = self._trouble.text
        return out

    def close(self) -> None:
        """At the end of the daemon: what waits is lost, and said. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sending = self._sending
        if sending is not None:
            self._kill(sending)
            self._reap(sending)
        if self._queue:
            self._log.warning(f"{len(self._queue)} mails were not sent: the daemon is stopping")
            self._drop_all()

    def _drop_all(self) -> None:
        """Without those that are being sent."""
        kept = self._sending.left if self._sending is not None else 0
        self.counts["dropped"] += len(self._queue) - kept
        self._queue = deque(list(self._queue)[:kept])

    # -- one process after another --

    def _start_in(self, delay_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_ns, self._start)

    def _start(self) -> None:
        self._timer = None
        self._expire()
        if not self._defs.to:
            self._drop_all()
        if not self._queue or self._sending is not None:
            self._check_idle()
            return
        batch = [self._queue[i] for i in range(min(TOGETHER, len(self._queue)))]
        try:
            pid, pidfd, out = _spawn(self._argv, _job(self._defs, batch))
        except OSError as error:
            self._later(f"the process that sends could not be started: {error.strerror or error}")
            return
        timer = self._loop.call_later(self._times.silence_ns, lambda: self._silent(sending))
        sending = self._sending = Sending(pid, pidfd, out, len(batch), timer)
        self._loop.add(out, READ, lambda _events: self._readable(sending))

    def _expire(self) -> None:
        """Letters that have waited too long."""
        old_ns, count = self._loop.now_ns() - self._times.life_ns, 0
        while self._queue and self._queue[0].born_ns < old_ns:
            self._queue.popleft()
            count += 1
        if count:
            self.counts["failed"] += count
            life = f"{self._times.life_ns / NS_PER_S / 60:g} minutes"
            self._say("old", ERROR, f"{count} mails are given up, unsent for {life}: {self._trouble.text}")

    def _readable(self, sending: Sending) -> None:
        data = os.read(sending.out, READ_BYTES)
        if not data:
            self._ended(sending)
            return
        *lines, sending.heard = (sending.heard + data).split(b"\n")
        sending.heard = sending.heard[-READ_BYTES:]
        for line in lines:
            self._answer(sending, line)
        sending.timer.cancel()
        sending.timer = self._loop.call_later(self._times.silence_ns, lambda: self._silent(sending))

    def _answer(self, sending: Sending, line: bytes) -> None:
        try:
            number, what, why = orjson.loads(line)
        except (ValueError, TypeError):
            number = what = why = None
        if not sending.left or what not in ("sent", "refused", "later") or number != self._queue[0].number:
            sending.why = "the process that sends spoke nonsense"
            self._kill(sending)
            return
        if what == "later":
            sending.why = str(why)
            return
        letter = self._queue.popleft()
        sending.left -= 1
        self._again_ns = 0
        if what == "refused":
            self.counts["failed"] += 1
            self._say("refused", ERROR, f"mail '{letter.subject}' is refused: {why}")
            return
        self.counts["sent"] += 1
        self._sent_at = time.time()
        if why:
            self._say("some", WARNING, f"mail is refused for some: {why}")
        if self._trouble.text:
            self._trouble = _Trouble()
            self._log.write(INFO, f"mail is sent again by {self._defs.server}; {self.counts['failed']} failed in all")

    def _silent(self, sending: Sending) -> None:
        sending.why = sending.why or f"nothing came of it for {self._times.silence_ns / NS_PER_S:g} s"
        self._kill(sending)

    @staticmethod
    def _kill(sending: Sending) -> None:
        try:
            signal.pidfd_send_signal(sending.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _ended(self, sending: Sending) -> None:
        """It says no more."""
        status = self._reap(sending)
        if sending.left:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._later(sending.why or f"the process that sends ended with {how}")
        elif self._queue:
            self._start_in(0)
        self._check_idle()

    def _reap(self, sending: Sending) -> int:
        """It has closed what it says, and so ends at once, or is killed."""
        self._sending = None
        sending.timer.cancel()
        self._loop.remove(sending.out)
        os.close(sending.out)
        self._kill(sending)
        os.close(sending.pidfd)
        return os.waitstatus_to_exitcode(os.waitpid(sending.pid, 0)[1])

    def _later(self, why: str) -> None:
        self._again_ns = min(max(2 * self._again_ns, self._times.again_ns), self._times.last_again_ns)
        server = f"{self._defs.server} port {self._defs.port}"
        now_ns = self._loop.now_ns()
        if not self._trouble.text or now_ns >= self._trouble.tell_ns:
            self._trouble.tell_ns = now_ns + TELL_NS
            self._log.warning(f"mail cannot be sent by {server}: {why}; {len(self._queue)} wait and are tried again")
        self._trouble.text = why
        self._expire()
        if self._queue:
            self._start_in(self._again_ns)

    def _say(self, what: str, level: int, text: str) -> None:
        """One line, and no more of its kind for a while."""
        now_ns = self._loop.now_ns()
        if now_ns >= self._said.get(what, now_ns):
            self._said[what] = now_ns + TELL_NS
            self._log.write(level, text)


@dataclass(slots=True)
class _Trouble:
    """Why nothing is sent; `tell_ns`: when that is said again."""

    text: str = ""
    tell_ns: int = field(default=0)


def _job(defs: MailDefs, batch: Sequence[Letter]) -> bytes:
    letters = [{"number": one.number, "wall": one.wall, "subject": one.subject, "text": one.text} for one in batch]
    return orjson.dumps({"defs": asdict(defs), "letters": letters})


def _spawn(argv: Sequence[str], job: bytes) -> tuple[int, int, int]:
    """Start it with `job` as its input: (pid, pidfd, descriptor of what it says). OSError if that cannot be."""
    # A file in memory takes all of it at once; a pipe would have to be waited for.
    memory = os.memfd_create("mail", os.MFD_CLOEXEC)
    try:
        os.write(memory, job)
        os.lseek(memory, 0, os.SEEK_SET)
        ours, theirs = os.pipe()
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", *argv],
                {name: value for name, value in os.environ.items() if name not in DROPPED},
                file_actions=[(os.POSIX_SPAWN_DUP2, memory, 0), (os.POSIX_SPAWN_DUP2, theirs, 1)],
                setsid=True,
                setsigmask=[],
                setsigdef=every_signal(),
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
    finally:
        os.close(memory)
    os.set_blocking(ours, False)
    try:
        return pid, os.pidfd_open(pid), ours
    except OSError:
        os.close(ours)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
