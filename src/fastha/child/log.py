"""A child's log: lines `fastha[role]: text` to stderr, and the same to syslog (LOG_DAEMON).

Nothing here ever blocks: a terminal stopped by Ctrl-S, a full pipe or a syslog daemon that does not read costs
lines (they are counted and owned up to later), never time. An advert must not wait for a log.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import sys
from collections.abc import Callable
from logging.handlers import SysLogHandler

from fastha.model.units import NS_PER_S

SYSLOG_SOCKET = "/dev/log"
LIMITED_KEYS = 1024  # network input may choose keys; their number is bounded


def setup(role: str, level: int = logging.INFO) -> logging.Logger:
    """The logger `fastha`, writing to stderr and, if there is one, syslog. Call once per process."""
    log = logging.getLogger("fastha")
    for old in list(log.handlers):
        log.removeHandler(old)
        old.close()
    log.setLevel(level)
    log.propagate = False
    log.addHandler(StderrHandler(role))
    if not _stderr_is_the_journal() and os.path.exists(SYSLOG_SOCKET):
        log.addHandler(SyslogHandler(role))
    return log


class StderrHandler(logging.Handler):
    """Writes whole lines to descriptor 2 without ever waiting for its reader."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._prefix = f"fastha[{role}]: "
        self._lost = 0
        self._fd, self._socket = _non_blocking_stderr()

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{self._prefix}{self.format(record)}\n"
        if self._lost:
            text = f"{self._prefix}{self._lost} earlier lines were lost: stderr did not take them\n{text}"
        try:
            data = text.encode(errors="backslashreplace")
            if self._socket is not None:
                self._socket.send(data, socket.MSG_DONTWAIT)
            else:
                os.write(self._fd, data)
            self._lost = 0
        except OSError:
            self._lost += 1

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        elif self._fd != 2:
            os.close(self._fd)
        self._fd, self._socket = 2, None
        super().close()


class SyslogHandler(logging.Handler):
    """RFC 3164 datagrams to the local syslog socket; a full queue or a restarting syslog loses the line."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._tag = f"fastha[{role}]"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def emit(self, record: logging.LogRecord) -> None:
        severity = SysLogHandler.priority_names[SysLogHandler.priority_map.get(record.levelname, "warning")]
        for line in self.format(record).splitlines():
            data = f"<{SysLogHandler.LOG_DAEMON << 3 | severity}>{self._tag}: {line}"
            try:
                self._socket.sendto(data.encode(errors="backslashreplace"), SYSLOG_SOCKET)
            except OSError:
                return

    def close(self) -> None:
        self._socket.close()
        super().close()


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


def _non_blocking_stderr() -> tuple[int, socket.socket | None]:
    """A descriptor (or socket) for stderr that does not block, without touching the file description we share.

    O_NONBLOCK set on descriptor 2 itself would change it for the shell and the parent as well, so a pipe or a
    terminal is opened anew; a regular file never blocks.
    """
    try:
        mode = os.fstat(2).st_mode
        if stat.S_ISSOCK(mode):
            return 2, socket.socket(fileno=os.dup(2))
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            return os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), None
    except OSError:
        pass
    return 2, None


def _stderr_is_the_journal() -> bool:
    """Under systemd stderr already goes to the journal (systemd.exec(5), JOURNAL_STREAM); once is enough."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
