"""Tracked files as people and programs treat them: appear, are written, replaced, vanish, hold garbage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastha.child import files as files_module
from fastha.child.files import Files
from fastha.loop.reactor import Reactor

MS = 10**6


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reactor = Reactor()
        self.files = Files(self.reactor)
        self.told: list[int] = []

    def turn(self, ms: int = 5) -> None:
        self.reactor.call_later(ms * MS, self.reactor.stop)
        self.reactor.run()

    def until(self, value: int, deadline_s: float = 10) -> None:
        end = time.monotonic() + deadline_s
        while not self.told or self.told[-1] != value:
            assert time.monotonic() < end, (value, self.told)
            self.turn()

    def close(self) -> None:
        self.files.close()
        self.reactor.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.close()


def test_a_life_of_a_file(bench: Bench) -> None:
    path = bench.folder / "value"
    assert bench.files.follow(str(path), bench.told.append) == 0
    path.write_text("5\n")
    bench.until(5)
    path.write_text("-0x10")
    bench.until(-16)
    path.write_text("nonsense\n")
    bench.until(0)
    new = bench.folder / "new"
    new.write_text("7\n")
    os.rename(new, path)
    bench.until(7)
    with open(path, "a") as file:  # 78 only when it is closed
        file.write("8")
        file.flush()
    bench.until(0)  # "7\n8" is no number
    path.write_text("9")
    bench.until(9)
    os.rename(path, new)
    bench.until(0)
    os.link(new, path)
    bench.until(9)
    path.unlink()
    bench.until(0)
    assert bench.told == [5, -16, 0, 7, 0, 9, 0, 9, 0]


def test_what_is_no_file_is_0_and_nothing_waits(bench: Bench) -> None:
    path = bench.folder / "value"
    os.mkfifo(path)
    start = time.monotonic()
    assert bench.files.follow(str(path), bench.told.append) == 0
    path.unlink()
    path.mkdir()
    bench.turn(50)
    path.rmdir()
    path.write_text("3")
    bench.until(3)
    path.write_bytes(b"4" * 1_000_000)
    bench.until(0)
    assert time.monotonic() - start < 5


def test_a_directory_that_comes_goes_and_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "LOOK_NS", 50 * MS)
    folder = bench.folder / "deep" / "er"
    path = folder / "value"
    assert bench.files.follow(str(path), bench.told.append) == 0
    folder.mkdir(parents=True)
    path.write_text("1")
    bench.until(1)
    path.unlink()
    folder.rmdir()
    bench.until(0)
    folder.mkdir()
    path.write_text("2")
    bench.until(2)
    os.rename(folder, bench.folder / "away")
    bench.until(0)
    other = bench.folder / "other"
    other.mkdir()
    (other / "value").write_text("3")
    os.rename(other, folder)
    bench.until(3)
    path.write_text("4")
    bench.until(4)


def test_links(bench: Bench) -> None:
    """A file behind a link that is written; a link beside it that changes what it means (a Kubernetes volume)."""
    real = bench.folder / "elsewhere"
    real.mkdir()
    (real / "value").write_text("1")
    home = bench.folder / "home"
    home.mkdir()
    (home / "value").symlink_to(real / "value")
    assert bench.files.follow(str(home / "value"), bench.told.append) == 1
    (real / "value").write_text("2")
    bench.until(2)
    volume = bench.folder / "volume"
    for n in (1, 2):
        (volume / f"v{n}").mkdir(parents=True)
        (volume / f"v{n}" / "value").write_text(f"{n * 10}")
    (volume / "..data").symlink_to("v1")
    (volume / "value").symlink_to("..data/value")
    assert bench.files.follow(str(volume / "value"), bench.told.append) == 10
    (volume / "..new").symlink_to("v2")
    os.rename(volume / "..new", volume / "..data")
    bench.until(20)


def test_many_in_one_directory_and_nothing_is_left(bench: Bench) -> None:
    before = len(os.listdir("/proc/self/fd"))
    values: dict[int, int] = {}
    callbacks = [lambda value, n=n: values.__setitem__(n, value) for n in range(200)]
    for n, callback in enumerate(callbacks):
        bench.files.follow(f"{bench.folder}/f{n}", callback)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    reads = bench.files.reads
    for n in range(200):
        (bench.folder / f"f{n}").write_text(str(n + 1))
    bench.told = [0]
    end = time.monotonic() + 10
    while len(values) < 200 or values[199] != 200:
        assert time.monotonic() < end
        bench.turn()
    assert values == {n: n + 1 for n in range(200)}
    assert bench.files.reads - reads < 1000, "the others' events are not ours"
    for n, callback in enumerate(callbacks):
        bench.files.leave(f"{bench.folder}/f{n}", callback)
    assert len(os.listdir("/proc/self/fd")) == before
    (bench.folder / "f1").write_text("99")
    bench.turn()
    assert bench.files.follow(f"{bench.folder}/f1", bench.told.append) == 99


def test_two_follow_one_file(bench: Bench) -> None:
    path = bench.folder / "value"
    path.write_text("1")
    other: list[int] = []
    follow: Callable[[int], object] = other.append
    assert bench.files.follow(str(path), bench.told.append) == 1
    assert bench.files.follow(str(path), follow) == 1
    path.write_text("2")
    bench.until(2)
    assert other == [2]
    bench.files.leave(str(path), follow)
    path.write_text("3")
    bench.until(3)
    assert other == [2]


def test_a_flood_of_changes(bench: Bench) -> None:
    """More events than the kernel keeps: the last value is what counts."""
    path = bench.folder / "value"
    bench.files.follow(str(path), bench.told.append)
    path.touch()
    for n in range(20_000):
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, b"%6d" % n, 0)
        os.close(fd)
    bench.until(19_999)
