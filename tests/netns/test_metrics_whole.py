"""`fastha metrics` beside a real daemon: another process, another user, nothing of its privilege."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network

FASTHA = (sys.executable, "-m", "fastha.cli")
CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100/24
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
            retry 0
        }
    }
}
"""
CAP_NET_ADMIN = 12


class Site:
    def __init__(self, network: Network, folder: Path) -> None:
        self.director = network.namespace("director")
        network.attach("lan", self.director, "eth0", "10.9.0.1/24")
        self.control = f"{folder}/control.sock"
        (folder / "conf").write_text(CONF)
        self.daemon = self.director.popen(
            [*FASTHA, "run", "-f", folder / "conf", "--control", self.control, "--dataplane", "none"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.exporter = self.director.popen(
            [*FASTHA, "metrics", "--listen", "127.0.0.1:9650", "--control", self.control, "--user", "nobody"],
            stderr=subprocess.DEVNULL,
        )

    def scrape(self, *options: str) -> str:
        done = self.director.run(
            ["curl", "-sS", "--max-time", "20", *options, "http://127.0.0.1:9650/metrics"], check=False
        )
        return str(done.stdout)

    def steward(self) -> int:
        return int(Path(f"/proc/{self.exporter.pid}/task/{self.exporter.pid}/children").read_text().split()[0])


@pytest.fixture
def site(network: Network, tmp_path: Path) -> Iterator[Site]:
    need.tool("curl")
    need.passable(tmp_path)
    return Site(network, tmp_path)


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def field(pid: int, name: str) -> list[str]:
    found = re.search(rf"^{name}:[ \t]*(.*)$", status(pid), re.M)
    assert found
    return found[1].split()


def running(control: str) -> bool:
    try:
        return bool(ask(control, "status")["daemon"]["state"] == "running")
    except NoAnswer:
        return False


def test_a_scrape_follows_the_daemon(site: Site) -> None:
    need.wait_until(lambda: running(site.control), 60, "the daemon runs")

    need.wait_until(lambda: re.search(r"^keepalived_vrrp_state\{.*VI_1.*\} 2\.0$", site.scrape(), re.M), 60, "master")
    down = 'fastha_real_server_up{real_server="10.9.0.1:8099",virtual_server="10.9.0.100:80/tcp"} 0.0'
    need.wait_until(lambda: down in site.scrape(), 60, "the server that does not exist is down")
    assert site.scrape("-H", "Accept: application/openmetrics-text; version=1.0.0").endswith("# EOF\n")
    assert 'fastha_child_up{role="vrrp"} 1.0' in site.scrape()
    site.daemon.send_signal(signal.SIGTERM)
    site.daemon.wait(60)
    need.wait_until(lambda: "keepalived_up 0.0" in site.scrape(), 60, "the exporter says that nobody answers")


def test_it_has_no_privilege(site: Site) -> None:
    need.wait_until(lambda: "keepalived_up" in site.scrape(), 60, "it serves")
    pid = site.exporter.pid
    assert set(field(pid, "Uid")) == set(field(site.steward(), "Uid")) != {"0"}
    assert field(pid, "Groups") == []
    for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        assert int(field(pid, name)[0], 16) == 0
    assert int(field(site.steward(), "CapPrm")[0], 16) == 1 << CAP_NET_ADMIN
    assert field(pid, "NoNewPrivs") == field(site.steward(), "NoNewPrivs") == ["1"]


def test_the_steward_ends_with_it(site: Site) -> None:
    need.wait_until(lambda: "keepalived_up" in site.scrape(), 60, "it serves")
    steward = site.steward()
    site.exporter.kill()
    site.exporter.wait(30)
    need.wait_until(lambda: not Path(f"/proc/{steward}/cmdline").exists(), 30, "the steward has ended")


def test_another_address_is_refused() -> None:
    done = subprocess.run(
        [*FASTHA, "metrics", "--listen", "0.0.0.0:9650"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "0.0.0.0 is not loopback" in done.stderr
