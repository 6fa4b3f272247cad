"""`fastha check`: what it prints and how it ends."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson
import pytest

from fastha.cli import check

BAD = 'global_defs {\n\trouter_idd "x y"\n  vrrp_version 4\n}\n'
FINE = "global_defs {\n  router_id x\n  smtp_alert\n}\n"


def run(*args: str) -> int:
    parser = argparse.ArgumentParser()
    check.register(parser.add_subparsers())
    namespace = parser.parse_args(["check", *args])
    status = namespace.run(namespace)
    assert isinstance(status, int)
    return status


def test_faults_have_their_line_and_a_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.conf"
    path.write_text(BAD)
    assert run("-f", str(path)) == 2
    assert capsys.readouterr().out.replace(str(path), "bad.conf").splitlines() == [
        "bad.conf:2:2: error: unknown keyword 'router_idd' in global_defs [unknown-keyword]",
        '     2 | router_idd "x y"',
        "         ^~~~~~~~~~",
        "    hint: did you mean router_id?",
        "bad.conf:3:16: error: vrrp_version must be 2 to 3, not 4 [invalid]",
        "     3 | vrrp_version 4",
        "                      ^",
        "bad.conf: cannot run: 0 instances, 0 virtual servers, 0 real servers; "
        "2 errors, 0 warnings, 0 not supported yet",
    ]


def test_notes_do_not_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fine.conf"
    path.write_text(FINE)
    assert run("-f", str(path)) == 0
    out = capsys.readouterr().out
    assert "not supported yet: smtp_alert has no effect" in out
    assert "can run" in out
    assert run("-q", "-f", str(path)) == 0
    assert capsys.readouterr().out == ""


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.conf"
    path.write_text(BAD)
    assert run("--json", "-f", str(path)) == 2
    data = orjson.loads(capsys.readouterr().out)
    assert data["ok"] is False
    assert data["counts"] == {"error": 2, "warning": 0, "not supported yet": 0}
    assert data["files"] == [str(path)]
    assert [(f["line"], f["column"], f["severity"]) for f in data["faults"]] == [(2, 2, "error"), (3, 16, "error")]


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.conf"
    assert run("-q", "-f", str(path)) == 2
    assert capsys.readouterr().out == f"{path}: error: cannot read '{path}': No such file or directory\n"


def test_long_lines_are_cut_around_the_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.conf"
    path.write_text("global_defs { " + " " * 5000 + "foo" + " " * 5000 + "}\n")
    assert run("-f", str(path)) == 2
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 200 for line in lines[1:3])
    assert lines[1][lines[2].index("^") :].startswith("foo")
