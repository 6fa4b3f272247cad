"""Bringing a configuration file to life: at the start, and again whenever somebody asks.

A file is read once, in whole; every finding is logged as file:line:column; only a configuration without errors is
proposed. Requests that come during a reload are answered by one more reload after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastha.channel.status import Exit
from fastha.errors import ConfigError, FasthaError, Fault, Severity
from fastha.log import ERROR, INFO, WARNING, Log
from fastha.model import Config
from fastha.parent.events import Events
from fastha.parent.loop import Loop
from fastha.parent.privilege import demand
from fastha.parent.readiness import notify
from fastha.parent.reload import Phase, Proposal
from fastha.parent.restart import Ending
from fastha.parent.supervisor import Supervisor

NAMED_FAULTS = 200  # in the log and in the answer; the rest are counted


class Loaded(Protocol):
    """What loading a configuration gives. `ok`: no ERROR among `faults`; only then `config` is complete. `files`: every
    file that was read."""

    @property
    def config(self) -> Config | None: ...
    @property
    def faults(self) -> Sequence[Fault]: ...
    @property
    def files(self) -> Sequence[str]: ...
    @property
    def ok(self) -> bool: ...


Load = Callable[[str], Loaded]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. `outcome`: "started", "committed", "unchanged" or "refused"; `text` is one line."""

    outcome: str
    text: str
    faults: tuple[str, ...] = ()
    status: Exit = Exit.OK
    at: float = field(default_factory=time.time)

    def plain(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "text": self.text, "faults": self.faults, "at": self.at}


Answer = Callable[[Outcome], object]


class Reloads:
    """`last` is how the latest one went; `files` and `loaded_at` belong to the configuration that runs."""

    def __init__(
        self, loop: Loop, log: Log, events: Events, supervisor: Supervisor, load: Load, path: str, dataplane: str
    ) -> None:
        self.last: Outcome | None = None
        self.files: tuple[str, ...] = ()
        self.loaded_at = 0.0
        self.noted: tuple[str, ...] = ()  # what it says that is not supported yet
        self._loop, self._log, self._events, self._supervisor = loop, log, events, supervisor
        self._load, self._path, self._dataplane = load, path, dataplane
        self._answers: list[Answer] = []  # of the one under way
        self._next: list[Answer] | None = None  # of the one after it, if somebody asked
        self._busy = self._cancelled = False

    def first(self, loaded: Loaded, answer: Answer) -> None:
        """The start: propose what `read` gave."""
        self._busy, self._answers = True, [answer]
        self._propose(loaded)

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
        try:
            self._propose(self.read())
        except FasthaError as error:
            faults = tuple(map(str, error.faults)) if isinstance(error, ConfigError) else ()
            text = f"{self._path}: {_count(faults, 'error')}" if faults else str(error)
            self._finish(Outcome("refused", f"{text}; the running configuration stays", faults, Exit.REFUSED))

    def cancel(self) -> None:
        """The daemon stops: whoever waits is told."""
        outcome = Outcome("refused", "the daemon is stopping", status=Exit.FAILED)
        answers = self._answers + (self._next or [])
        self._answers, self._next, self._busy, self._cancelled = [], None, True, True
        for answer in answers:
            answer(outcome)

    def read(self) -> Loaded:
        """The configuration, with every finding logged and the privileges it needs there. ConfigError (all errors
        were logged), SystemFault."""
        try:
            loaded = self._load(self._path)
        except FasthaError:
            raise
        except Exception as error:  # a bug of the reader must not take down a daemon that runs
            raise FasthaError(f"{self._path}: cannot be read: {error!r}") from error
        for fault in loaded.faults[:NAMED_FAULTS]:
            self._log.write(ERROR if fault.severity is Severity.ERROR else WARNING, str(fault))
        if (more := len(loaded.faults) - NAMED_FAULTS) > 0:
            self._log.warning(f"{more} more findings: fastha check -f {self._path}")
        if not loaded.ok or loaded.config is None:
            raise ConfigError([fault for fault in loaded.faults if fault.severity is Severity.ERROR])
        demand(loaded.config, self._dataplane)
        return loaded

    def _propose(self, loaded: Loaded) -> None:
        config, before = loaded.config, self._supervisor.config
        assert config is not None
        faults = tuple(map(str, loaded.faults[:NAMED_FAULTS]))

        def done(proposal: Proposal, ending: Ending | None) -> None:
            if proposal.phase is Phase.ABANDONED:
                stays = "" if before is None else "; the running configuration stays"
                self._finish(Outcome("refused", proposal.reason + stays, faults, _STATUS.get(ending, Exit.FAILED)))
                return
            self.files, self.loaded_at = tuple(loaded.files), time.time()
            self.noted = tuple(str(f) for f in loaded.faults if f.severity is Severity.NOT_SUPPORTED)
            if before == config:
                self._finish(Outcome("unchanged", "nothing was touched", faults))
                return
            late = f" ({proposal.reason})" if proposal.reason else ""
            outcome = "started" if before is None else "committed"
            self._finish(Outcome(outcome, f"running {describe(config)}{late}", faults))

        self._supervisor.propose(config, done)

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


def describe(config: Config) -> str:
    """`2 instances, 1 virtual server, 3 real servers`."""
    reals = sum(len(server.real_servers) for server in config.virtual_servers)
    return ", ".join(
        (
            _count(config.instances, "instance"),
            _count(config.virtual_servers, "virtual server"),
            _count(range(reals), "real server"),
        )
    )


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'s' * (len(things) != 1)}"
