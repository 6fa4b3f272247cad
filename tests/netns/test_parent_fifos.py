"""Notify FIFOs: made, written whole and in order, read by their scripts, full, and gone at the end."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import need
from fastha.log import Log
from fastha.model import Fifo, GlobalDefs, Script
from fastha.parent import fifos as module
from fastha.parent.fifos import Fifos
from fastha.parent.loop import Loop


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "fifo"
        self._log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.loop = Loop()
        self.fifos = Fifos(self.loop, Log("test", fd=self._log, syslog="", verbose=True))

    def commit(self, *fifos: Fifo) -> None:
        self.fifos.commit(GlobalDefs(fifos=fifos))

    def until(self, condition: Callable[[], object], why: str, deadline_s: float = 10) -> None:
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, f"{why}: {self.log()}"
            self.loop.turn(0.01)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        self.fifos.close()
        self.loop.close()
        os.close(self._log)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.close()


def read(path: Path, size: int = 1 << 20) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return b""
    finally:
        os.close(fd)


def test_who_gets_which_lines(bench: Bench) -> None:
    paths = {what: bench.folder / what for what in ("all", "lvs", "vrrp")}
    bench.commit(*(Fifo(what, str(path)) for what, path in paths.items()))
    bench.fifos.line("checker", "VS [10.0.0.1]:tcp:80 UP")
    bench.fifos.line("vrrp", 'INSTANCE "V" MASTER 150')
    assert read(paths["lvs"]) == b"VS [10.0.0.1]:tcp:80 UP\n\0"
    assert read(paths["vrrp"]) == b'INSTANCE "V" MASTER 150\n'
    assert read(paths["all"]) == b'VS [10.0.0.1]:tcp:80 UP\n\0INSTANCE "V" MASTER 150\n'


def test_it_is_made_and_removed_one_that_was_there_stays(bench: Bench) -> None:
    there = bench.folder / "there"
    os.mkfifo(there, 0o600)
    before = os.umask(0o022)
    try:
        bench.commit(Fifo("all", str(bench.path)), Fifo("lvs", str(there)))
    finally:
        os.umask(before)
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o644
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    bench.commit(Fifo("lvs", str(there)))
    assert not bench.path.exists()
    bench.fifos.close()
    assert there.exists()


def test_its_owner(bench: Bench) -> None:
    need.root()
    bench.commit(Fifo("all", str(bench.path), "nobody", "daemon"))
    assert (bench.path.stat().st_uid, bench.path.stat().st_gid) == (65534, 1)
    bench.commit(Fifo("all", str(bench.path), "no-such-user"))
    assert "there is no user no-such-user; it keeps its owner" in bench.log()


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_what_is_no_fifo_is_left_alone(bench: Bench, what: str) -> None:
    target = bench.folder / "target"
    if what == "file":
        bench.path.write_text("precious")
    elif what == "link":
        os.mkfifo(target)
        bench.path.symlink_to(target)
    bench.commit(Fifo("all", str(bench.path if what != "folder" else bench.folder / "none" / "fifo")))
    bench.fifos.line("vrrp", "x")
    assert "notify fifo" in bench.log()
    assert "lines are dropped: it could not be opened" in bench.log()
    assert bench.fifos.facts()[0]["dropped"] == 1
    bench.fifos.close()
    if what == "file":
        assert bench.path.read_text() == "precious"


def test_lines_nobody_reads_wait_in_order_and_then_are_dropped_and_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE", 100_000)
    bench.commit(Fifo("lvs", str(bench.path)))
    start = time.monotonic()
    for n in range(20_000):
        bench.fifos.line("checker", f"VS [10.0.0.1]:tcp:{n} UP")
    assert time.monotonic() - start < 5, "nothing waits for a reader"
    facts = bench.fifos.facts()[0]
    assert facts["dropped"] > 0
    assert facts["written"] + facts["waiting"] + facts["dropped"] == 20_000
    assert bench.log().count("lines are dropped: nobody reads it fast enough") == 1
    data = bytearray()

    def drained() -> bool:
        data.extend(read(bench.path))
        return not bench.fifos.facts()[0]["waiting"]

    bench.until(drained, "the rest is written")
    data.extend(read(bench.path))
    lines = bytes(data).split(b"\n\0")[:-1]
    kept = 20_000 - facts["dropped"]
    assert lines == [b"VS [10.0.0.1]:tcp:%d UP" % n for n in range(kept)]
    assert f"is read again; {facts['dropped']} lines were dropped in all" in bench.log()
    bench.fifos.line("vrrp", "not for it")
    bench.fifos.line("checker", "x" * 5000)
    assert bench.fifos.facts()[0]["dropped"] == facts["dropped"] + 1


def test_its_script_gets_the_path_last_and_reads_all_before_the_end(bench: Bench) -> None:
    out = bench.folder / "out"
    program = bench.folder / "listen"
    program.write_text(f'#!/bin/sh\necho "$#:$1:$2" > {out}\nexec cat "$2" >> {out}\n')
    program.chmod(0o755)
    fifo = Fifo("vrrp", str(bench.path), script=Script((str(program), "first")))
    bench.commit(fifo)
    for n in range(5000):
        bench.fifos.line("vrrp", f'INSTANCE "V{n}" BACKUP 100')
    pid = bench.fifos.facts()[0]["script"]
    bench.commit(fifo)
    assert bench.fifos.facts()[0]["script"] == pid, "a reload leaves it alone"
    bench.fifos.close()
    first, *rest = out.read_text().splitlines()
    assert first == f"2:first:{bench.path}"
    assert rest == [f'INSTANCE "V{n}" BACKUP 100' for n in range(5000)]
    assert not Path(f"/proc/{pid}").exists()


def test_a_script_that_ends_is_started_again(bench: Bench) -> None:
    out = bench.folder / "out"
    program = bench.folder / "listen"
    program.write_text(f"#!/bin/sh\nread line < $1; echo $line >> {out}\n")
    program.chmod(0o755)
    bench.commit(Fifo("vrrp", str(bench.path), script=Script((str(program),))))
    bench.fifos.line("vrrp", "one")
    bench.until(lambda: "its script ended (status 0)" in bench.log(), "it ends")
    bench.until(lambda: bench.fifos.facts()[0]["script"], "it is there again")
    bench.fifos.line("vrrp", "two")
    bench.until(lambda: out.read_text() == "one\ntwo\n", "and reads on")


def test_a_script_that_cannot_run_or_will_not_end(bench: Bench) -> None:
    bench.commit(Fifo("all", str(bench.path), script=Script(("/no/such/program",))))
    assert "script /no/such/program cannot be run: No such file or directory" in bench.log()
    stubborn = Script(("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"))
    bench.commit(Fifo("all", str(bench.path), script=stubborn))
    pid = bench.fifos.facts()[0]["script"]
    start = time.monotonic()
    bench.fifos.close()
    assert time.monotonic() - start < 3
    assert not Path(f"/proc/{pid}").exists()


def test_nothing_is_left(bench: Bench) -> None:
    before = len(os.listdir("/proc/self/fd"))
    script = Script(("/bin/cat",))
    for n in range(5):
        bench.commit(*(Fifo(w, f"{bench.path}{w}{n}", script=replace(script)) for w in ("all", "lvs", "vrrp")))
    bench.fifos.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert sorted(p.name for p in bench.folder.iterdir()) == ["log"]
