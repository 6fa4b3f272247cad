"""The whole daemon on a real IPVS kernel: what it keeps in the table, seen by ipvsadm and by a client's curl.

    client 10.1.0.10 --- 10.1.0.1 director 10.2.0.1 --- 10.2.0.11 real1
                                                   \\-- 10.2.0.12 real2
The director gains the service address 10.1.0.100 and the real servers' gateway 10.2.0.254 by VRRP.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network
from vm import guest, nginx

guest.only_inside()

CONF = """
vrrp_instance front {
    interface front
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.1.0.100/24
    }
}
vrrp_instance back {
    interface back
    virtual_router_id 52
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.2.0.254/24
    }
}
virtual_server 10.1.0.100 80 {
    protocol TCP
    lb_algo wrr
    lb_kind NAT
    delay_loop 1
    real_server 10.2.0.11 8080 {
        weight 1
        HTTP_GET {
            url {
                path /
                status_code 200
            }
            connect_timeout 2
            delay_before_retry 0.5
            warmup 0
        }
    }
    real_server 10.2.0.12 8080 {
        weight 2
        TCP_CHECK {
            connect_timeout 2
            delay_before_retry 0.5
            warmup 0
        }
    }
}
"""
SERVICE = "-A -t 10.1.0.100:80 -s wrr"
BOTH = {
    SERVICE,
    "-a -t 10.1.0.100:80 -r 10.2.0.11:8080 -m -w 1",
    "-a -t 10.1.0.100:80 -r 10.2.0.12:8080 -m -w 2",
}
HOSTS = {"real1": "10.2.0.11", "real2": "10.2.0.12"}


class Site:
    """The director, its real servers and its client."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.folder = folder
        self.client, self.director = network.namespace("client"), network.namespace("director")
        network.attach("lan", self.client, "eth0", "10.1.0.10/24")
        network.attach("lan", self.director, "front", "10.1.0.1/24")
        network.attach("farm", self.director, "back", "10.2.0.1/24")
        self.director.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        self.hosts = {name: network.namespace(name) for name in HOSTS}
        self.servers: dict[str, nginx.Server] = {}
        for name, ip in HOSTS.items():
            network.attach("farm", self.hosts[name], "eth0", f"{ip}/24")
            self.hosts[name].ip("route add default via 10.2.0.254")
            self.servers[name] = nginx.Server(folder / name, self.hosts[name].name, name, 8080)
        self.file = folder / "keepalived.conf"
        self.file.write_text(CONF)
        self.control = str(folder / "control.sock")
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.daemon = self.director.popen(
                [sys.executable, "-m", "fastha.cli", "run", "-f", self.file, "--control", self.control],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def rows(self) -> set[str]:
        """The kernel's table in ipvsadm's own words."""
        done = self.director.run(["ipvsadm", "-S", "-n"])
        return {line.strip() for line in done.stdout.splitlines()}

    def status(self) -> dict[str, Any]:
        try:
            return ask(self.control, "status")
        except NoAnswer:
            return {}

    def health(self) -> dict[str, str]:
        servers = self.status().get("checker", {}).get("virtual_servers", {}).get("10.1.0.100:80/tcp", {})
        return {key: server["health"] for key, server in servers.get("real_servers", {}).items()}

    def child(self, role: str) -> dict[str, Any]:
        return dict(self.status().get("daemon", {}).get("children", {}).get(role, {}))

    def until(self, condition: Any, why: str, deadline_s: float = 30) -> None:
        need.wait_until(condition, deadline_s, f"{why}\n{self.log.read_text()[-3000:]}", 0.1)

    def curls(self, times: int) -> Counter[str]:
        """What the client's curl got, by answer."""
        script = f"for i in $(seq {times}); do curl -s --max-time 5 http://10.1.0.100/ || echo failed; done"
        return Counter(self.client.run(["sh", "-c", script]).stdout.splitlines())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Network() as network:
        site = Site(network, tmp_path_factory.mktemp("director"))
        site.until(lambda: site.health() == {"10.2.0.11:8080": "up", "10.2.0.12:8080": "up"}, "both are up", 60)
        yield site
        for server in site.servers.values():
            server.close()


def test_the_table_is_exactly_what_is_wanted(site: Site) -> None:
    assert site.rows() == BOTH
    assert site.status()["checker"]["dataplane"]["backend"] == "ipvs", "auto picks the kernel's own balancer"
    assert site.status()["checker"]["dataplane"]["operations"] == 3, "a service and two destinations"


def test_curl_goes_through_ipvs_to_nginx(site: Site) -> None:
    assert site.curls(6) == {"real1 for 10.1.0.10": 2, "real2 for 10.1.0.10": 4}


def test_a_killed_server_leaves_the_table_and_comes_back(site: Site) -> None:
    site.servers["real2"].kill()
    left = BOTH - {"-a -t 10.1.0.100:80 -r 10.2.0.12:8080 -m -w 2"}
    site.until(lambda: site.rows() == left, "the dead server is out of the table")
    assert site.curls(3) == {"real1 for 10.1.0.10": 3}
    site.servers["real2"].revive()
    site.until(lambda: site.rows() == BOTH, "the revived server is back")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_checker_that_dies_changes_nothing_in_the_table(site: Site, number: signal.Signals) -> None:
    site.until(lambda: site.child("checker").get("state") == "running", "it runs")
    assert sum(site.curls(3).values()) == 3
    connections = stats(site)
    pid = site.child("checker")["pid"]
    os.kill(pid, number)

    def replaced() -> bool:
        assert site.rows() == BOTH, "not one row was missing at any time"
        child = site.child("checker")
        return child.get("state") == "running" and child["pid"] != pid

    site.until(replaced, "it is replaced")
    site.until(lambda: set(site.health().values()) == {"up"}, "and has checked")
    assert site.rows() == BOTH
    assert site.status()["checker"]["dataplane"]["operations"] == 0, "the replacement had nothing to write"
    assert stats(site) >= connections, "rows that are right are not touched: their counters survive"


def stats(site: Site) -> int:
    """Connections the kernel has counted for the service; a row that is deleted and added starts at 0."""
    lines = site.director.run(["ipvsadm", "-Ln", "--stats", "--exact"]).stdout.splitlines()
    return int(next(line for line in lines if line.startswith("TCP")).split()[2])


def test_somebody_clears_the_table_and_it_is_repaired(site: Site) -> None:
    site.director.run(["ipvsadm", "-C"])
    site.until(lambda: site.rows() == BOTH, "the next period has repaired it")
    site.until(lambda: site.status()["checker"]["dataplane"]["drift"] >= 3, "and said so")


def test_stop_leaves_nothing(site: Site) -> None:
    site.daemon.terminate()
    assert site.daemon.wait(20) == 0, site.log.read_text()
    assert site.rows() == set()
    assert "10.1.0.100" not in site.director.run(["ip", "addr"]).stdout
