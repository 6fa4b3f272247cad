"""The comparison of `make bench-peers-ipvs` in its short form, for correctness only: every program fills the table
with exactly the wanted rows, reloads send what they should, stop leaves nothing. No time is judged."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import need
from vm.kit import Unfit

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.vm, pytest.mark.interop]


def test_every_program_makes_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    need.tool("gcc", "ipvsadm", "keepalived")
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    import report
    import run

    output = io.BytesIO()
    try:
        figures = run.measure(40, 1, output, timeout_s=240)
    except Unfit as fault:
        need.lack(f"no guest with IPVS: {fault}")
    except RuntimeError as fault:
        pytest.fail(f"{fault}\n{output.getvalue().decode(errors='replace')[-6000:]}", pytrace=False)
    assert all(len(of_one) >= 5 for of_one in figures["times"].values()), "each scheduler, each program"
    (life,) = figures["life"]
    assert life["unchanged"] == [0, {}]
    assert life["changed"] == [10, {"SET_DEST": 4, "NEW_DEST": 3, "DEL_DEST": 3}]
    assert life["stop"] == {"DEL_SERVICE": 1}, "one operation a service, not one a destination"
    assert report.table(figures).count("\n| ") == 7
    assert [v for v in report.verdicts(figures) if "reload" in v.text and not v.met] == []
