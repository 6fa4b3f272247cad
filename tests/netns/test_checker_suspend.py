"""ha_suspend in a real network namespace: checks run while this host has the address, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from need import wait_until

CONF = """
virtual_server {vip} 80 {{
    delay_loop 0.1
    warmup 0
    ha_suspend
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server {real} 9 {{
        TCP_CHECK {{
            connect_timeout 1
            retry 0
        }}
    }}
}}
"""


@pytest.fixture
def space(network: Network) -> Namespace:
    need.kernel("veth")
    space = network.namespace("suspend")
    space.ip("link set lo up", "link add v0 type veth peer name v1", "link set v0 up", "link set v1 up")
    return space


class Checker:
    def __init__(self, space: Namespace, folder: Path, vip: str, real: str) -> None:
        conf = folder / "keepalived.conf"
        conf.write_text(CONF.format(vip=vip, real=real))
        self._log = folder / "log"
        with open(self._log, "wb") as out:
            argv = [sys.executable, "-m", "fastha.checker", "-f", str(conf), "--dataplane", "none"]
            self.process: subprocess.Popen[Any] = space.popen(argv, stderr=out)

    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize(("vip", "prefix", "real"), [("10.66.0.1", 32, "127.0.0.1"), ("fd66::1", 128, "::1")])
def test_checks_follow_the_address(space: Namespace, tmp_path: Path, vip: str, prefix: int, real: str) -> None:
    checker = Checker(space, tmp_path, vip, real)
    try:
        space.ip("addr add 10.66.0.9/32 dev v0")  # another address is none of its business
        nodad = " nodad" if ":" in vip else ""
        wait_until(lambda: checker.process.poll() is not None or listening(space), 15, "the checker listens")
        assert "down" not in checker.log()  # the closed port would be noticed within a tenth of a second
        space.ip(f"addr add {vip}/{prefix} dev v0{nodad}")
        wait_until(lambda: "checks go on" in checker.log(), 10, "the address is seen")
        wait_until(lambda: "connection refused" in checker.log(), 10, "the checks run")
        assert checker.log().index("checks go on") < checker.log().index("connection refused")
        space.ip(f"addr del {vip}/{prefix} dev v0")
        wait_until(lambda: "no checks" in checker.log(), 10, "the address is gone")
    finally:
        checker.close()


def listening(space: Namespace) -> bool:
    """Whether a route netlink socket of the checker is subscribed."""
    table = space.run(["cat", "/proc/net/netlink"]).stdout
    return any(row.split()[1] == "0" and int(row.split()[3], 16) & 0x100 for row in table.splitlines()[1:])


def test_an_address_that_is_here_from_the_beginning(space: Namespace, tmp_path: Path) -> None:
    space.ip("addr add 10.66.0.1/32 dev v0")
    checker = Checker(space, tmp_path, "10.66.0.1", "127.0.0.1")
    try:
        wait_until(lambda: "connection refused" in checker.log(), 15, "the checks run")
    finally:
        checker.close()
