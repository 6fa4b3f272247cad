"""`umask` as keepalived 2.2.7 reads it (observed): a number as C writes it, or bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.config.dump import dump
from fastha.config.load import load


@pytest.mark.parametrize(
    ("word", "umask"),
    [("022", 0o22), ("22", 0o26), ("8", 0o10), ("0x1f", 0o37), ("0777", 0o777), ("511", 0o777), ("0", 0),
     ("IRWXG | IXOTH", 0o71)],
)  # fmt: skip
def test_masks(word: str, umask: int, tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text(f"global_defs {{\n    umask {word}\n}}\n")
    loaded = load(str(path))
    assert loaded.config.globals.processes.umask == umask
    assert not loaded.faults
    path.write_text(dump(loaded.config))
    assert load(str(path)).config.globals.processes.umask == umask


@pytest.mark.parametrize("word", ["777", "512", "01000", "0x200", "0x", "08", "022 7", "1" * 400])
def test_no_masks(word: str, tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text(f"global_defs {{\n    umask {word}\n}}\n")
    assert [f.line for f in load(str(path)).faults] == [2]
