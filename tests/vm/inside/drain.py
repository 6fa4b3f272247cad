"""Draining a server under real IPVS: weight 0 while a download runs, gone after it. Seen by ipvsadm and curl."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network
from vm import guest, nginx

guest.only_inside()

VS = "10.1.0.100:80/tcp"
CONF = """
virtual_server 10.1.0.100 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 1
    real_server 10.2.0.11 8080 {
        weight 3
        TCP_CHECK {
            connect_timeout 2
            warmup 0
        }
    }
    real_server 10.2.0.12 8080 {
        weight 3
        TCP_CHECK {
            connect_timeout 2
            warmup 0
        }
    }
}
"""
SERVICE = "-A -t 10.1.0.100:80 -s rr"
HOSTS = {"real1": "10.2.0.11", "real2": "10.2.0.12"}
# Sent a little at a time, so that the download lasts until the client has enough: minutes at 20 kB/s.
SLOW = "location /big { root %s; limit_rate 20k; }"


def row(ip: str, weight: int) -> str:
    return f"-a -t 10.1.0.100:80 -r {ip}:8080 -m -w {weight}"


class Site:
    def __init__(self, network: Network, folder: Path) -> None:
        self.client, self.director = network.namespace("client"), network.namespace("director")
        network.attach("lan", self.client, "eth0", "10.1.0.10/24")
        network.attach("lan", self.director, "front", "10.1.0.1/24", "10.1.0.100/32")
        network.attach("farm", self.director, "back", "10.2.0.1/24")
        self.director.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        self.servers: list[nginx.Server] = []
        for name, ip in HOSTS.items():
            host = network.namespace(name)
            network.attach("farm", host, "eth0", f"{ip}/24")
            host.ip("route add default via 10.2.0.1")
            (folder / name).mkdir()
            (folder / name / "big").write_bytes(bytes(10_000_000))
            slow = SLOW % (folder / name)
            self.servers.append(nginx.Server(folder / name, host.name, name, 8080, slow))
        self.file, self.control, self.log = folder / "keepalived.conf", str(folder / "control.sock"), folder / "log"
        self.file.write_text(CONF)
        with self.log.open("ab") as log:
            self.daemon = self.director.popen(
                [sys.executable, "-m", "fastha.cli", "run", "-f", self.file, "--control", self.control],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def rows(self) -> set[str]:
        done = self.director.run(["ipvsadm", "-S", "-n"])
        return {line.strip() for line in done.stdout.splitlines()}

    def told(self, ip: str) -> dict[str, Any]:
        try:
            servers = ask(self.control, "status").get("checker", {}).get("virtual_servers", {})
        except NoAnswer:
            return {}
        return dict(servers.get(VS, {}).get("real_servers", {}).get(f"{ip}:8080", {}))

    def decide(self, action: str, *real_servers: str) -> None:
        fields = {"action": action, "virtual_servers": [VS], "real_servers": list(real_servers)}
        ask(self.control, "override", 30, fields)

    def curls(self, times: int) -> set[str]:
        script = f"for i in $(seq {times}); do curl -s --max-time 5 http://10.1.0.100/ || echo failed; done"
        return {line.split()[0] for line in self.client.run(["sh", "-c", script]).stdout.splitlines()}

    def until(self, condition: Any, why: str, deadline_s: float = 30) -> None:
        need.wait_until(condition, deadline_s, f"{why}\n{self.log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Network() as network:
        site = Site(network, tmp_path_factory.mktemp("drain"))
        site.until(lambda: all(site.told(ip).get("health") == "up" for ip in HOSTS.values()), "both are up", 60)
        yield site
        for server in site.servers:
            server.close()
        site.daemon.terminate()
        site.daemon.wait(20)


def shown(site: Site) -> dict[str, Any]:
    """The first server, as `fastha status --json` has it."""
    command = [sys.executable, "-m", "fastha.cli", "status", "--json", "--control", site.control]
    answer = json.loads(site.director.run(command).stdout)
    return dict(answer["checker"]["virtual_servers"][VS]["real_servers"]["10.2.0.11:8080"])


@pytest.fixture(autouse=True)
def nothing_decided(site: Site) -> None:
    with suppress(NoAnswer):  # there is nothing to forget
        site.decide("forget", "*")
    both = {SERVICE, *(row(ip, 3) for ip in HOSTS.values())}
    site.until(lambda: site.rows() == both, "both serve")


def test_a_download_outlives_the_drain_of_its_server(site: Site, tmp_path: Path) -> None:
    before, got = {ip: connections(site, ip) for ip in HOSTS.values()}, tmp_path / "big"
    curl = site.client.popen(["curl", "-s", "-N", "-o", got, "http://10.1.0.100/big"])
    try:
        site.until(lambda: any(connections(site, ip) > before[ip] for ip in before), "the kernel counts it as active")
        busy = next(ip for ip in before if connections(site, ip) > before[ip])
        (other,) = set(HOSTS.values()) - {busy}
        site.decide("drain", busy)
        site.until(lambda: site.rows() == {SERVICE, row(busy, 0), row(other, 3)}, "its weight is 0, its row stays")
        site.until(lambda: site.told(busy).get("active", 0) >= 1, "and its connection is told")
        name = next(name for name, ip in HOSTS.items() if ip == other)
        assert site.curls(6) == {name}, "new connections go elsewhere"
        size = got.stat().st_size
        site.until(lambda: got.stat().st_size > size, "the download goes on")
        assert site.rows() == {SERVICE, row(busy, 0), row(other, 3)}
        assert curl.poll() is None
    finally:
        curl.kill()
        curl.wait(20)
    site.until(lambda: site.rows() == {SERVICE, row(other, 3)}, "it is out after the download")
    site.until(lambda: site.told(busy)["override"].get("ended") == "no connection was active", "and says why")
    site.decide("enable", busy)
    site.until(lambda: site.rows() == {SERVICE, row(busy, 3), row(other, 3)}, "and comes back")


def test_weight_and_disable_are_exact(site: Site) -> None:
    one, other = HOSTS.values()
    ask(
        site.control, "override", 30, {"action": "weight", "weight": 9, "virtual_servers": ["*"], "real_servers": [one]}
    )
    site.until(lambda: site.rows() == {SERVICE, row(one, 9), row(other, 3)}, "the weight")
    site.decide("disable", one)
    site.until(lambda: site.rows() == {SERVICE, row(other, 3)}, "out")
    site.decide("forget", "*")
    site.until(lambda: site.rows() == {SERVICE, row(one, 3), row(other, 3)}, "as configured")


def test_resync_repairs_at_once(site: Site) -> None:
    whole = site.rows()
    assert ask(site.control, "resync", 30)["operations"] == 0
    site.director.run(["ipvsadm", "-C"])
    done = ask(site.control, "resync", 30)
    assert done["operations"] in (3, 0), "0: the periodic comparison was just due"
    assert done["operations"] == 0 or VS.removesuffix("/tcp") in done["text"]
    assert site.rows() == whole


def connections(site: Site, ip: str) -> int:
    """ActiveConn of ipvsadm -Ln."""
    for line in site.director.run(["ipvsadm", "-Ln"]).stdout.splitlines():
        if f"{ip}:8080" in line:
            return int(line.split()[4])
    return 0


def test_active_connections_are_shown_of_what_does_not_drain(site: Site) -> None:
    """Read off the kernel by the command itself; the daemon is in a network namespace that is not the command's."""
    assert shown(site)["active"] == 0
    url = "http://10.1.0.100/big"
    downloads = [site.client.popen(["curl", "-s", "-o", "/dev/null", url], stdout=subprocess.DEVNULL) for _ in range(4)]
    try:
        site.until(lambda: shown(site)["active"] == 2, "half of the downloads are seen")
        elsewhere = subprocess.run(
            [sys.executable, "-m", "fastha.cli", "vs", "show", VS, "--json", "--control", site.control],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        real = json.loads(elsewhere.stdout)["virtual_servers"][VS]["real_servers"]
        assert [one["active"] for one in real.values()] == [2, 2]
    finally:
        for download in downloads:
            download.kill()
            download.wait()
