"""reload_time_file: what its text means, and what happens at that time."""

from __future__ import annotations

import calendar
import os
import time
from pathlib import Path

import pytest

from fastha.log import Log
from fastha.parent.appointment import parse
from fastha.parent.loop import Loop
from fastha.parent.marker import Marker
from fastha.parent.timed import Timed

NOW = float(calendar.timegm((2024, 2, 28, 23, 30, 0)))
DAY = 86400


def utc(*fields: int) -> float:
    return float(calendar.timegm((*fields, 0, 0, 0)))


def when(text: str) -> tuple[float, bool] | None:
    """Local time is UTC + 1 here."""
    found = parse(
        text.encode(), NOW, lambda t: time.gmtime(t + 3600), lambda f: float(calendar.timegm((*f, 0, 0, 0))) - 3600
    )
    return None if found is None else (found.at, found.dated)


@pytest.mark.parametrize(
    ("text", "at", "dated"),
    [
        ("23:45:00Z", utc(2024, 2, 28, 23, 45, 0), False),
        ("23:30:00Z", utc(2024, 2, 28, 23, 30, 0), False),  # this very second
        ("23:29:59Z\n", utc(2024, 2, 29, 23, 29, 59), False),
        ("00:45:00", utc(2024, 2, 28, 23, 45, 0), False),  # it is 00:30 of the 29th there
        ("00:15:00", utc(2024, 2, 29, 23, 15, 0), False),
        ("24-02-29 12:00:00Z", utc(2024, 2, 29, 12, 0, 0), True),
        ("2024-03-01 12:00:00", utc(2024, 3, 1, 11, 0, 0), True),
        ("  2100-01-01   00:00:00Z  \n", utc(2100, 1, 1, 0, 0, 0), True),
    ],
)
def test_what_it_means(text: str, at: float, dated: bool) -> None:
    assert when(text) == (at, dated)


def test_a_date_that_has_passed_asks_for_nothing() -> None:
    assert when("2024-02-28 23:29:59Z") is None


@pytest.mark.parametrize(
    "text",
    ["", "now", "25:00:00", "12:60:00", "12:00", "2023-02-29 12:00:00", "24-13-01 1:00:00", "12:00:00Zz", "1" * 100],
)
def test_what_it_cannot_mean(text: str) -> None:
    with pytest.raises(ValueError, match=r"not HH|no time|no such day"):
        when(text)


class World:
    """A loop whose turns are taken by hand, and a clock for the wall."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "when"
        self.loop = Loop()
        self.log = Log("test", syslog="", fd=os.open(folder / "log", os.O_WRONLY | os.O_CREAT))
        self.now = NOW
        self.reloads: list[float] = []
        self.timed = Timed(self.loop, self.log, lambda: self.reloads.append(self.now), lambda: self.now)

    def look(self) -> None:
        """A second passes, as far as the timer is concerned."""
        self.timed.close()
        self.timed._look()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return World(tmp_path)


@pytest.mark.parametrize(("text", "repeat", "stays"), [("23:30:10", False, False), ("23:30:10", True, True)])
def test_it_reloads_once_at_its_time(world: World, text: str, repeat: bool, stays: bool) -> None:
    world.path.write_text(text)
    world.timed.follow(str(world.path), repeat)
    for second in range(30):
        world.now = NOW + second
        world.look()
    assert world.reloads == [NOW + 10]
    assert world.path.exists() is stays
    assert world.timed.at == (NOW + 10 + DAY if stays else 0)
    world.now = NOW + DAY + 10
    world.look()
    assert len(world.reloads) == 1 + stays


def test_a_date_happens_once_even_with_repeat(world: World) -> None:
    world.path.write_text("2024-02-28 23:30:05Z")
    world.timed.follow(str(world.path), True)
    world.now = NOW + 6
    world.look()
    assert world.reloads == [NOW + 6]
    assert not world.path.exists()


def test_a_file_that_comes_changes_and_goes(world: World) -> None:
    world.timed.follow(str(world.path), False)
    assert world.timed.at == 0
    world.path.write_text("23:40:00")
    world.look()
    assert world.timed.at == NOW + 600
    world.path.write_text("not a time at all")
    world.look()
    assert world.timed.at == 0
    world.path.write_text("23:50:00Z")
    world.look()
    assert world.timed.at == NOW + 1200
    world.path.unlink()
    world.look()
    assert world.timed.at == 0
    world.timed.follow("", False)
    world.look()
    assert not world.reloads


def test_the_marker_is_there_between(world: World, tmp_path: Path) -> None:
    marker, path = Marker(world.log), tmp_path / "reload"
    path.write_text("old")
    marker.put(str(path))
    assert path.read_text() == ""
    marker.remove()
    assert not path.exists()
    marker.remove()
    target = tmp_path / "target"
    target.write_text("precious")
    path.symlink_to(target)
    marker.put(str(path))  # a link is not followed
    assert target.read_text() == "precious"
    marker.remove()
    assert path.is_symlink()
