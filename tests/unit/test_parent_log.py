"""Log lines: their form, what is escaped, and that nothing blocks."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastha.log import MAX_LINE, Log


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_a_line(pipe: tuple[int, int]) -> None:
    read, write = pipe
    log = Log("fastha", fd=write, syslog="")
    log.warning("eth0 is gone")
    log.debug("not asked for")
    line = os.read(read, 65536).decode()
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} warning fastha\[{os.getpid()}\]: eth0 is gone\n", line
    )
    log.close()


def test_text_of_a_peer_stays_one_line_and_moves_no_cursor(pipe: tuple[int, int]) -> None:
    read, write = pipe
    log = Log("fastha", fd=write, syslog="")
    log.info("a\nerror fastha: forged\x1b[2J\x7f\u2028\udcff" + "x" * 10_000)
    line = os.read(read, 65536)
    assert line.count(b"\n") == 1
    assert len(line) <= MAX_LINE + 1
    assert rb"a\x0aerror fastha: forged\x1b[2J\x7f ?xxx" in line
    log.close()


def test_a_reader_that_does_not_read_loses_lines_and_is_told(pipe: tuple[int, int]) -> None:
    read, write = pipe
    log = Log("fastha", fd=write, syslog="")
    before = time.monotonic()
    for _ in range(1000):
        log.info("x" * 1000)
    assert time.monotonic() - before < 5
    lost = log.lost
    assert lost > 800
    os.read(read, 1 << 20)
    log.info("again")
    assert os.read(read, 1 << 20).decode().rstrip().endswith(f"again ({lost} lines before this one were lost)")
    assert log.lost == 0
    assert os.get_blocking(write), "the description we share with others is as it was"
    log.close()


def test_no_reader_at_all_is_no_error() -> None:
    read, write = os.pipe()
    log = Log("fastha", fd=write, syslog="/nonexistent/log")
    os.close(read)
    log.error("nobody hears this")
    assert log.lost == 1
    log.close()
    os.close(write)


def test_syslog_gets_datagrams_with_facility_daemon(tmp_path: Path, pipe: tuple[int, int]) -> None:
    path = str(tmp_path / "log")
    log = Log("fastha", fd=pipe[1], syslog=path)
    log.info("too early")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(path)
        syslog.settimeout(5)
        log._retry_ns = 0
        log.error("hello")
        assert syslog.recv(4096).decode() == f"<27>fastha[{os.getpid()}]: hello"
        for _ in range(5000):  # its queue is full; nothing blocks
            log.info("flood")
    log.error("syslogd has gone")
    log.close()


def test_the_journal_gets_levels_instead_of_dates(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    read, write = pipe
    stat = os.fstat(write)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
    log = Log("fastha", fd=write, journal="/nowhere")
    log.error("once")
    assert os.read(read, 65536) == b"<3>once\n"
    log.close()


def test_the_journal_gets_fields(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int], tmp_path: Path) -> None:
    read, write = pipe
    stat = os.fstat(write)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        journal.settimeout(5)
        log = Log("fastha-vrrp", fd=write, journal=path)
        log.write(4, "VI_1: master\nPRIORITY=0", {"FASTHA_KIND": "state", "FASTHA_SUBJECT": "VI_1\nX=1"})
        assert journal.recv(4096).splitlines() == [
            b"MESSAGE=VI_1: master\\x0aPRIORITY=0",
            b"PRIORITY=4",
            b"SYSLOG_IDENTIFIER=fastha-vrrp",
            b"FASTHA_KIND=state",
            b"FASTHA_SUBJECT=VI_1\\x0aX=1",
        ]
    log.error("the journal restarts")
    assert os.read(read, 65536) == b"<3>the journal restarts\n"
    log.close()
