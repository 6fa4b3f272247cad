"""Notify scripts: order, user, environment, timeouts, and everything that can be wrong with them."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from fastha.log import Log
from fastha.model import Script
from fastha.parent.loop import Loop
from fastha.parent.scripts import Scripts


class Bench:
    """A runner with a loop and a log that can be read."""

    def __init__(self, folder: Path, timeout_ns: int = 10**10, max_running: int = 8) -> None:
        self.folder = folder
        self.out = folder / "out"
        self._log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.loop = Loop()
        log = Log("test", fd=self._log, syslog="", verbose=True)
        self.scripts = Scripts(self.loop, log, timeout_ns=timeout_ns, max_running=max_running)

    def sh(self, text: str, subject: str = "VI_1", user: str = "", group: str = "") -> None:
        self.scripts.run(Script(("/bin/sh", "-c", text), user, group), subject)

    def finish(self, deadline_s: float = 10) -> None:
        end = time.monotonic() + deadline_s
        while self.scripts.pending:
            assert time.monotonic() < end, self.log()
            self.loop.turn(0.05)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        self.scripts.abandon()
        self.loop.close()
        os.close(self._log)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.close()


def test_scripts_of_a_subject_run_in_order_others_beside_them(bench: Bench) -> None:
    bench.sh(f"while [ ! -e {bench.folder}/go ]; do sleep 0.01; done; echo master >> {bench.out}")
    bench.sh(f"echo backup >> {bench.out}")
    bench.sh(f"echo other >> {bench.out}; touch {bench.folder}/go", subject="VI_2")
    bench.finish()
    assert bench.out.read_text() == "other\nmaster\nbackup\n"
    assert bench.scripts.counts == {"run": 3, "failed": 0}


def test_many_subjects_at_once_are_limited_and_none_is_lost(bench: Bench) -> None:
    for n in range(60):
        bench.sh(f"echo {n} >> {bench.out}", subject=f"10.0.0.{n}:80")
    assert len(bench.scripts._running) == 8
    assert bench.scripts.pending == 60
    bench.finish(30)
    assert sorted(map(int, bench.out.read_text().split())) == list(range(60))


def test_one_that_hangs_is_ended_with_its_children_and_the_next_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, timeout_ns=300_000_000)
    try:
        bench.sh(f"sleep 98765 & echo $! > {bench.folder}/grandchild; wait")
        bench.sh(f"echo next >> {bench.out}")
        bench.finish()
        assert "did not end within 0.3 s" in bench.log()
        assert bench.out.read_text() == "next\n"
        grandchild = int((tmp_path / "grandchild").read_text())
        need.wait_until(lambda: not is_sleeping(grandchild), 3, "its child is gone too")
    finally:
        bench.close()


def is_sleeping(pid: int) -> bool:
    try:
        return b"98765" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, timeout_ns=100_000_000)
    try:
        bench.sh("trap '' TERM; while :; do sleep 0.05; done")
        bench.finish()
        assert bench.scripts.counts["failed"] == 1
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(("/nonexistent/program", "x")), "No such file or directory"),
        (Script(("/etc/passwd",)), "Permission denied"),
        (Script(()), "empty"),
        (Script(("/bin/true",), user="no-such-user"), "there is no user no-such-user"),
        (Script(("/bin/true",), group="no-such-group"), "there is no group no-such-group"),
        (Script(("/bin/true\0x",)), "null byte"),
    ],
)
def test_what_cannot_be_run_is_a_line_and_the_next_runs(bench: Bench, script: Script, reason: str) -> None:
    bench.scripts.run(script, "VI_1")
    bench.sh(f"echo next > {bench.out}")
    bench.finish()
    assert re.search(rf"error test\[\d+\]: VI_1: script .*cannot be run: .*{reason}", bench.log())
    assert bench.out.read_text() == "next\n"
    assert bench.scripts.counts == {"run": 2, "failed": 1}


def test_failures_are_logged_with_their_status(bench: Bench) -> None:
    bench.sh("exit 7")
    bench.sh("kill -9 $$")
    bench.finish()
    assert "failed: status 7" in bench.log()
    assert "failed: signal 9, Killed" in bench.log()


def test_a_file_without_an_interpreter_line_goes_to_the_shell(bench: Bench) -> None:
    program = bench.folder / "program"
    program.write_text(f"echo $1 > {bench.out}\n")
    program.chmod(0o755)
    bench.scripts.run(Script((str(program), "argument")), "VI_1")
    bench.finish()
    assert bench.out.read_text() == "argument\n"


def test_what_a_script_inherits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/evil")
    monkeypatch.setenv("IFS", "x")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("SITE_SETTING", "kept")
    with socket.socket():  # a descriptor that must not reach it
        bench.sh(f"env > {bench.out}; ls /proc/self/fd > {bench.out}.fd; readlink /proc/$$/fd/0 > {bench.out}.stdin")
        bench.sh(f"ps -o pgid= -p $$ > {bench.out}.pgid; echo $$ >> {bench.out}.pgid")
        bench.finish()
    environment = dict(line.split("=", 1) for line in bench.out.read_text().splitlines())
    assert environment["SITE_SETTING"] == "kept"
    assert not environment.keys() & {"LD_LIBRARY_PATH", "NOTIFY_SOCKET"}
    assert environment.get("IFS") != "x"
    assert "PATH" in environment
    assert set(Path(f"{bench.out}.fd").read_text().split()) <= {"0", "1", "2", "3"}
    assert Path(f"{bench.out}.stdin").read_text() == "/dev/null\n"
    assert len(set(Path(f"{bench.out}.pgid").read_text().split())) == 1, "a process group of its own"


def test_user_and_group(bench: Bench) -> None:
    need.root()
    need.passable(bench.folder)
    bench.folder.chmod(0o777)
    bench.sh(f"id -u > {bench.out}; id -G >> {bench.out}; echo $HOME >> {bench.out}", user="nobody")
    bench.finish()
    uid, groups, home = bench.out.read_text().splitlines()
    assert uid == "65534"
    assert groups == "65534", "root's other groups are gone"
    assert home != os.environ.get("HOME")


def test_scripts_of_a_stopping_daemon_are_named(bench: Bench) -> None:
    bench.sh("sleep 0.5")
    bench.sh("true")
    running = next(iter(bench.scripts._running.values())).process
    bench.scripts.abandon()
    assert "script /bin/sh was not run: the daemon is stopping" in bench.log()
    assert "still runs" in bench.log()
    os.waitpid(running.pid, 0)
