"""Includes and random numbers as `global_defs` wants them; files that are not as one expects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastha.config import include
from fastha.config.files import RealFiles
from fastha.config.reader import read
from fastha.config.tree import Tree


class One:
    """One file, and nothing else."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, path: str) -> bytes:
        return self.text.encode()

    def glob(self, pattern: str) -> list[str]:
        return ["main"] if pattern == "main" else []


def tree(text: str) -> Tree:
    return read("main", One(text))


def words(text: str) -> list[list[str]]:
    found = tree(text)
    assert not found.faults
    return [s.words for s in found.statements]


@pytest.mark.parametrize(
    ("said", "checks"),
    [
        ([], set()),
        ([[]], {"read", "match", "wildcard", "brace"}),
        ([["all"]], {"read", "match", "wildcard", "brace"}),
        ([["match"]], {"match"}),
        ([["match"], ["read"]], {"read"}),
        ([["match"], ["+read"]], {"match", "read"}),
        ([["match"], ["+", "read"]], {"match", "read"}),
        ([["all"], ["-read", "-match"]], {"wildcard", "brace"}),
    ],
)
def test_include_check_says_what_is_an_error(said: list[list[str]], checks: set[str]) -> None:
    assert include.defaults(said) == checks


def test_include_check_counts_from_where_it_stands() -> None:
    text = "include a\nglobal_defs {\n include_check match\n}\ninclude b\n"
    assert [(f.line, f.severity.value) for f in tree(text).faults] == [(1, "warning"), (5, "error")]


def test_random_seed_makes_numbers_repeatable() -> None:
    lines = "".join("x ${_RANDOM}\n" for _ in range(5))
    text = f"global_defs {{\n random_seed 7\n}}\n{lines}"
    first, second = (words(text)[1:] for _ in range(2))
    assert first == second
    assert len({w[1] for w in first}) > 1


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing.conf"
    path.write_text("a\n")
    real, reads = os.fstat, []

    def growing(fd: int) -> os.stat_result:
        reads.append(fd)
        if len(reads) in (2, 4):  # somebody appends after the first two readings
            path.write_text(path.read_text() + "b\n")
        return real(fd)

    monkeypatch.setattr("fastha.config.files.os.fstat", growing)
    assert RealFiles().read(str(path)) == b"a\nb\nb\n"

    def always(fd: int) -> os.stat_result:
        path.write_text(path.read_text() + "b\n")
        return real(fd)

    monkeypatch.setattr("fastha.config.files.os.fstat", always)
    with pytest.raises(OSError, match="changes while it is read"):
        RealFiles().read(str(path))


def test_a_directory_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "d.conf").mkdir()
    (tmp_path / "main").write_text("include *.conf\nx\n")
    found = read(str(tmp_path / "main"), RealFiles())
    assert ([s.words for s in found.statements], found.faults) == ([["x"]], [])
