"""Two daemons as an operator runs them, each with a BFD session to its gateway: instances and checks follow the
session, its loss moves mastership long before VRRP's own timer could, and the death of our process is no such loss.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from netns.bfd_peers import Bfd, bfd
from netns.vrrp_director import has_vip

pytestmark = pytest.mark.root

CONF = """
bfd_instance gw {{
    neighbor_ip 10.8.{number}.9
    min_rx 20
    min_tx 20
    multiplier 150
}}
vrrp_instance vi {{
    interface eth0
    virtual_router_id 51
    priority {priority}
    version 3
    advert_int 1
    track_bfd {{
        gw
    }}
    virtual_ipaddress {{
        10.9.0.100
    }}
}}
virtual_server 10.9.0.100 80 {{
    protocol TCP
    real_server 10.8.{number}.9 80 {{
        BFD_CHECK {{
            name gw
        }}
    }}
}}
"""


class Daemon:
    def __init__(self, network: Network, gateway: Namespace, number: int, priority: int) -> None:
        self.namespace = network.namespace(f"d{number}")
        network.attach("lan", self.namespace, "eth0", f"10.9.0.{number}/24")
        self.port = network.attach(f"up{number}", self.namespace, "eth1", f"10.8.{number}.1/24")
        network.attach(f"up{number}", gateway, f"eth{number}", f"10.8.{number}.9/24")
        folder = Path(network.folder, f"d{number}")
        folder.mkdir()
        (folder / "keepalived.conf").write_text(CONF.format(number=number, priority=priority))
        self.control, self.log_file = str(folder / "control"), folder / "log"
        with open(self.log_file, "ab") as log:
            self.process = self.namespace.popen(
                [sys.executable, "-m", "fastha.cli", "run", "-f", folder / "keepalived.conf", "--control",
                 self.control, "--dataplane", "none"],
                stdin=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    def status(self) -> dict[str, Any]:
        try:
            return ask(self.control, "status")
        except (NoAnswer, OSError):
            return {}

    def state(self) -> str:
        return str(self.status().get("vrrp", {}).get("instances", {}).get("vi", {}).get("state"))

    def session(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status().get("bfd", {}).get("sessions", {}).get("gw", {})
        return found

    def health(self) -> str:
        servers = self.status().get("checker", {}).get("virtual_servers", {})
        reals = [real for server in servers.values() for real in server.get("real_servers", {}).values()]
        return " ".join(f"{real.get('health')} {real.get('why')}" for real in reals)

    def until(self, condition: Any, why: str, deadline_s: float = 15) -> None:
        try:
            need.wait_until(condition, deadline_s, why, 0.02)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{json.dumps(self.status(), indent=1)}\n{self.log_file.read_text()}"
            ) from None


def test_mastership_and_health_follow_a_session(network: Network) -> None:
    gateway = network.namespace("gw")
    a, b = Daemon(network, gateway, 1, 150), Daemon(network, gateway, 2, 100)
    sessions = [bfd("one", neighbor_ip="10.8.1.1"), bfd("two", neighbor_ip="10.8.2.1")]
    with Bfd.start(gateway, *sessions) as peer:
        a.until(lambda: a.state() == "master" and has_vip(a.namespace), "a is master")
        b.until(lambda: b.state() == "backup", "b is backup")
        assert a.session()["state"] == "up"
        a.until(lambda: a.health() == "up BFD session is up: gw", "the check knows")
        text = a.namespace.run([sys.executable, "-m", "fastha.cli", "status", "--control", a.control]).stdout
        assert "gw" in text
        assert "10.8.1.9" in text

        # our own process dies: nobody notices
        peer.until(lambda: peer.session("one").get("detection_us") == 3_000_000, "the gateway waits 3 s for us")
        pid = a.status()["daemon"]["children"]["bfd"]["pid"]
        os.kill(pid, signal.SIGKILL)
        a.until(lambda: a.session().get("received", 0) > 0 and a.status()["daemon"]["children"]["bfd"].get("pid") not in
                (None, pid), "it is replaced")  # fmt: skip
        a.until(lambda: a.session()["state"] == "up", "and the session with it", 5)
        marks = a.session()["received"]
        a.until(lambda: a.session()["received"] > marks + 100, "it goes on", 30)
        peer.poll()
        assert peer.session("one")["became_up"] == 1
        assert a.state() == "master"
        log = a.log_file.read_text()
        assert "up, as its predecessor left it" in log
        assert "-> fault" not in log
        assert "up -> down" not in log

        # the gateway is lost to a
        network.unplug(a.port)
        start = time.monotonic()
        b.until(lambda: has_vip(b.namespace), "b has the address", 5)
        took = time.monotonic() - start
        print(f"mastership moved {took * 1000:.0f} ms after the gateway was lost; VRRP alone would take 3609")
        assert took < 2.5
        a.until(lambda: a.state() == "fault", "a is in FAULT")
        assert a.status()["vrrp"]["instances"]["vi"]["faults"] == ["BFD session gw is down"]
        a.until(lambda: a.health() == "down BFD session is down: gw", "the check too")
        assert not has_vip(a.namespace)

        # and found again
        network.plug(a.port)
        a.until(lambda: a.state() == "master", "a is master again")
        a.until(lambda: a.health() == "up BFD session is up: gw", "the check again")
        b.until(lambda: b.state() == "backup" and not has_vip(b.namespace), "b is not")

        a.process.terminate()
        assert a.process.wait(10) == 0
        peer.until_state("down", "one", 5)
        assert peer.session("one")["diag"] == 3, "its admin-down was heard"
