"""`fastha dump` of a file, and of a daemon that the test plays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from fastha.cli.main import main
from fastha.config.load import load
from fastha.parent.configuration import configured
from fastha.parent.disclose import plain

TEXT = """\
$NET=10.0.0
global_defs {
    enable_dbus
}
vrrp_instance A {
    interface eth0
    virtual_router_id 1
    authentication {
        auth_type PASS
        auth_pass secret
    }
    virtual_ipaddress {
        ${NET}.1
    }
}
"""
DUMPED = """\
vrrp_instance A {
    state BACKUP
    interface eth0
    virtual_router_id 1
    priority 100
    version 2
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass ********
    }
    virtual_ipaddress {
        10.0.0.1/32
    }
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.conf"
    path.write_text(TEXT)
    return path


def test_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", "-f", str(file)]) == 0
    out = capsys.readouterr().out
    head, _, body = out.partition("\n\n")
    assert body == DUMPED
    assert head.splitlines() == [
        f"# {file} as fastha reads it",
        f"# {file}:3:5: not supported yet: enable_dbus has no effect (offer the D-Bus interface)",
    ]
    assert main(["dump", "-f", str(file), "--secrets"]) == 0
    again = file.with_name("again.conf")
    again.write_text(capsys.readouterr().out)
    assert load(str(again)).checked() == load(str(file)).checked()


def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", "-f", str(file), "--json"]) == 0
    data = orjson.loads(capsys.readouterr().out)
    assert data["config"]["instances"][0]["auth"] == {"kind": "pass", "password": "********"}
    assert len(data["not_supported"]) == 1
    assert main(["dump", "-f", str(file), "--json", "--secrets"]) == 0
    assert orjson.loads(capsys.readouterr().out)["config"]["instances"][0]["auth"]["password"] == "secret"


def test_a_refused_file_is_status_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(TEXT.replace("virtual_router_id 1", "virtual_router_id 300"))
    assert main(["dump", "-f", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{file}:7:23: error: virtual_router_id must be 1 to 255, not 300\n"


def test_no_daemon_is_status_3(tmp_path: Path) -> None:
    assert main(["dump", "--control", str(tmp_path / "none")]) == 3


@pytest.fixture
def daemon(tmp_path: Path, file: Path) -> Iterator[dict[str, Any]]:
    """Answers one request; what it answers can be changed before."""
    answer: dict[str, Any] = {
        "v": 1,
        "ok": True,
        "configuration": plain(configured(load(str(file)).config)),
        "file": "/etc/x.conf",
        "files": ["/etc/x.conf"],
        "loaded": 1700000000.0,
        "not_supported": ["/etc/x.conf:3:5: not supported yet: enable_dbus has no effect"],
    }
    path = str(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                answer["asked"] = orjson.loads(client.recv(65536))["command"]
                client.sendall(orjson.dumps({k: v for k, v in answer.items() if k != "asked"}) + b"\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield answer
        thread.join(5)


def test_a_daemon(daemon: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", "--control", str(tmp_path / "control")]) == 0
    out = capsys.readouterr().out
    assert daemon["asked"] == "configuration"
    assert out.startswith("# the running configuration, read from /etc/x.conf at 20")
    assert "# /etc/x.conf:3:5: not supported yet: enable_dbus has no effect\n" in out
    assert out.endswith(f"\n\n{DUMPED}")


def test_a_daemon_of_another_version(
    daemon: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon["configuration"] = {"instances": [{"colour": 1}]}
    assert main(["dump", "--control", str(tmp_path / "control")]) == 3
    assert "of another version" in capsys.readouterr().err
