"""Every way to forward, carried by the whole daemon on a real IPVS kernel, as a client's curl sees it.

    client 10.1.0.10-.17, fd01::10 --- lan --- director (10.1.0.1, fd01::1)
                                        |         |
      near1, near2 (10.1.0.31, .32) ----+       farm --- far1, far2, far3 (10.2.0.11 ...)

The director gains the IPv4 service addresses by VRRP; the IPv6 ones are simply there.
Far real servers are reached by NAT and answer through the director. Near ones have the service addresses themselves
(DR: on lo; TUN: on the tunnel's end), do not tell anybody (arp_ignore, arp_announce), and answer the client directly.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.lab.wait import Waited
from vm import guest, nginx

guest.only_inside()

CLIENTS = [f"10.1.0.{host}" for host in range(10, 18)]
FAR = {"far1": "10.2.0.11", "far2": "10.2.0.12"}
NEAR = {"near1": "10.1.0.31", "near2": "10.1.0.32"}
FAR6 = {"far1": "fd02::11", "far2": "fd02::12"}
NEAR6 = {"near1": "fd01::31", "near2": "fd01::32"}
MARKED = "10.1.0.120"  # what goes there gets firewall mark 7
GUE_PORT = 6080
LOOK_S = 0.2  # not more often: each look is two programs, which take the only CPU from what is waited for


@dataclass(frozen=True)
class Case:
    """One virtual server: how the file says it, and how ipvsadm says it."""

    at: str  # "10.1.0.100 80" or "fwmark 7"
    servers: dict[str, str]
    port: int
    kind: str = "NAT"
    algo: str = "rr"
    lines: tuple[str, ...] = ()
    each: tuple[str, ...] = ()  # lines of every real server
    protocol: str = "TCP"
    said: str = ""  # words of the service's line after the scheduler
    options: str = ""  # words of lvs_method after the kind
    tunnel: str = ""  # words after the weight of a destination behind a tunnel

    def text(self) -> str:
        check = "TCP_CHECK {\nconnect_timeout 2\nretry 1\ndelay_before_retry 0.5\nwarmup 0\n}"
        own = [*self.each, *([check] if self.protocol == "TCP" else [])]
        lines = [f"virtual_server {self.at} {{", f"protocol {self.protocol}", f"lb_algo {self.algo}"]
        lines += [f"lvs_method {self.kind} {self.options}".rstrip(), "delay_loop 1", *self.lines]
        for ip in self.servers.values():
            lines += [f"real_server {ip} {self.port} {{", "weight 1", *own, "}"]
        return "\n".join([*lines, "}"])

    @property
    def name(self) -> str:
        if self.at.startswith("fwmark"):
            return f"-f {self.at.split()[1]}"
        return f"-{self.protocol[0].lower()} {_place(*self.at.split())}"

    def rows(self, weights: dict[str, int] | None = None) -> set[str]:
        """What ipvsadm saves of it while all real servers live, or with these {name: weight}."""
        weights = dict.fromkeys(self.servers, 1) if weights is None else weights
        dests = {self.dest(self.servers[s], weight) for s, weight in weights.items()}
        return {f"-A {self.name} -s {self.algo}{self.said and ' ' + self.said}", *dests}

    def dest(self, ip: str, weight: int = 1) -> str:
        how = {"NAT": "-m", "DR": "-g", "TUN": "-i"}[self.kind]
        return f"-a {self.name} -r {_place(ip, self.port)} {how} -w {weight}{self.tunnel and ' ' + self.tunnel}"


def _place(ip: str, port: str | int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


CASES = {
    "nat": Case("10.1.0.100 80", FAR, 8080),
    "dr": Case("10.1.0.101 80", NEAR, 80, "DR"),
    "ipip": Case("10.1.0.102 80", NEAR, 80, "TUN", tunnel="--tun-type ipip"),
    "gre": Case("10.1.0.109 80", NEAR, 80, "TUN", options="type gre", tunnel="--tun-type gre --tun-nocsum"),
    "gue": Case(
        "10.1.0.110 80",
        NEAR,
        80,
        "TUN",
        options=f"type gue port {GUE_PORT}",
        tunnel=f"--tun-type gue --tun-port {GUE_PORT} --tun-nocsum",
    ),
    "persistent": Case("10.1.0.103 80", FAR, 8080, lines=("persistence_timeout 60",), said="-p 60"),
    "sh": Case("10.1.0.104 80", FAR, 8080, algo="sh"),
    "ops": Case("10.1.0.105 5300", FAR, 5300, lines=("ops",), protocol="UDP", said="-o"),
    "udp": Case("10.1.0.106 5300", FAR, 5300, protocol="UDP"),
    "sorry": Case("10.1.0.107 80", FAR, 8080, lines=("quorum 2", "sorry_server 10.2.0.13 8080")),
    "inhibit": Case("10.1.0.108 80", FAR, 8080, each=("inhibit_on_failure",)),
    "mark": Case("fwmark 7", FAR, 8080),
    "nat6": Case("fd01::100 80", FAR6, 8080),
    "dr6": Case("fd01::101 80", NEAR6, 80, "DR"),
}
ADDRESSES = [*(case.at.split()[0] for case in CASES.values() if case.at[0] != "f"), MARKED]
ADDRESSES6 = [case.at.split()[0] for case in CASES.values() if case.at.startswith("fd")]


def address(name: str) -> str:
    return CASES[name].at.split()[0]


def configuration() -> str:
    addresses = "\n".join(f"{ip}/24" for ip in ADDRESSES)
    front = f"""
global_defs {{
    lvs_sync_daemon back front id 7
    lvs_timeouts tcp 800 udp 200
}}
vrrp_instance front {{
    interface front
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {{
{addresses}
    }}
}}
"""
    return front + "\n".join(case.text() for case in CASES.values()) + "\n"


class Site:
    """The director, its real servers and its client."""

    def __init__(self, network: Network, folder: Path) -> None:
        subprocess.run(["modprobe", "ipv6"], check=True)  # before any namespace: its settings are made with it
        self.client, self.director = network.namespace("client"), network.namespace("director")
        network.attach("lan", self.client, "eth0", *(f"{ip}/24" for ip in CLIENTS), "fd01::10/64")
        network.attach("lan", self.director, "front", "10.1.0.1/24", "fd01::1/64")
        network.attach("farm", self.director, "back", "10.2.0.1/24", "fd02::1/64")
        # Not preferred: a check from an address that the real server has as well would never get an answer.
        self.director.ip(*(f"addr add {ip}/128 dev front preferred_lft 0" for ip in ADDRESSES6))
        self.director.sysctl("net.ipv4.ip_forward", 1)
        self.director.sysctl("net.ipv6.conf.all.forwarding", 1)
        _mark(self.director)
        self.hosts: dict[str, Namespace] = {}
        self.servers: dict[str, nginx.Server] = {}
        for name, ip in {**FAR, "far3": "10.2.0.13"}.items():
            host = self.hosts[name] = network.namespace(name)
            network.attach("farm", host, "eth0", f"{ip}/24", f"fd02::{ip.rpartition('.')[2]}/64")
            host.ip("route add default via 10.2.0.1", "route add ::/0 via fd02::1")
            self.servers[name] = nginx.Server(folder / name, host.name, name, 8080, "listen [::]:8080;")
        for name, ip in NEAR.items():
            host = self.hosts[name] = network.namespace(name)
            network.attach("lan", host, "eth0", f"{ip}/24", f"{NEAR6[name]}/64")
            _serve_quietly(host)
            self.servers[name] = nginx.Server(folder / name, host.name, name, 80, "listen [::]:80;")
        self.file = folder / "keepalived.conf"
        self.file.write_text(configuration())
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
        return {line.strip() for line in self.director.run(["ipvsadm", "-Sn"]).stdout.splitlines()}

    def rows_of(self, case: Case) -> set[str]:
        return {row for row in self.rows() if row.startswith((f"-A {case.name} ", f"-a {case.name} "))}

    def healthy(self) -> bool:
        """Every real server has been checked (or has no check) and is up."""
        try:
            servers = ask(self.control, "status").get("checker", {}).get("virtual_servers", {})
        except NoAnswer:
            return False
        known = [rs["health"] for vs in servers.values() for rs in vs["real_servers"].values()]
        return known == ["up"] * sum(len(case.servers) for case in CASES.values())

    def until(self, condition: Any, why: str, deadline_s: float = 30) -> None:
        try:
            need.wait_until(condition, deadline_s, why, LOOK_S)
        except Waited as error:
            error.add_note(self.log.read_text()[-3000:])
            raise

    def curls(self, ip: str, times: int, sources: Sequence[str] = CLIENTS[:1], port: int = 80) -> Counter[str]:
        """What the client's curl got, by answer, asking `times` times from each source."""
        url = f"http://{_place(ip, port)}/"
        calls = [f"curl -gs --max-time 5 --interface {source} {url} || echo failed" for source in sources]
        script = f"for i in $(seq {times}); do {'; '.join(calls)}; done"
        return Counter(self.client.run(["sh", "-c", script], timeout_s=60).stdout.splitlines())


def _mark(director: Namespace) -> None:
    """Firewall mark 7 for what arrives for MARKED, set by traffic control: it needs neither iptables nor nft."""
    director.run(["tc", "qdisc", "add", "dev", "front", "clsact"])
    director.run(
        ["tc", "filter", "add", "dev", "front", "ingress", "protocol", "ip", "flower", "dst_ip", f"{MARKED}/32",
         "action", "skbedit", "mark", "7"]
    )  # fmt: skip


def _serve_quietly(host: Namespace) -> None:
    """A real server for DR and TUN: it has the service addresses, but answers no ARP question about them."""
    for module in ("ipip", "ip_gre", "fou"):
        subprocess.run(["modprobe", module], check=True)
    for name, value in (("arp_ignore", 1), ("arp_announce", 2), ("rp_filter", 0)):
        host.sysctl(f"net.ipv4.conf.all.{name}", value)
    host.ip(
        f"addr add {address('dr')}/32 dev lo",
        f"addr add {address('dr6')}/128 dev lo nodad",
        "link set tunl0 up",
        f"addr add {address('ipip')}/32 dev tunl0",
        f"fou add port {GUE_PORT} gue",  # what is in there goes to tunl0
        f"addr add {address('gue')}/32 dev tunl0",
        "link set gre0 up",
        f"addr add {address('gre')}/32 dev gre0",
    )
    for device in ("tunl0", "gre0"):
        host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Network() as network, ExitStack() as stack:
        site = Site(network, tmp_path_factory.mktemp("forwarding"))
        for server in site.servers.values():
            stack.callback(server.close)
        site.until(site.healthy, "all are up", 60)
        yield site


def test_the_table_is_what_the_file_says(site: Site) -> None:
    assert site.rows() == set().union(*(case.rows() for case in CASES.values()))


@pytest.mark.parametrize("name", ["nat", "dr", "ipip", "gre", "gue"])
def test_curl_gets_through_and_the_servers_see_the_client(site: Site, name: str) -> None:
    answers = {f"{server} for {CLIENTS[0]}": 3 for server in CASES[name].servers}
    assert site.curls(address(name), 6) == answers


def test_the_synchronisation_daemon_is_there(site: Site) -> None:
    """It follows the instance: this director is master."""

    def said(what: str) -> str:
        return site.director.run(["ipvsadm", "-Ln", what]).stdout

    site.until(lambda: said("--daemon").startswith("master sync daemon (mcast=back, syncid=7,"), "it sends")
    assert len(said("--daemon").splitlines()) == 1
    assert said("--timeout").split(":")[1].split() == ["800", "120", "200"]


@pytest.mark.parametrize("name", ["nat6", "dr6"])
def test_ipv6_as_well(site: Site, name: str) -> None:
    answers = {f"{server} for fd01::10": 3 for server in CASES[name].servers}
    assert site.curls(address(name), 6, ["fd01::10"]) == answers


def test_persistence_pins_each_client(site: Site) -> None:
    """Under rr: without persistence, four requests of each of two clients would be spread evenly."""
    answers = site.curls(address("persistent"), 4, CLIENTS[:2])
    assert sorted(answers.values()) == [4, 4], answers
    assert {text.split()[0] for text in answers} == set(FAR), "the second client is the other server's turn"
    assert site.curls(address("nat"), 4, CLIENTS[:2]).total() == 8
    again = site.curls(address("persistent"), 2, CLIENTS[:2])
    assert set(again) == set(answers), "and both stay where they are"


def test_source_hashing_sticks(site: Site) -> None:
    answers = site.curls(address("sh"), 3, CLIENTS)
    assert sorted(answers.values()) == [3] * len(CLIENTS), answers
    assert {text.split()[0] for text in answers} == set(FAR), "eight clients do not all hash to one server"


def test_one_packet_scheduling_spreads_the_datagrams_of_one_socket(site: Site) -> None:
    assert datagrams(site, "ops", 6) == {"far1": 3, "far2": 3}
    assert sorted(datagrams(site, "udp", 6).values()) == [6], "without it the connection stays where it began"


def datagrams(site: Site, name: str, count: int) -> Counter[str]:
    """Send `count` datagrams from one socket; how many each real server got."""
    got: Counter[str] = Counter()
    with ExitStack() as stack:
        ears = {}
        for server, ip in FAR.items():
            ears[server] = stack.enter_context(site.hosts[server].socket(socket.AF_INET, socket.SOCK_DGRAM))
            ears[server].bind((ip, CASES[name].port))
            ears[server].setblocking(False)
        mouth = stack.enter_context(site.client.socket(socket.AF_INET, socket.SOCK_DGRAM))
        mouth.connect((address(name), CASES[name].port))
        for _ in range(count):
            mouth.send(b"hello")
        end = time.monotonic() + 10
        while got.total() < count and time.monotonic() < end:
            for server, ear in ears.items():
                try:
                    _, (source, _) = ear.recvfrom(100)
                except BlockingIOError:
                    continue
                assert source == CLIENTS[0]
                got[server] += 1
    return got


def test_a_firewall_mark_balances_whatever_port_is_asked(site: Site) -> None:
    for port in (80, 443):
        answers = {f"{server} for {CLIENTS[0]}": 2 for server in FAR}
        assert site.curls(MARKED, 4, port=port) == answers
    assert site.curls(address("nat"), 2, port=443) == {"failed": 2}, "nobody else serves that port"


def test_the_sorry_server_serves_while_there_is_no_quorum(site: Site) -> None:
    sorry, inhibit = CASES["sorry"], CASES["inhibit"]
    assert {text.split()[0] for text in site.curls(address("sorry"), 4)} == set(FAR)
    site.servers["far2"].kill()
    alone = {next(iter(sorry.rows({}))), sorry.dest("10.2.0.13")}
    site.until(lambda: site.rows_of(sorry) == alone, "one of two is no quorum")
    assert site.curls(address("sorry"), 3) == {f"far3 for {CLIENTS[0]}": 3}
    # the same death where no quorum is asked for
    site.until(lambda: site.rows_of(CASES["nat"]) == CASES["nat"].rows({"far1": 1}), "the dead one is out")
    site.until(lambda: site.rows_of(inhibit) == inhibit.rows({"far1": 1, "far2": 0}), "kept, with weight 0")
    assert site.curls(address("inhibit"), 3) == {f"far1 for {CLIENTS[0]}": 3}
    site.servers["far2"].revive()
    site.until(lambda: site.rows_of(sorry) == sorry.rows(), "the quorum is back, the sorry server leaves")
    assert {text.split()[0] for text in site.curls(address("sorry"), 4)} == set(FAR)
    site.until(lambda: site.rows_of(inhibit) == inhibit.rows(), "its weight is back")


def test_stop_leaves_nothing(site: Site) -> None:
    site.daemon.terminate()
    assert site.daemon.wait(20) == 0, site.log.read_text()
    assert site.rows() == set()
    assert site.director.run(["ipvsadm", "-Ln", "--daemon"]).stdout == ""
