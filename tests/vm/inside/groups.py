"""A virtual_server_group on a real IPVS kernel: ranges, single addresses, a firewall mark and IPv6, as curl sees them.

    client 10.1.0.10, fd01::10 --- lan --- director 10.1.0.1, fd01::1 --- farm --- far1, far2 (10.2.0.11, .12)

The director has all addresses of the group; real servers are reached by NAT and answer through it.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network
from fastha.lab.wait import Waited
from vm import guest, nginx

guest.only_inside()

FAR = {"far1": "10.2.0.11", "far2": "10.2.0.12"}
RANGE = [f"10.1.0.{host}" for host in range(101, 106)]
SINGLE = "10.1.0.110"
MARKED = "10.1.0.120"  # what goes there gets firewall mark 9
LOOK_S = 0.2  # not more often: each look is two programs, which take the only CPU from what is waited for
GROUP = f"""
virtual_server_group web {{
    {RANGE[0]}-{RANGE[-1].rpartition(".")[2]} 80
    {SINGLE} 8080
    fwmark 9
}}
"""
SERVICES = {f"-t {ip}:80" for ip in RANGE} | {f"-t {SINGLE}:8080", "-f 9"}


def server(name: str) -> str:
    lines = [f"virtual_server group {name} {{", "protocol TCP", "lb_algo rr", "lb_kind NAT", "delay_loop 1"]
    for ip in FAR.values():
        lines += [f"real_server {ip} 8080 {{", "TCP_CHECK {\nconnect_timeout 2\nretry 0\nwarmup 0\n}", "}"]
    return "\n".join([*lines, "}\n"])


class Site:
    """The director with its daemon, two real servers and a client. `head`: what the file begins with."""

    def __init__(self, network: Network, folder: Path, head: str = "") -> None:
        self.head = head
        self.client, self.director = network.namespace("client"), network.namespace("director")
        network.attach("lan", self.client, "eth0", "10.1.0.10/24")
        network.attach("lan", self.director, "front", *(f"{ip}/24" for ip in ["10.1.0.1", *RANGE, SINGLE, MARKED]))
        network.attach("farm", self.director, "back", "10.2.0.1/24")
        self.director.sysctl("net.ipv4.ip_forward", 1)
        self.director.run(["tc", "qdisc", "add", "dev", "front", "clsact"])
        self.director.run(
            ["tc", "filter", "add", "dev", "front", "ingress", "protocol", "ip", "flower", "dst_ip", f"{MARKED}/32",
             "action", "skbedit", "mark", "9"]
        )  # fmt: skip
        self.servers: dict[str, nginx.Server] = {}
        for name, ip in FAR.items():
            host = network.namespace(name)
            network.attach("farm", host, "eth0", f"{ip}/24")
            host.ip("route add default via 10.2.0.1")
            self.servers[name] = nginx.Server(folder / name, host.name, name, 8080)
        self.file = folder / "keepalived.conf"
        self.control = str(folder / "control.sock")
        self.log = folder / "log"
        self.write(GROUP)
        with self.log.open("ab") as log:
            self.daemon = self.director.popen(
                [sys.executable, "-m", "fastha.cli", "run", "-f", self.file, "--control", self.control],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def write(self, group: str) -> None:
        self.file.write_text(self.head + group + server("web"))

    def table(self) -> dict[str, set[str]]:
        """{service as ipvsadm names it: its real servers}"""
        found: dict[str, set[str]] = {}
        for line in self.director.run(["ipvsadm", "-Sn"]).stdout.splitlines():
            verb, *words = line.split()
            dests = found.setdefault(" ".join(words[:2]), set())
            if verb == "-a":
                dests.add(words[3])
        return found

    def is_whole(self, services: set[str] = SERVICES, names: tuple[str, ...] = tuple(FAR)) -> bool:
        """Every service is there, with these real servers in it."""
        return self.table() == {key: {f"{FAR[n]}:8080" for n in names} for key in services}

    def healthy(self) -> bool:
        try:
            servers = ask(self.control, "status").get("checker", {}).get("virtual_servers", {})
        except NoAnswer:
            return False
        return [rs["health"] for vs in servers.values() for rs in vs["real_servers"].values()] == ["up", "up"]

    def until(self, condition: object, why: str, deadline_s: float = 30) -> None:
        try:
            need.wait_until(condition, deadline_s, why, LOOK_S)  # type: ignore[arg-type]
        except Waited as error:
            error.add_note(f"{self.table()}\n{self.log.read_text()[-3000:]}")
            raise

    def curls(self, *places: str) -> Counter[str]:
        """Who answered a request to each of `places` (ip:port)."""
        calls = [f"curl -gs --max-time 5 http://{place}/ || echo failed" for place in places]
        answers = self.client.run(["sh", "-c", "; ".join(calls)], timeout_s=60).stdout.splitlines()
        return Counter(line.split()[0] for line in answers)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Network() as network, ExitStack() as stack:
        site = Site(network, tmp_path_factory.mktemp("groups"))
        for web in site.servers.values():
            stack.callback(web.close)
        site.until(site.healthy, "all are up", 60)
        yield site


def test_every_member_is_a_service_with_the_same_real_servers(site: Site) -> None:
    assert site.is_whole(), site.table()


def test_each_address_and_the_mark_are_served(site: Site) -> None:
    for place in (f"{RANGE[0]}:80", f"{RANGE[-1]}:80", f"{SINGLE}:8080", f"{MARKED}:80", f"{MARKED}:443"):
        assert site.curls(place, place, place, place) == {"far1": 2, "far2": 2}, place
    assert site.curls(f"{SINGLE}:80") == {"failed": 1}, "the port of a member is its own"


def test_one_health_for_all_members(site: Site) -> None:
    site.servers["far2"].kill()
    site.until(lambda: site.is_whole(names=("far1",)), "it is out of every service")
    assert site.curls(f"{RANGE[1]}:80", f"{SINGLE}:8080", f"{MARKED}:80") == {"far1": 3}
    site.servers["far2"].revive()
    site.until(site.is_whole, "and back")


def test_a_reload_takes_and_gives_members(site: Site) -> None:
    site.write(GROUP.replace(f"{RANGE[0]}-", f"{RANGE[1]}-").replace(f"{SINGLE} 8080", f"{SINGLE} 80"))
    assert ask(site.control, "reload", 10)["ok"]
    services = {f"-t {ip}:80" for ip in [*RANGE[1:], SINGLE]} | {"-f 9"}
    site.until(lambda: site.is_whole(services), "as the new file says")
    assert site.curls(f"{SINGLE}:80", f"{SINGLE}:80") == {"far1": 1, "far2": 1}


def test_stop_leaves_nothing(site: Site) -> None:
    site.daemon.terminate()
    assert site.daemon.wait(20) == 0, site.log.read_text()
    assert site.table() == {}
