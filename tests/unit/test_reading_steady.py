"""Files that change while they are read: read again, and refused when that does not help."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from fastha.errors import Fault, Severity
from fastha.model import Config
from fastha.reading.__main__ import NAMED_FAULTS, items
from fastha.reading.steady import PAUSE_S, TRIES, changed_since, steadily


@dataclass(frozen=True)
class Loaded:
    files: tuple[str, ...]
    text: str


def settled(path: Path, text: str) -> None:
    """As if it had been written a minute ago. (st_ctime cannot be set: the clock of the test is ahead instead.)"""
    path.write_text(text)


def clock() -> int:
    return time.time_ns() + 10**9


def test_a_quiet_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    settled(path, "one")
    reads = []

    def load() -> Loaded:
        reads.append(path.read_text())
        return Loaded((str(path),), reads[-1])

    loaded, faults = steadily(load, clock, lambda _s: None)
    assert (loaded.text, faults, reads) == ("one", (), ["one"])


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path, pauses, began = tmp_path / "a.conf", list[float](), [0]
    path.write_text("half of")

    def load() -> Loaded:
        text = path.read_text()
        if text == "half of":
            path.write_text("half of it, and the rest")
        return Loaded((str(path),), text)

    def now() -> int:  # the second look is a second later
        began[0] += 1
        return time.time_ns() + (began[0] - 1) * 10**9

    loaded, faults = steadily(load, now, pauses.append)
    assert loaded.text == "half of it, and the rest"
    assert not faults
    assert pauses == [PAUSE_S]


def test_one_that_never_stops_changing_is_refused(tmp_path: Path) -> None:
    path, count = tmp_path / "a.conf", [0]

    def load() -> Loaded:
        count[0] += 1
        new = tmp_path / "new"
        new.write_text(str(count[0]))
        os.rename(new, path)  # also by a rename
        return Loaded((str(path),), "")

    _loaded, faults = steadily(load, time.time_ns, lambda _s: None)
    assert count == [TRIES]
    assert [(f.severity, f.file) for f in faults] == [(Severity.ERROR, str(path))]
    assert "changed while it was read" in str(faults[0])


def test_a_file_that_is_gone_has_changed(tmp_path: Path) -> None:
    assert changed_since([str(tmp_path / "none")], 0) == [str(tmp_path / "none")]


def test_errors_are_told_before_a_crowd_of_warnings() -> None:
    warnings = tuple(Fault(Severity.WARNING, "a", n, 1, "hm") for n in range(1, 300))
    error = Fault(Severity.ERROR, "a", 500, 1, "no")
    told, end = items(Config(), (*warnings, error), ("a",), 0)
    assert isinstance(told, tuple)
    assert told[0] == error
    assert len(told) == NAMED_FAULTS
    assert (end.ok, end.errors, end.warnings) == (False, 1, 299)  # type: ignore[union-attr]
