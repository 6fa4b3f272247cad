"""Part of the picture: by name, by pattern, by trouble; and `fastha vs`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answering import Answering
from fastha.cli.main import main
from fastha.cli.select import select

UP = {"health": "up", "in_table": 1, "weight": 1, "weight_from": "configured", "checks": 9, "failures": 0}
DOC: dict[str, Any] = {
    "daemon": {"pid": 1},
    "vrrp": {"instances": {
        "VI_1": {"state": "master", "faults": []}, "VI_2": {"state": "fault", "faults": ["eth1 is down"]},
        "VI_3": {"state": "backup", "override": {"hold": True}},
    }},
    "checker": {"virtual_servers": {
        "10.0.0.1:80/tcp": {"up": True, "quorum": 1, "live_weight": 1, "real_servers": {
            "10.1.0.1:80": UP, "10.1.0.2:80": {"health": "down", "why": "refused"},
        }},
        "10.0.0.2:80/tcp": {"up": True, "quorum": 1, "live_weight": 1, "scheduler": "rr", "forward": "NAT",
                            "real_servers": {"10.1.0.1:80": UP, "10.1.0.11:80": UP}},
    }},
}  # fmt: skip


def shown(*words: str, troubled: bool = False) -> tuple[list[str], dict[str, list[str]]]:
    doc = select(DOC, words, troubled)
    servers = doc["checker"]["virtual_servers"]
    return list(doc["vrrp"]["instances"]), {key: list(one["real_servers"]) for key, one in servers.items()}


def test_names_beginnings_and_patterns() -> None:
    everything = shown()
    assert everything == shown("*")
    assert shown("VI_1") == (["VI_1"], {})
    assert shown("VI_[12]")[0] == ["VI_1", "VI_2"]
    assert shown("10.0.0.1:80") == ([], {"10.0.0.1:80/tcp": ["10.1.0.1:80", "10.1.0.2:80"]})
    assert shown("10.1.0.1:80") == ([], {"10.0.0.1:80/tcp": ["10.1.0.1:80"], "10.0.0.2:80/tcp": ["10.1.0.1:80"]})
    assert shown("nothing") == ([], {})


def test_trouble() -> None:
    assert shown(troubled=True) == (["VI_2", "VI_3"], {"10.0.0.1:80/tcp": ["10.1.0.2:80"]})
    assert select(DOC, (), False)["daemon"] == {"pid": 1}
    assert DOC["checker"]["virtual_servers"]["10.0.0.1:80/tcp"]["real_servers"]["10.1.0.1:80"] is UP, "left as it is"


@pytest.fixture
def vs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    with Answering(str(tmp_path / "c"), {"status": DOC}) as daemon:

        def run(action: str, *words: str) -> tuple[int, str]:
            status = main(["vs", action, "--control", daemon.path, *words])
            out = capsys.readouterr()
            return status, out.out + out.err

        yield run


def test_vs_list_and_show(vs: Any) -> None:
    status, text = vs("list")
    assert status == 0
    assert "10.0.0.1:80/tcp  up      -      1/1            1/2  1\n" in text
    assert json.loads(vs("list", "--json")[1])["virtual_servers"]["10.0.0.2:80/tcp"]["real_servers"]["up"] == 2
    status, text = vs("show", "10.0.0.1")
    assert "2 real servers: 1 up, 1 in the table, 0 decided about" in text
    assert "refused" in text
    assert "10.0.0.2" not in text
    assert vs("show", "10.9") == (2, "fastha: no virtual server is called '10.9'\n")


def test_status_again_and_again(tmp_path: Path) -> None:
    about = {"version": "1", "state": "running", "pid": 1, "uptime_s": 1, "config": {"file": "x", "loaded": 0}}
    with Answering(str(tmp_path / "c"), {"status": DOC | {"daemon": about}}) as daemon:
        argv = [sys.executable, "-m", "fastha.cli", "status", "--control", daemon.path, "--watch", "0.1", "VI_2"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as text:
            assert text.stdout is not None
            seen = ""
            while seen.count("VI_2") < 3:
                seen += text.stdout.readline()
            text.kill()
        assert "VI_1" not in seen
        with subprocess.Popen([*argv, "--json"], stdout=subprocess.PIPE, text=True) as lines:
            assert lines.stdout is not None
            for _ in range(2):
                assert list(json.loads(lines.stdout.readline())["vrrp"]["instances"]) == ["VI_2"]
            lines.kill()
