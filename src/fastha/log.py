"""L0: one line per finding, to stderr and to syslog; never blocks, never fails.

Every process of fastha has one `Log`. Lines look alike everywhere:

    2026-01-31 23:59:59.123 warning vrrp[4711]: VI_1: eth0 is gone

stderr may be a pipe that nobody empties and syslog may be dead: a line that cannot be written at once is lost, and
the next line that can be written says how many were. Under systemd (stderr is the journal) lines carry "<level>"
instead of a date, and /dev/log, which is the same journal, is left alone. Where the journal's own socket answers, each
line is an entry with fields (FASTHA_KIND, FASTHA_SUBJECT of an event) instead.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from collections.abc import Mapping
from typing import Final

from fastha.safe import SAFE

# syslog(3) levels and the facility LOG_DAEMON
ERROR: Final = 3
WARNING: Final = 4
INFO: Final = 6
DEBUG: Final = 7
WORDS: Final = {ERROR: "error", WARNING: "warning", INFO: "info", DEBUG: "debug"}
JOURNAL: Final = "/run/systemd/journal/socket"  # https://systemd.io/JOURNAL_NATIVE_PROTOCOL
LOG_DAEMON: Final = 3
FACILITY: Final = "FASTHA_SYSLOG"  # in the environment: syslog's facility as a number, or "none"; for all our processes
MAX_LINE: Final = 2048  # under PIPE_BUF (4096): poll says "writable" for a pipe exactly if so much fits
RECONNECT_NS: Final = 1_000_000_000


class Log:
    """`ident` names the process. `verbose` also writes debug lines. `fd` and `syslog` ("" = none) are for tests."""

    def __init__(
        self, ident: str, *, verbose: bool = False, fd: int = 2, syslog: str = "/dev/log", journal: str = JOURNAL
    ) -> None:
        self.ident = ident
        self.verbose = verbose
        self.lost = 0
        self._fd, self._socket = _non_blocking(fd)
        self._given_fd = fd
        self._journal = _is_journal(fd)
        self._journal_path = journal
        facility = os.environ.get(FACILITY, "")
        self._facility = (int(facility) if facility.isdecimal() else LOG_DAEMON) << 3
        self._syslog_path = "" if self._journal or facility == "none" else syslog
        self._syslog: socket.socket | None = None
        self._retry_ns = 0
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def error(self, text: str) -> None:
        self.write(ERROR, text)

    def warning(self, text: str) -> None:
        self.write(WARNING, text)

    def info(self, text: str) -> None:
        self.write(INFO, text)

    def debug(self, text: str) -> None:
        if self.verbose:
            self.write(DEBUG, text)

    def write(self, level: int, text: str, fields: Mapping[str, str] | None = None) -> None:
        """One line at a syslog level. Control characters are escaped, long text is cut. `fields`: for the journal, what
        the line is about (names in capitals)."""
        text = text.translate(SAFE)
        pid = os.getpid()
        if self.lost:
            text = f"{text} ({self.lost} lines before this one were lost)"
        if self._write_journal(level, text, fields or {}) or self._write_stderr(self._format(level, text, pid)):
            self.lost = 0
        else:
            self.lost += 1
        if self._syslog_path:
            self._write_syslog(
                f"<{self._facility | level}>{self.ident}[{pid}]: {text}"[:MAX_LINE].encode(errors="replace")
            )

    def _format(self, level: int, text: str, pid: int) -> bytes:
        if self._journal:
            line = f"<{level}>{text}"
        else:
            now = time.time()
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
            line = f"{stamp}.{int(now % 1 * 1000):03d} {WORDS[level]} {self.ident}[{pid}]: {text}"
        return line.encode(errors="replace")[:MAX_LINE] + b"\n"

    def _write_journal(self, level: int, text: str, fields: Mapping[str, str]) -> bool:
        """An entry with fields by the journal's own protocol; False: write it to stderr, which is the journal too."""
        if not self._journal:
            return False
        entry = {"MESSAGE": text[:MAX_LINE], "PRIORITY": str(level), "SYSLOG_IDENTIFIER": self.ident, **fields}
        data = "".join(f"{name}={value.translate(SAFE)}\n" for name, value in entry.items()).encode(errors="replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                return sock.sendto(data, self._journal_path) == len(data)
        except OSError:
            return False

    def _write_stderr(self, line: bytes) -> bool:
        try:
            if self._socket is not None:
                return self._socket.send(line, socket.MSG_DONTWAIT) == len(line)
            ready = self._poll.poll(0)
            return bool(ready and ready[0][1] & select.POLLOUT and os.write(self._fd, line))
        except OSError:
            return False

    def _write_syslog(self, line: bytes) -> None:
        """A datagram to /dev/log; a daemon that is away is tried again at most once a second."""
        now = time.monotonic_ns()
        if self._syslog is None:
            if now < self._retry_ns:
                return
            self._retry_ns = now + RECONNECT_NS
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                sock.connect(self._syslog_path)
            except OSError:
                sock.close()
                return
            self._syslog = sock
        try:
            self._syslog.send(line)
        except BlockingIOError:
            pass  # its queue is full: the line is on stderr
        except OSError:
            self._close_syslog()

    def _close_syslog(self) -> None:
        if self._syslog is not None:
            self._syslog.close()
            self._syslog = None

    def close(self) -> None:
        """Release what it opened itself. Idempotent; lines written later may block."""
        self._close_syslog()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._fd != self._given_fd:
            self._poll.unregister(self._fd)
            os.close(self._fd)
            self._fd = self._given_fd
            self._poll.register(self._fd, select.POLLOUT)


def _non_blocking(fd: int) -> tuple[int, socket.socket | None]:
    """A descriptor or socket that writes to the same place as `fd` without ever waiting.

    O_NONBLOCK on `fd` itself would change it for everybody who shares it, the shell that started us among them;
    so a pipe or a terminal is opened anew, and a socket is told with each line. A regular file never blocks."""
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            return fd, socket.socket(fileno=os.dup(fd))
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{fd}", flags), None
    except OSError:
        pass
    return fd, None  # looked at with poll before each line


def _is_journal(fd: int) -> bool:
    """Whether `fd` is systemd's journal (systemd.exec(5), JOURNAL_STREAM=device:inode)."""
    try:
        stat = os.fstat(fd)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"
