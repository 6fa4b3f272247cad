"""`fastha check`: what it prints and how it ends."""

from __future__ import annotations

import argparse
from pathlib import Path

import jsonschema
import orjson
import pytest

from fastha.cli import check
from fastha.cli.screen import printable

ROOT = Path(__file__).resolve().parent.parent.parent
BAD = 'global_defs {\n\trouter_idd "x y"\n  vrrp_version 4\n}\n'
FINE = "global_defs {\n  router_id x\n  enable_dbus\n}\n"


def run(*args: str) -> int:
    parser = argparse.ArgumentParser()
    check.arguments(parser)
    status = check.main(parser.parse_args(args))
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
    assert "not supported yet: enable_dbus has no effect" in out
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


def test_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/nonesuch/none.conf"  # short: what is long is cut
    assert run("-q", "-f", path) == 2
    assert capsys.readouterr().out == f"{path}: error: cannot read '{path}': No such file or directory\n"


def test_long_lines_are_cut_around_the_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.conf"
    path.write_text("global_defs { " + " " * 5000 + "foo" + " " * 5000 + "}\n")
    assert run("-f", str(path)) == 2
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 200 for line in lines[1:3])
    assert lines[1][lines[2].index("^") :].startswith("foo")


# -- what people see


def shown(capsys: pytest.CaptureFixture[str], folder: Path) -> list[str]:
    return capsys.readouterr().out.replace(f"{folder}/", "").splitlines()


EXPANDED = """\
$NET=10.0.0
$PORT=8x80
virtual_server ${NET}.1 80 {
    protocol TCP
    lvs_sched rr
    lvs_method NAT
    ~SEQ(n,2) real_server ${NET}.$n ${PORT} { }
}
"""


def test_lines_are_shown_as_written_and_as_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text(EXPANDED)
    assert run("-f", str(tmp_path / "a.conf")) == 2
    lines = shown(capsys, tmp_path)
    at = lines.index("a.conf:7:37: error: '8x80' is not a port (0 to 65535) [invalid]")
    assert lines[at + 1 : at + 8] == [
        "     7 | ~SEQ(n,2) real_server ${NET}.$n ${PORT} { }",
        "                                         ^~~~~~~",
        "  read as: real_server 10.0.0.1 8x80 { }",
        "a.conf:7:37: error: '8x80' is not a port (0 to 65535) [invalid]",
        "     7 | ~SEQ(n,2) real_server ${NET}.$n ${PORT} { }",
        "                                         ^~~~~~~",
        "  read as: real_server 10.0.0.2 8x80 { }",
    ]


def test_faults_of_included_files_are_shown_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text("include b.conf\n")
    (tmp_path / "b.conf").write_text("\nglobal_defs {\n    vrrp_version 9\n}\n")
    assert run("-f", str(tmp_path / "a.conf")) == 2
    assert shown(capsys, tmp_path)[:3] == [
        "b.conf:3:18: error: vrrp_version must be 2 to 3, not 9 [invalid]",
        "     3 | vrrp_version 9",
        "                      ^",
    ]


def test_the_whole_quoted_word_is_underlined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text('global_defs {\n    vrrp_version "two or three"\n}\n')
    assert run("-f", str(tmp_path / "a.conf")) == 2
    assert shown(capsys, tmp_path)[2] == "                      ^~~~~~~~~~~~~~"


def test_what_repeats_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text("global_defs {\n" + "".join(f"    word{n} 1\n" for n in range(40)) + "}\n")
    assert run("-f", str(tmp_path / "a.conf")) == 2
    lines = shown(capsys, tmp_path)
    assert sum("unknown keyword" in line for line in lines) == 11
    assert "and 30 more like this: unknown keyword ... in global_defs [unknown-keyword]" in lines
    assert "40 errors" in lines[-1]
    assert run("--all", "-f", str(tmp_path / "a.conf")) == 2
    assert sum("unknown keyword" in line for line in shown(capsys, tmp_path)) == 40


MIXED = "global_defs {\n    enable_dbus\n}\nvrrp_instance A {\n    interface eth0\n    virtual_router_id 300\n}\nfoo\n"


def test_findings_can_be_sorted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text(MIXED)

    def codes(order: str) -> list[str]:
        run("--json", "--sort", order, "-f", str(tmp_path / "a.conf"))
        return [fault["code"] for fault in orjson.loads(capsys.readouterr().out)["faults"]]

    assert codes("place") == ["not-supported", "invalid", "unknown-keyword"]
    assert codes("severity") == ["invalid", "unknown-keyword", "not-supported"]
    assert codes("code") == ["invalid", "unknown-keyword", "not-supported"]


def test_strict_ends_with_1_for_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.conf"
    path.write_text("vrrp_instance A {\n    interface eth0\n    virtual_router_id 3\n    advert_int 1.5\n"
                    "    virtual_ipaddress {\n        10.0.0.1\n    }\n}\n")  # fmt: skip
    assert run("-f", str(path)) == 0
    assert run("--strict", "-f", str(path)) == 1
    path.write_text(FINE)
    assert run("--strict", "-f", str(path)) == 0
    capsys.readouterr()


def test_this_machine_is_looked_at_for_its_own_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.conf"
    path.write_text("vrrp_instance A {\n    interface nosuch0\n    virtual_router_id 3\n"
                    "    virtual_ipaddress {\n        10.0.0.1\n    }\n}\n")  # fmt: skip
    monkeypatch.setattr(check, "DEFAULT_PATH", str(path))
    for words, told in (((), True), (("-f", str(path)), False), (("-f", str(path), "--here"), True),
                        (("--no-here",), False)):  # fmt: skip
        assert run(*words) == 0
        assert ("[interface-missing]" in capsys.readouterr().out) is told, words


def test_colours_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.conf").write_text(BAD)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert run("-f", str(tmp_path / "a.conf")) == 2
    out = capsys.readouterr().out
    assert "\x1b[1;31merror: \x1b[0m" in out
    assert "^~~~~~~~~~" in out


# -- for programs


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "golden").glob("*/*.conf")), ids=lambda p: p.stem)
def test_json_follows_its_schema(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--json", "--keepalived", "-f", str(path))
    data = orjson.loads(capsys.readouterr().out)
    jsonschema.validate(data, orjson.loads((ROOT / "docs" / "check.schema.json").read_bytes()))
    for fault in data["faults"]:
        if fault["line"]:
            lines = Path(fault["file"]).read_text(errors="replace").split("\n")
            assert fault["source"] == printable(lines[fault["line"] - 1].rstrip("\r"), "\t")
            assert 1 <= fault["column"] < fault["end"]


def test_the_schema_is_strict() -> None:
    schema = orjson.loads((ROOT / "docs" / "check.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"format": 1, "ok": True}, schema)
