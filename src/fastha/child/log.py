"""A child's log: the standard library's `logging`, written by fastha.log like every other line of fastha; and a limit
for lines that the network can trigger."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastha import log as writer
from fastha.model.units import NS_PER_S

LIMITED_KEYS = 1024  # network input may choose keys; their number is bounded


def setup(role: str, level: int = logging.INFO) -> logging.Logger:
    """The logger `fastha`, writing to stderr and, if there is one, syslog. Call once per process."""
    log = logging.getLogger("fastha")
    for old in list(log.handlers):
        log.removeHandler(old)
        old.close()
    log.setLevel(level)
    log.propagate = False
    log.addHandler(Handler(writer.Log(f"fastha-{role}", verbose=True)))
    return log


class Handler(logging.Handler):
    """Records become lines of a `Log`; a traceback is one line each, so that no line holds another."""

    def __init__(self, log: writer.Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = writer.ERROR if record.levelno >= logging.ERROR else _LEVELS.get(record.levelno, writer.DEBUG)
        for line in self.format(record).splitlines() or [""]:
            self._log.write(level, line, getattr(record, "fields", None))

    def close(self) -> None:
        self._log.close()
        super().close()


_LEVELS = {logging.WARNING: writer.WARNING, logging.INFO: writer.INFO}


class Limiter:
    """Log lines that the network can trigger: at most `per_s` of each key, and the next one says what was held back."""

    def __init__(self, log: logging.Logger, now_ns: Callable[[], int]) -> None:
        self._log = log
        self._now_ns = now_ns
        self._keys: dict[str, tuple[int, int]] = {}  # key -> (not before, held back)
        self._sweep_ns = 0

    def __call__(self, key: str, per_s: float, text: str, level: int = logging.WARNING) -> None:
        now = self._now_ns()
        if key not in self._keys and len(self._keys) >= LIMITED_KEYS:
            if now >= self._sweep_ns:
                self._keys = {k: v for k, v in self._keys.items() if v[0] > now}
                self._sweep_ns = now + NS_PER_S
            if len(self._keys) >= LIMITED_KEYS:
                key = "(many kinds)"
        not_before, held = self._keys.get(key, (now, 0))
        if now < not_before:
            self._keys[key] = not_before, held + 1
            return
        self._keys[key] = now + int(NS_PER_S / per_s), 0
        self._log.log(level, "%s%s", text, f" ({held} more like this were not logged)" if held else "")
