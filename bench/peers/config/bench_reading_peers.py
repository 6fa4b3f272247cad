"""`make bench-peers-config` in its short form, for correctness only: both programs accept every file of
the workload, and fastha has nothing to remark. No time is judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import need
from fastha.config.load import load

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.interop


@pytest.mark.parametrize("name", ["TCP", "HTTP", "OWN"])
def test_both_accept_the_workload(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need.tool("keepalived")
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    import reading_workload

    path = tmp_path / "bench.conf"
    path.write_text(reading_workload.configuration(getattr(reading_workload, name), 250))
    subprocess.run(["keepalived", "-G", "-t", "-f", str(path)], check=True, timeout=60)
    python, native = load(str(path)), load(str(path), native=True)
    assert python == native
    assert python.faults == ()
    assert sum(len(v.real_servers) for v in python.config.virtual_servers) == 250
