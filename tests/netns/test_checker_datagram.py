"""UDP, DNS and PING probes against servers of every kind, real ones among them; bound, marked, in namespaces."""

from __future__ import annotations

import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import need
from fastha.checker.ending import Ending, describe, outcome
from fastha.checker.question import dns_name, dns_query
from fastha.checker.request import USER_AGENT
from fastha.checker.verdict import Outcome
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Check, DnsCheck, HttpCheck, HttpUrl, PingCheck, TcpCheck, UdpCheck
from oracles.datagrams import Datagrams, dns, echo, says, silent
from probe_bench import MS, Bench, S, closed_port

SHORT = 150 * MS


@pytest.fixture
def bench() -> Iterator[Bench]:
    with closing(Bench()) as b:
        yield b


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[Datagrams]:
    with Datagrams(request.param) as s:
        yield s


def test_udp(bench: Bench, server: Datagrams) -> None:
    def udp(port: int, **more: object) -> UdpCheck:
        return UdpCheck(ip=server.ip, port=port, timeout_ns=SHORT, **more)  # type: ignore[arg-type]

    def wants(port: int, reply: str = "", mask: str = "", **more: object) -> UdpCheck:
        return udp(port, require_reply=True, reply=reply, mask=mask or "ff" * (len(reply) // 2), **more)

    quiet, back, ab, empty = (server.serve(a) for a in (silent, echo, says(b"ab"), says(b"")))
    stories = [
        (udp(quiet), Ending.SILENT),
        (udp(back), Ending.ANSWERED),
        (udp(closed_port()), Ending.REFUSED),
        (udp(ab, min_reply_length=9), Ending.ANSWERED),  # lengths count only if a reply is required
        (wants(quiet), Ending.REPLY_TIMEOUT),
        (wants(closed_port()), Ending.REFUSED),
        (wants(ab), Ending.ANSWERED),
        (wants(empty), Ending.ANSWERED),
        (wants(empty, min_reply_length=1), Ending.LENGTH),
        (wants(ab, max_reply_length=1), Ending.LENGTH),
        (wants(ab, "6162"), Ending.ANSWERED),
        (wants(ab, "61"), Ending.ANSWERED),
        (wants(ab, "616263"), Ending.MISMATCH),
        (wants(ab, "6163"), Ending.MISMATCH),
        (wants(ab, "6103", "fff0"), Ending.MISMATCH),
        (wants(ab, "6060", "f0f0"), Ending.ANSWERED),
        (wants(back, "00ff10", payload="00ff10"), Ending.ANSWERED),
    ]
    for (check, wanted), ending in zip(stories, bench.run([c for c, _ in stories]), strict=True):
        assert ending is wanted, check
    assert bytes.fromhex("00ff10") in server.heard[back]
    assert len(server.heard[quiet][0]) > 4, "without a payload something is sent all the same"


def test_dns(bench: Bench, server: Datagrams) -> None:
    stray = (b"", b"ID", b"\x00\x00\x84\x00" + bytes(8), b"ID\x01\x00" + bytes(8))  # short, another's, a query
    stories = [
        (dns(), Ending.ANSWERED),
        (dns(3), Ending.RCODE),
        (silent, Ending.REPLY_TIMEOUT),
        (echo, Ending.REPLY_TIMEOUT),  # our own query is no answer
        (dns(0, stray), Ending.ANSWERED),
        (says(*[bytes(500)] * 50), Ending.REPLY_TIMEOUT),
    ]
    ports = [server.serve(answer) for answer, _ in stories]
    checks: list[Check] = [
        DnsCheck(ip=server.ip, port=port, timeout_ns=SHORT, name="www.example.org", type="AAAA") for port in ports
    ]
    assert bench.run([*checks, DnsCheck(ip=server.ip, port=closed_port())]) == [
        *(e for _, e in stories),
        Ending.REFUSED,
    ]
    assert bench.got  # (the rcode is told)
    assert describe(Ending.RCODE, 3) == "DNS error (no such name)"
    asked = server.heard[ports[0]][0]
    assert asked[2:] == dns_query("www.example.org", "AAAA")[2:]
    assert asked[2:12] == b"\x01\x00\x00\x01" + bytes(6), "one question, recursion desired"
    bench.run(checks[:1] * 20)
    assert len({q[:2] for q in server.heard[ports[0]]}) > 15, "ids differ"


def test_an_answer_from_somebody_else_is_none(bench: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, socket.socket(type=socket.SOCK_DGRAM) as liar:
        asked.bind(("127.0.0.1", 0))
        check = DnsCheck(ip="127.0.0.1", port=asked.getsockname()[1], timeout_ns=SHORT)

        def lie() -> None:
            query, where = asked.recvfrom(512)
            liar.sendto(query[:2] + b"\x80\0" + query[4:], where)

        bench.reactor.call_later(30 * MS, lie)
        assert bench.run([check]) == [Ending.REPLY_TIMEOUT]


def test_names_on_the_wire() -> None:
    assert dns_name(".") == b"\0"
    assert dns_name("example.org") == dns_name("example.org.") == b"\7example\3org\0"
    for bad in ("a..b", "a" * 64, ".a", "é.org", ".".join(["a" * 60] * 5), ""):
        with pytest.raises(ValueError, match=r"label|255|ASCII"):
            dns_name(bad)
    with pytest.raises(ValueError, match="ANY"):
        dns_query(".", "ANY")


ZONE = """$ORIGIN example.test.
$TTL 60
@ SOA ns hostmaster 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
@ MX 10 ns
@ TXT "hello"
@ AAAA 2001:db8::1
www CNAME ns
@ DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
"""
NSD = """server:
    ip-address: 127.0.0.1@{port}
    ip-address: ::1@{port}
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zones"
    logfile: "{folder}/log"
    username: ""
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: example.test
    zonefile: zone
"""


def test_a_real_dns_server(bench: Bench, tmp_path: Path) -> None:
    tool = need.tool("nsd", "/usr/sbin/nsd")
    port = closed_port()
    (tmp_path / "zone").write_text(ZONE)
    (tmp_path / "conf").write_text(NSD.format(port=port, folder=tmp_path))
    with subprocess.Popen([tool, "-d", "-c", str(tmp_path / "conf")], stderr=subprocess.DEVNULL) as nsd:
        try:
            check = DnsCheck(ip="127.0.0.1", port=port, name="example.test", timeout_ns=S)
            need.wait_until(lambda: bench.run([check]) == [Ending.ANSWERED], 10, "nsd answers")
            types = ("SOA", "A", "NS", "CNAME", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY")
            both: list[Check] = [replace(check, type=t, ip=ip) for t in types for ip in ("127.0.0.1", "::1")]
            assert set(bench.run(both)) == {Ending.ANSWERED}
            assert bench.run([replace(check, name="nobody.example.test"), replace(check, name="elsewhere.org")]) == [
                Ending.RCODE,
                Ending.RCODE,
            ]
            assert {detail for _, detail in bench.got.values()} == {3, 5}  # NXDOMAIN, REFUSED
        finally:
            nsd.kill()
    # nsd is several processes: the one that holds the socket ends when it notices that its parent is gone.
    need.wait_until(lambda: bench.run([check]) == [Ending.REFUSED], 10, "the port is closed")


# -- in namespaces -------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(network: Network) -> tuple[Namespace, Namespace]:
    need.kernel("veth")
    here, there = network.namespace("here"), network.namespace("there")
    network.attach("wire", here, "eth0", "10.9.0.1/24", "fd09::1/64")
    network.attach("wire", there, "eth0", "10.9.0.2/24", "10.9.0.3/24", "fd09::2/64")
    for space in (here, there):
        space.ip("link set lo up")
    return here, there


@pytest.mark.parametrize("groups", ["0 2147483647", "1 0"], ids=["datagram", "raw"])
def test_ping_between_namespaces(pair: tuple[Namespace, Namespace], groups: str) -> None:
    here, there = pair
    here.sysctl("net.ipv4.ping_group_range", groups)
    with here.entered(), closing(Bench()) as bench:
        checks: list[Check] = [
            PingCheck(ip=ip, port=0, timeout_ns=S) for ip in ("10.9.0.2", "fd09::2", "127.0.0.1", "::1", "10.9.0.1")
        ]
        need.wait_until(lambda: set(bench.run(checks)) == {Ending.ANSWERED}, 15, "every ping is answered")
        assert set(bench.run(checks * 40)) == {Ending.ANSWERED}
        bound = PingCheck(ip="10.9.0.2", port=0, timeout_ns=S, bind_ip="10.9.0.1", bind_if="eth0")
        assert bench.run([bound, replace(bound, bind_ip="10.9.0.77"), replace(bound, bind_if="nosuch0")]) == [
            Ending.ANSWERED,
            Ending.NO_SOURCE,
            Ending.NO_SOURCE,
        ]
        assert (
            bench.run([PingCheck(ip="192.0.2.1", port=0), PingCheck(ip="2001:db8::1", port=0)])
            == [Ending.UNREACHABLE] * 2
        )
        there.sysctl("net.ipv4.icmp_echo_ignore_all", 1)
        assert bench.run([replace(bound, timeout_ns=SHORT)]) == [Ending.REPLY_TIMEOUT]
        there.ip("address del 10.9.0.3/24 dev eth0")
        began = time.monotonic()
        nobody = PingCheck(ip="10.9.0.3", port=0, timeout_ns=10 * S)
        assert bench.run([nobody]) == [Ending.UNREACHABLE], "nobody has the address: the kernel says so"
        assert time.monotonic() - began < 9


def test_an_interface_and_a_mark(pair: tuple[Namespace, Namespace]) -> None:
    """A packet with mark 7 is prohibited, one with mark 8 goes out by a table without routes."""
    here, there = pair
    here.ip("rule add fwmark 7 prohibit", "rule add fwmark 8 unreachable")
    with there.entered():
        listening = socket.create_server(("10.9.0.2", 0))
        datagrams = Datagrams("10.9.0.2")
        port = datagrams.serve(echo)
    with listening, datagrams, here.entered(), closing(Bench()) as bench:
        tcp = TcpCheck(ip="10.9.0.2", port=listening.getsockname()[1], timeout_ns=2 * S)
        udp = UdpCheck(ip="10.9.0.2", port=port, require_reply=True, timeout_ns=2 * S)
        ping = PingCheck(ip="10.9.0.2", port=0, timeout_ns=2 * S)
        need.wait_until(lambda: bench.run([tcp]) == [Ending.CONNECTED], 15, "the wire is up")
        for check, good in ((tcp, Ending.CONNECTED), (udp, Ending.ANSWERED), (ping, Ending.ANSWERED)):
            endings = bench.run(
                [
                    replace(check, fwmark=6),
                    replace(check, fwmark=7),
                    replace(check, fwmark=8),
                    replace(check, bind_if="eth0", bind_ip="10.9.0.1"),
                    replace(check, bind_if="lo", timeout_ns=SHORT),
                    replace(check, bind_if="nosuch0"),
                ]
            )
            assert endings[:4] == [good, Ending.DENIED, Ending.UNREACHABLE, good], check
            assert endings[4] not in (good, Ending.DENIED), check
            assert endings[5] is Ending.NO_SOURCE, check


def test_a_link_local_server(pair: tuple[Namespace, Namespace]) -> None:
    here, there = pair
    there.ip("address add fe80::2/64 dev eth0 nodad")
    here.ip("address add fe80::1/64 dev eth0 nodad")
    with here.entered(), closing(Bench()) as bench:
        ping = PingCheck(ip="fe80::2", port=0, bind_if="eth0", bind_ip="fe80::1", timeout_ns=S)
        need.wait_until(lambda: bench.run([ping]) == [Ending.ANSWERED], 15, "the link-local address answers")
        assert bench.run([TcpCheck(ip="fe80::2", port=9, bind_if="eth0")]) == [Ending.REFUSED]


def test_closing_with_and_without_a_reset(pair: tuple[Namespace, Namespace]) -> None:
    here, there = pair
    with there.entered():
        listening = socket.create_server(("10.9.0.2", 0), backlog=200)
    with listening, here.entered(), closing(Bench()) as bench:
        check = TcpCheck(ip="10.9.0.2", port=listening.getsockname()[1], timeout_ns=2 * S)
        need.wait_until(lambda: bench.run([check]) == [Ending.CONNECTED], 15, "the wire is up")
        before = bench.probes.counters()
        bench.run([check] * 20)
        assert time_waits() == 0
        bench.run([replace(check, close_reset=False)] * 20)
        while listening.accept()[0].close() is None and time_waits() < 20:
            pass
        after = bench.probes.counters()
        assert after["resets"] - before["resets"] == after["farewells"] == 20


def test_local_ports_do_not_run_out(pair: tuple[Namespace, Namespace]) -> None:
    """A hundred ports for two thousand probes of one peer, which a close in order would keep for a minute each. Without
    the reset they do run out: that is counted, and no server is blamed for it."""
    here, there = pair
    with there.entered():
        listening = socket.create_server(("10.9.0.2", 0), backlog=4096)
    with listening, here.entered(), closing(Bench(limit=50)) as bench:
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
            ports.write("40000 40099")
        check = TcpCheck(ip="10.9.0.2", port=listening.getsockname()[1], timeout_ns=30 * S)
        need.wait_until(lambda: bench.run([check]) == [Ending.CONNECTED], 15, "the wire is up")
        assert bench.run([check] * 2000) == [Ending.CONNECTED] * 2000
        assert bench.probes.counters()["no_port"] == 0
        endings = Counter(bench.run([replace(check, close_reset=False)] * 300))
        assert set(endings) == {Ending.CONNECTED, Ending.NO_PORT}
        assert endings[Ending.CONNECTED] <= 100
        assert outcome(Ending.NO_PORT) is Outcome.OURS
        after = bench.probes.counters()
        assert (after["no_port"], after["farewells"]) == (endings[Ending.NO_PORT], endings[Ending.CONNECTED])
        assert after["resets"] >= 2000


def time_waits() -> int:
    with open("/proc/thread-self/net/tcp") as table:
        return [line.split()[3] for line in table].count("06")  # TCP_TIME_WAIT, include/net/tcp_states.h


NGINX = """daemon off;
master_process off;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        listen [::1]:{port};
        location /fine {{ return 200 "fine\\n"; }}
        location /busy {{ return 503; }}
    }}
}}
"""


def test_a_real_http_server(bench: Bench, tmp_path: Path) -> None:
    tool = need.tool("nginx", "/usr/sbin/nginx")
    port = closed_port()
    (tmp_path / "conf").write_text(NGINX.format(folder=tmp_path, port=port))
    digest = "f4f3eaf1a8f1a0d0b4b7d3a5e0a7c1ff"
    with subprocess.Popen(
        [tool, "-c", str(tmp_path / "conf"), "-p", str(tmp_path)], stderr=subprocess.DEVNULL
    ) as nginx:
        try:
            good = HttpCheck(ip="127.0.0.1", port=port, urls=(HttpUrl(path="/fine"),), timeout_ns=2 * S)
            need.wait_until(lambda: bench.run([good]) == [Ending.ANSWERED], 15, "nginx answers")
            many = [
                replace(good, http_protocol=p, ip=ip) for p in ("1.0", "1.0C", "1.1") for ip in ("127.0.0.1", "::1")
            ]
            assert set(bench.run([*many] * 30)) == {Ending.ANSWERED}
            busy = replace(good, urls=(HttpUrl(path="/busy"),))
            lies = replace(good, urls=(HttpUrl(path="/fine", digest=digest),))
            assert bench.run([busy, lies]) == [Ending.STATUS, Ending.DIGEST]
            need.wait_until(lambda: USER_AGENT in (tmp_path / "access.log").read_text(), 5, "nginx saw who asks")
        finally:
            nginx.kill()
    assert bench.run([good]) == [Ending.REFUSED]
