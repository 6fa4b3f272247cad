"""Bringing a configuration file to life: at the start, and again whenever somebody asks.

Each time a process of its own reads the file, once, in whole; every finding is logged as file:line:column; only a
configuration without errors is proposed. Requests that come during a reload are answered by one more reload after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastha.channel.status import Exit
from fastha.errors import ConfigError, FasthaError, Severity
from fastha.log import ERROR, INFO, WARNING, Log
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent import changes
from fastha.parent.changes import Summary
from fastha.parent.configuration import Configuration
from fastha.parent.events import Events
from fastha.parent.loop import Loop
from fastha.parent.marker import Marker
from fastha.parent.privilege import demand
from fastha.parent.readiness import notify
from fastha.parent.reading import ARGV, Read, Reading
from fastha.parent.reload import Phase, Proposal
from fastha.parent.restart import Ending
from fastha.parent.setting import fixed
from fastha.parent.slices import finish
from fastha.parent.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. `outcome`: "started", "committed", "unchanged" or "refused"; `text` is one line. `changed`: counts
    (changes.Summary.plain); `reading_s` and `took_s`: the reading process alone, and all together; `stalls_ms`: for how
    long at most the parent, and each child, served nobody else meanwhile."""

    outcome: str
    text: str
    faults: tuple[str, ...] = ()
    status: Exit = Exit.OK
    changed: dict[str, dict[str, int]] = field(default_factory=dict)
    reading_s: float = 0.0
    took_s: float = 0.0
    stalls_ms: dict[str, float] = field(default_factory=dict)
    at: float = field(default_factory=time.time)

    def plain(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "text": self.text,
            "faults": self.faults,
            "changed": self.changed,
            "reading_s": self.reading_s,
            "took_s": self.took_s,
            "stalls_ms": self.stalls_ms,
            "at": self.at,
        }


Answer = Callable[[Outcome], object]


class Reloads:
    """`last` is how the latest one went; `files` and `loaded_at` belong to the configuration that runs. `committed()`
    is called when one has taken effect."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        events: Events,
        supervisor: Supervisor,
        path: str,
        dataplane: str,
        *,
        argv: Sequence[str] = ARGV,
        committed: Callable[[], object] = lambda: None,
    ) -> None:
        self.last: Outcome | None = None
        self.files: tuple[str, ...] = ()
        self.loaded_at = 0.0
        self.noted: tuple[str, ...] = ()  # what it says that is not supported yet
        self._loop, self._log, self._events, self._supervisor = loop, log, events, supervisor
        self._path, self._dataplane, self._argv, self._committed = path, dataplane, argv, committed
        self._marker = Marker(log)
        self._reading: Reading | None = None
        self._began_ns = self._read_ns = 0
        self._answers: list[Answer] = []  # of the one under way
        self._next: list[Answer] | None = None  # of the one after it, if somebody asked
        self._busy = self._cancelled = False

    def start(self, done: Callable[[Read | FasthaError], object]) -> None:
        """The start: read. What is asked for meanwhile comes after it."""
        self._busy = True
        self._read(done)

    def first(self, read: Read, answer: Answer) -> None:
        """And propose what that gave."""
        self._answers = [answer]
        self._propose(read)

    def request(self, answer: Answer | None = None) -> None:
        """Reload now, or once more after the one under way."""
        self._begin([answer] if answer is not None else [])

    def _begin(self, answers: list[Answer]) -> None:
        if self._busy:
            self._next = (self._next or []) + answers
            return
        self._busy, self._answers = True, answers
        self._log.info(f"reloading {self._path}")
        notify(f"RELOADING=1\nMONOTONIC_USEC={self._loop.now_ns() // 1000}")
        self._read(self._have_read)

    def cancel(self) -> None:
        """The daemon stops: whoever waits is told."""
        if self._reading is not None:
            self._reading.cancel()
        self._marker.remove()
        outcome = Outcome("refused", "the daemon is stopping", status=Exit.FAILED)
        answers = self._answers + (self._next or [])
        self._answers, self._next, self._busy, self._cancelled = [], None, True, True
        for answer in answers:
            answer(outcome)

    def _read(self, done: Callable[[Read | FasthaError], object]) -> None:
        """Have the file read. `done`: the configuration, with every finding logged and the privileges it needs there;
        or ConfigError (all errors were logged), SystemFault, FasthaError."""
        self._began_ns = self._loop.now_ns()
        self._supervisor.begin_measuring()
        running = self._supervisor.config
        self._marker.put(running.globals.reload_file if running is not None else "")

        def ended(outcome: Read | FasthaError) -> None:
            self._reading = None
            self._marker.remove()
            self._read_ns = self._loop.now_ns() - self._began_ns
            done(self._checked(outcome))

        self._reading = Reading(self._loop, self._log, self._path, running, ended, argv=self._argv)

    def _checked(self, read: Read | FasthaError) -> Read | FasthaError:
        if isinstance(read, FasthaError):
            return read
        for fault in read.faults:
            self._log.write(ERROR if fault.severity is Severity.ERROR else WARNING, str(fault))
        if (more := read.errors + read.warnings - len(read.faults)) > 0:
            self._log.warning(f"{more} more findings: fastha check -f {self._path}")
        if read.configuration is None:
            return ConfigError([fault for fault in read.faults if fault.severity is Severity.ERROR])
        running = self._supervisor.config
        if running is not None and (why := fixed(running.globals.processes, read.configuration.globals.processes)):
            return FasthaError(why)
        try:
            demand(read.configuration, self._dataplane)
        except FasthaError as error:
            return error
        return read

    def _have_read(self, read: Read | FasthaError) -> None:
        if isinstance(read, Read):
            self._propose(read)
            return
        faults = tuple(map(str, read.faults)) if isinstance(read, ConfigError) else ()
        text = f"{self._path}: {_count(len(faults), 'error')}" if faults else str(read)
        self._finish(Outcome("refused", f"{text}; the running configuration stays", faults, Exit.REFUSED))

    def _propose(self, read: Read) -> None:
        new, before = read.configuration, self._supervisor.config
        assert new is not None
        faults = tuple(map(str, read.faults))

        def done(proposal: Proposal, ending: Ending | None) -> None:
            if self._cancelled:
                return
            if proposal.phase is Phase.ABANDONED:
                stays = "" if before is None else "; the running configuration stays"
                self._finish(Outcome("refused", proposal.reason + stays, faults, _STATUS.get(ending, Exit.FAILED)))
                return
            self.files, self.loaded_at = tuple(read.files), time.time()
            self.noted = self._noted(read)
            self._committed()
            late = f" ({proposal.reason})" if proposal.reason else ""
            if before is None:
                self._finish(Outcome("started", f"running {describe(new)}{late}", faults))
                return
            took_ns = self._loop.now_ns() - self._began_ns  # counting is not part of it
            steps = changes.summarize(before.parts, new.parts)
            finish(self._loop, steps, lambda summary: self._tell(new, summary, late, faults, took_ns))

        self._supervisor.propose(new, done)

    def _noted(self, read: Read) -> tuple[str, ...]:
        noted = tuple(str(f) for f in read.faults if f.severity is Severity.NOT_SUPPORTED)
        more = read.errors + read.warnings - len(read.faults)
        return (
            (*noted, f"and perhaps some of {more} more findings: fastha check -f {self._path}") if more > 0 else noted
        )

    def _tell(self, new: Configuration, summary: Summary, late: str, faults: tuple[str, ...], took_ns: int) -> None:
        plain = summary.plain()
        reading_s, took_s = round(self._read_ns / NS_PER_S, 3), round(took_ns / NS_PER_S, 3)
        took = f"took {took_s:g} s, of which reading {reading_s:g} s"
        stalls = {role: round(ns / NS_PER_MS, 1) for role, ns in self._supervisor.stalls().items()}
        done = f"running {describe(new)}{late}; {summary}" if plain else "nothing was touched"
        text = f"{done}; {took}"
        outcome = "committed" if plain else "unchanged"
        self._finish(
            Outcome(outcome, text, faults, changed=plain, reading_s=reading_s, took_s=took_s, stalls_ms=stalls)
        )

    def _finish(self, outcome: Outcome) -> None:
        if self._cancelled:
            return
        self.last = outcome
        if self._supervisor.config is not None:  # a start that fails is the daemon's to say, in one line
            level = INFO if outcome.status is Exit.OK else ERROR
            self._events.log(outcome.outcome, "", f"configuration {outcome.outcome}: {outcome.text}", level)
            notify("READY=1")
        answers, self._answers, self._busy = self._answers, [], False
        for answer in answers:
            answer(outcome)
        if self._next is not None and not self._busy:
            waiting, self._next = self._next, None
            self._loop.call_later(0, lambda: self._begin(waiting))


_STATUS: dict[Ending | None, Exit] = {
    None: Exit.REFUSED,
    Ending.REJECTED: Exit.REFUSED,
    Ending.NO_SYSTEM: Exit.SYSTEM,
}


def describe(config: Configuration) -> str:
    """`2 instances, 1 virtual server, 3 real servers`."""
    numbers, words = list(config.counts()), ["instance", "virtual server", "real server"]
    if sessions := sum(1 for _ in config.of("bfd")):
        numbers.append(sessions)
        words.append("BFD session")
    return ", ".join(map(_count, numbers, words))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
