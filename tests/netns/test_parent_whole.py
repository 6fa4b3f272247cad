"""`fastha run` as an operator runs it, with its real children, on a director of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.netns import Namespace
from fastha.lab.network import Network

FASTHA = (sys.executable, "-m", "fastha.cli")
CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority PRIORITY
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100/24
        10.9.0.101/24
    }
    track_virtual_server {
        10.9.0.100 80
    }
}
virtual_server 10.9.0.100 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 1
    real_server 10.9.0.1 8099 {
        TCP_CHECK {
            connect_timeout 1
            warmup 0
        }
    }
}
"""


class Director:
    def __init__(self, network: Network, folder: Path) -> None:
        self.namespace: Namespace = network.namespace("director")
        network.attach("lan", self.namespace, "eth0", "10.9.0.1/24")
        self.file = folder / "keepalived.conf"
        self.log_file = folder / "log"
        self.control = str(folder / "control.sock")
        self.write(150)
        self.server = self.namespace.popen(
            [sys.executable, "-m", "http.server", "8099", "--bind", "10.9.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[Any]:
        with open(self.log_file, "ab") as log:
            return self.namespace.popen(
                [*FASTHA, "run", "-f", self.file, "--control", self.control, "--dataplane", "none"],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def write(self, priority: int, more: str = "") -> None:
        self.file.write_text(CONF.replace("PRIORITY", str(priority)) + more)

    def addresses(self) -> set[str]:
        links = json.loads(self.namespace.run(["ip", "-4", "-j", "addr", "show", "dev", "eth0"]).stdout)
        return {f"{a['local']}/{a['prefixlen']}" for link in links for a in link["addr_info"]}

    def status(self) -> dict[str, Any]:
        with suppress(NoAnswer):
            return ask(self.control, "status")
        return {}

    def instance(self) -> dict[str, Any]:
        return dict(self.status().get("vrrp", {}).get("instances", {}).get("VI_1", {}))

    def child(self, role: str) -> dict[str, Any]:
        return dict(self.status()["daemon"]["children"][role])

    def master(self) -> bool:
        return self.instance().get("state") == "master" and {"10.9.0.100/24", "10.9.0.101/24"} <= self.addresses()


@pytest.fixture
def director(network: Network, tmp_path: Path) -> Director:
    return Director(network, tmp_path)


def test_the_life_of_a_director(director: Director) -> None:
    need.wait_until(director.master, 15, f"it is master; {director.log_file}")

    # An unchanged reload, a changed one, and a bad one.
    assert ask(director.control, "reload")["outcome"] == "unchanged"
    director.write(160)
    assert ask(director.control, "reload")["outcome"] == "committed"
    need.wait_until(lambda: director.instance()["priority"] == 160, 3, "the new priority holds")
    director.write(170, "virtaul_server 10.9.0.100 81 { }\n")
    answer = ask(director.control, "reload")
    assert answer["outcome"] == "refused"
    assert answer["faults"][0].startswith(f"{director.file}:")
    assert director.instance()["priority"] == 160
    assert {c["restarts"] for c in director.status()["daemon"]["children"].values()} == {0}

    # Each child is killed and stopped: it is replaced, and no address is lost.
    for role in ("checker", "vrrp"):
        for number in (signal.SIGKILL, signal.SIGSTOP):
            pid = director.child(role)["pid"]
            before = time.monotonic()
            os.kill(pid, number)

            def replaced(role: str = role, pid: int = pid) -> bool:
                child = director.child(role)
                assert {"10.9.0.100/24", "10.9.0.101/24"} <= director.addresses()
                return child["state"] == "running" and child["pid"] != pid

            need.wait_until(replaced, 10, f"{role} is replaced")
            print(f"{role}, {number.name}: replaced after {time.monotonic() - before:.2f} s")
    need.wait_until(director.master, 10, "it is master again")

    # The last real server dies: the instance gives its addresses up by itself.
    director.server.kill()
    director.server.wait()
    need.wait_until(lambda: director.instance()["state"] == "fault", 10, "no quorum, no address")
    assert director.addresses() == {"10.9.0.1/24"}

    # For people, and the end.
    shown = subprocess.run([*FASTHA, "status", "--control", director.control], capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "10.9.0.100:80/tcp" in shown.stdout
    assert "VI_1" in shown.stdout
    assert subprocess.run([*FASTHA, "stop", "--control", director.control]).returncode == 0
    assert director.process.wait(5) == 0
    assert director.addresses() == {"10.9.0.1/24"}
    assert not os.path.exists(director.control)


def test_a_missing_privilege_is_one_clear_line(network: Network, tmp_path: Path) -> None:
    namespace = network.namespace("bare")
    file = tmp_path / "keepalived.conf"
    file.write_text(CONF.replace("PRIORITY", "100"))
    tmp_path.chmod(0o755)
    words = [*FASTHA, "run", "-f", str(file), "--control", str(tmp_path / "c")]
    unprivileged = ["setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-net_admin,-net_raw"]
    done = namespace.run([*unprivileged, *words], check=False)
    assert done.returncode == 4
    assert "missing privilege: CAP_NET_ADMIN to add addresses, CAP_NET_RAW to send and receive adverts" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_stop_while_a_child_is_being_replaced_leaves_nothing(director: Director) -> None:
    """Its addresses are in the kernel, and nobody but the replacement can give them up."""
    need.wait_until(director.master, 15, f"it is master; {director.log_file}")
    os.kill(director.child("vrrp")["pid"], signal.SIGKILL)
    director.process.terminate()
    assert director.process.wait(20) == 0
    assert director.addresses() == {"10.9.0.1/24"}, director.log_file.read_text()
