"""Scripts, files and FIFOs through the whole daemon with its real children, on a director of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.errors import FasthaError
from fastha.lab.network import Network

FASTHA = (sys.executable, "-m", "fastha.cli")
CONF = """
global_defs {
    startup_script "/bin/sh -c 'echo startup >> FOLDER/order'"
    shutdown_script "/bin/sh -c 'echo shutdown >> FOLDER/order'"
    notify_fifo FOLDER/all.fifo
    notify_fifo_script FOLDER/listen
    lvs_notify_fifo FOLDER/lvs.fifo
}
track_file load {
    file FOLDER/load
    weight 1
    init_file 3
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100/24
    }
    notify_backup "/bin/sh -c 'echo backup >> FOLDER/order'"
    notify_master "/bin/sh -c 'echo master >> FOLDER/order'"
    notify_stop "/bin/sh -c 'echo stop >> FOLDER/order'"
    notify "/bin/sh -c 'echo any $* >> FOLDER/order' x first"
}
virtual_server 10.9.0.100 80 {
    protocol TCP
    lb_algo wrr
    lb_kind NAT
    delay_loop 0.1
    panic_threshold 60
    omega
    real_server 10.9.0.1 8001 {
        weight 10
        MISC_CHECK {
            misc_path "/bin/sh -c '. FOLDER/misc'"
            misc_dynamic
            warmup 0
        }
        FILE_CHECK {
            track_file load
        }
    }
    real_server 10.9.0.1 8002 {
        MISC_CHECK {
            misc_path "/bin/sh -c '. FOLDER/misc2'"
            misc_timeout 5
            warmup 0
        }
    }
}
"""
FIRST, SECOND = "10.9.0.1:8001", "10.9.0.1:8002"
VS = "10.9.0.100:80/tcp"


class Daemon:
    def __init__(self, network: Network, folder: Path) -> None:
        self.namespace = network.namespace("director")
        network.attach("lan", self.namespace, "eth0", "10.9.0.1/24")
        self.folder = folder
        self.control = str(folder / "control.sock")
        self.misc(0)
        self.misc2(0)
        listen = folder / "listen"
        listen.write_text(f"#!/bin/sh\nexec cat $1 > {folder}/heard\n")
        listen.chmod(0o755)
        (folder / "keepalived.conf").write_text(CONF.replace("FOLDER", str(folder)))
        with open(folder / "log", "wb") as log:
            self.process: subprocess.Popen[Any] = self.namespace.popen(
                [*FASTHA, "run", "-f", folder / "keepalived.conf", "--control", self.control, "--dataplane", "none"],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def misc(self, status: int) -> None:
        (self.folder / "misc").write_text(f"echo the answer is {status}; exit {status}\n")

    def misc2(self, status: int) -> None:
        (self.folder / "misc2").write_text(f"exit {status}\n")

    def status(self) -> dict[str, Any]:
        with suppress(NoAnswer):
            return ask(self.control, "status")
        return {}

    def server(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status().get("checker", {}).get("virtual_servers", {}).get(VS, {})
        return found

    def real(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server().get("real_servers", {}).get(key, {})
        return found

    def lines(self) -> list[bytes]:
        return (self.folder / "heard").read_bytes().replace(b"\n\0", b"\0\n").splitlines()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def daemon(network: Network, tmp_path: Path) -> Iterator[Daemon]:
    it = Daemon(network, tmp_path)
    yield it
    it.close()


def test_a_day_of_scripts_and_files(daemon: Daemon) -> None:
    folder = daemon.folder
    need.wait_until(lambda: daemon.real(FIRST).get("weight") == 13, 20, "10, and 3 from the file")
    assert (folder / "load").read_text() == "3\n"
    assert daemon.real(FIRST)["weight_from"] == "check"
    daemon.misc(7)
    need.wait_until(lambda: daemon.real(FIRST).get("in_table") == 8, 10, "5 by the script, and 3")
    (folder / "load").write_text("-2\n")
    need.wait_until(lambda: daemon.real(FIRST).get("in_table") == 3, 10, "5, less 2")
    daemon.misc2(1)
    need.wait_until(lambda: daemon.real(SECOND).get("health") == "down", 10, "the second fails")
    daemon.misc(1)
    need.wait_until(lambda: daemon.server().get("panic"), 10, "both: that is panic")
    need.wait_until(
        lambda: all("in_table" in daemon.real(key) for key in (FIRST, SECOND)), 5, f"both are in: {daemon.server()}"
    )
    need.wait_until(lambda: daemon.real(FIRST)["kept"] == "panic", 5, "it is said of each")
    assert "exit status 1: the answer is 1" in daemon.real(FIRST)["why"]
    with pytest.raises(FasthaError, match="no virtual server nonsense"):
        ask(daemon.control, "accept", 5, {"virtual_servers": ["nonsense"]})
    assert ask(daemon.control, "accept", 5, {"virtual_servers": ["10.9.0.100"]})["accepted"] == [
        {"virtual_server": VS, "kept": 2}
    ]
    need.wait_until(lambda: daemon.server().get("up") is False, 5, "they fall")
    daemon.misc(0)
    need.wait_until(lambda: daemon.server().get("up") is True, 10, "it comes back")
    checker = daemon.status()["daemon"]["children"]["checker"]["pid"]
    os.kill(checker, signal.SIGKILL)

    def replaced() -> bool:
        child = daemon.status()["daemon"]["children"]["checker"]
        return bool(child["state"] == "running" and child["pid"] != checker)

    need.wait_until(replaced, 10, "a replacement")
    need.wait_until(lambda: daemon.real(FIRST).get("health") == "up", 10, "it goes on")
    assert (folder / "load").read_text() == "-2\n", "init_file is for the start of the daemon"
    fifos = {fifo["what"]: fifo for fifo in daemon.status()["daemon"]["fifos"]}
    assert fifos["lvs"]["written"] >= 7
    assert not any(fifo["dropped"] for fifo in fifos.values())
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(15) == 0
    order = (folder / "order").read_text().splitlines()
    said = [f"any first INSTANCE VI_1 {state} 150" for state in ("BACKUP", "MASTER", "STOP")]
    assert order == [
        "startup", "backup", said[0], "master", said[1], "stop", said[2], "shutdown",
    ]  # fmt: skip
    rs = b"RS [10.9.0.1]:tcp:%d [10.9.0.100]:tcp:80 %s\0"
    vs = b"VS [10.9.0.100]:tcp:80 %s\0"
    lines = daemon.lines()
    assert [line for line in lines if line.startswith(b"INSTANCE")] == [
        b'INSTANCE "VI_1" BACKUP 150', b'INSTANCE "VI_1" MASTER 150', b'INSTANCE "VI_1" STOP 150',
    ]  # fmt: skip
    assert [line for line in lines if not line.startswith(b"INSTANCE")] == [
        vs % b"UP",  # it begins so
        rs % (8002, b"DOWN"),
        rs % (8002, b"UP"),  # panic brings it back
        rs % (8002, b"DOWN"),  # accepted: in the order in which they failed
        rs % (8001, b"DOWN"),
        vs % b"DOWN",
        rs % (8001, b"UP"),
        vs % b"UP",
        rs % (8001, b"DOWN"),  # omega
        vs % b"DOWN",
    ]
    left = {path.name for path in folder.iterdir()}
    assert not left & {"all.fifo", "lvs.fifo"}
