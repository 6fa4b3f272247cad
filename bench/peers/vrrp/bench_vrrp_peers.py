"""The comparison of `make bench-peers-vrrp` in its short form, for correctness only: both programs take every address
over and keep speaking. No time is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import need

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.root, pytest.mark.interop]


def test_both_take_over(tmp_path: Path) -> None:
    need.root()
    need.tool("keepalived", "ip")
    words = ["--rounds", "1", "--only", "takeover", "--only", "quick", "--addresses", "60", "--failovers", "1"]
    done = subprocess.run(
        [sys.executable, HERE / "run.py", *words, "--json", tmp_path / "figures"],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr[-4000:]  # 1: a target was missed, which is no matter here
    figures = json.loads((tmp_path / "figures").read_text())
    assert {m: {p: set(found) for p, found in programs.items()} for m, programs in figures.items()} == {
        "takeover": {name: {"span_s"} for name in ("fastha", "keepalived")},
        "quick": {name: {"failover_s"} for name in ("fastha", "keepalived")},
    }
    assert done.stdout.count("| ") > 10, "a table"
