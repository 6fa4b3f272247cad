"""The checker as a program: by hand with a file, and under a parent played by the test."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import need
from fastha.channel.endpoint import Closed, Endpoint
from fastha.child.patch import apply
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config, HttpCheck, HttpUrl, RealServer, TcpCheck, VirtualServer
from fastha.model.parts import split
from fastha.parent import changes
from oracles.rough_server import RoughServer

S = 10**9
MS = 10**6
OK = b"HTTP/1.0 200 OK\r\n\r\nfine\n"
COMMAND = [sys.executable, "-m", "fastha.checker"]

CONF = """
virtual_server 203.0.113.1 80 {{
    delay_loop 0.1
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 127.0.0.1 {port} {{
        HTTP_GET {{
            url {{
                path {path}
                status_code 200
            }}
            connect_timeout 1
            retry 0
        }}
    }}
    real_server 127.0.0.2 {port} {{
        TCP_CHECK {{
            connect_timeout 1
        }}
    }}
}}
"""


@pytest.fixture
def server() -> Iterator[RoughServer]:
    with RoughServer() as s:
        yield s


def test_by_hand(tmp_path: Path, server: RoughServer) -> None:
    path = server.say(OK)
    conf = tmp_path / "keepalived.conf"
    conf.write_text(CONF.format(port=server.port, path=path))
    log = tmp_path / "log"
    with open(log, "wb") as out:
        child = subprocess.Popen([*COMMAND, "-f", str(conf), "--dataplane", "none"], stderr=out)
    try:
        need.wait_until(lambda: "127.0.0.2" in log.read_text(), 15, "the absent server is seen")
        assert f"203.0.113.1:80/tcp 127.0.0.2:{server.port}: down: connection refused" in log.read_text()
        assert f"127.0.0.1:{server.port}: down" not in log.read_text()
        server.change(path, b"HTTP/1.0 500 Ouch\r\n\r\n")
        need.wait_until(lambda: "status not accepted (500)" in log.read_text(), 10, "the failing server is seen")
        assert "quorum lost" in log.read_text()
        server.change(path, OK)
        need.wait_until(lambda: "quorum gained" in log.read_text(), 10, "it comes back")
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0
    finally:
        child.kill()
        child.wait()
    assert [x for x in log.read_text().splitlines() if f"fastha-checker[{child.pid}]: " not in x] == []


def test_a_bad_file_is_said_with_its_place(tmp_path: Path) -> None:
    conf = tmp_path / "keepalived.conf"
    conf.write_text("virtual_server 203.0.113.1 80 {\n    lb_alog rr\n}\n")
    done = subprocess.run(
        [*COMMAND, "-f", str(conf), "--dataplane", "none"], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert f"{conf}:2:5: error: " in done.stderr


def test_usage() -> None:
    for arguments in ([], ["-f", "x", "--channel", "3"], ["--dataplane", "ebpf", "-f", "x"]):
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 2
        assert "usage: python -m fastha.checker" in done.stderr


class Parent:
    """The other end of a child's channel."""

    def __init__(self, wrap: Callable[[list[str]], list[str]] = lambda argv: argv) -> None:
        ours, theirs = socket.socketpair()
        self.messages: list[dict[str, Any]] = []
        self.picture: dict[str, Any] = {}
        with theirs:
            fd = theirs.fileno()
            self.process = subprocess.Popen(
                wrap([*COMMAND, "--channel", str(fd)]), pass_fds=[fd], stderr=subprocess.PIPE
            )
        self.channel = Endpoint(ours, "down")

    def hear(self, seconds: float = 0.02) -> None:
        select.select([self.channel], [self.channel] if self.channel.wants_write() else [], [], seconds)
        with contextlib.suppress(Closed):
            self.channel.flush()  # a large proposal goes bit by bit
            for message in self.channel.receive():
                self.messages.append(message)
                if message["type"] == "facts":
                    apply(self.picture, message["facts"])

    def until(self, condition: Callable[[], object], why: str, deadline_s: float = 15) -> None:
        def listen() -> bool:
            self.hear()
            return bool(condition())

        need.wait_until(listen, deadline_s, why)

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["type"] == kind]

    def configure(
        self, *servers: VirtualServer, dataplane: str = "none", previous: dict[str, Any] | None = None
    ) -> None:
        parts = {part.key: part for part in split(Config(virtual_servers=servers))}
        for message in changes.messages({}, parts, ("globals", "virtual_server"), 1, 0):
            self.channel.send(**message)
        self.channel.send(type="propose", generation=1, config=None, dataplane=dataplane, previous=previous or {})
        self.until(lambda: self.said("ready") or self.said("refused"), "an answer to the proposal")
        assert self.said("refused") == []
        self.channel.send(type="commit", generation=1)
        self.until(lambda: self.said("committed"), "the commit")

    def end(self) -> bytes:
        self.channel.close()
        self.process.kill()
        _, stderr = self.process.communicate()
        return bytes(stderr)


@pytest.fixture
def parent() -> Iterator[Parent]:
    p = Parent()
    yield p
    p.end()


def virtual_server(server: RoughServer, path: str) -> VirtualServer:
    http = HttpCheck(
        ip=server.ip, port=server.port, urls=(HttpUrl(path=path),), delay_ns=50 * MS, warmup_ns=50 * MS, retry=0
    )
    tcp = TcpCheck(ip="127.0.0.2", port=server.port, delay_ns=50 * MS, warmup_ns=50 * MS)
    return VirtualServer(
        ip="203.0.113.1",
        port=80,
        scheduler="rr",
        real_servers=(
            RealServer(ip=server.ip, port=server.port, checks=(http,)),
            RealServer(ip="127.0.0.2", port=server.port, checks=(tcp,)),
        ),
    )


def test_under_a_parent(parent: Parent, server: RoughServer) -> None:
    path = server.say(OK)
    vs = virtual_server(server, path)
    parent.until(lambda: parent.said("hello"), "hello")
    assert parent.said("hello") == [{"type": "hello", "role": "checker", "pid": parent.process.pid}]
    parent.configure(vs)

    def rs(ip: str) -> dict[str, Any]:
        found: dict[str, Any] = parent.picture["virtual_servers"][vs.key]["real_servers"][f"{ip}:{server.port}"]
        return found

    parent.until(lambda: rs("127.0.0.1")["health"] == "up" and rs("127.0.0.2")["health"] == "down", "answers")
    assert rs("127.0.0.1")["in_table"] == 1
    assert rs("127.0.0.2")["why"] == "connection refused"
    server.change(path, b"HTTP/1.0 503 No\r\n\r\n")
    parent.until(lambda: {vs.key: False} in [m["states"] for m in parent.said("quorum")], "the quorum is lost")
    beats = len(parent.said("heartbeat"))
    parent.until(lambda: len(parent.said("heartbeat")) >= beats + 4, "heartbeats")
    assert all(m["rss_kb"] > 1000 and m["turns"] >= 0 for m in parent.said("heartbeat"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # the parent decides, not the process group
        parent.process.send_signal(number)
    beats = len(parent.said("heartbeat"))
    parent.until(lambda: len(parent.said("heartbeat")) >= beats + 3, "it goes on")
    parent.channel.send(type="stop")
    parent.until(lambda: parent.process.poll() is not None, "the stop", 5)
    assert parent.process.returncode == 0


def test_a_dead_parent_ends_it_within_a_second(parent: Parent, server: RoughServer) -> None:
    parent.configure(virtual_server(server, server.say(OK)))
    parent.channel.close()
    start = time.monotonic()
    assert parent.process.wait(5) == 1
    assert time.monotonic() - start < 1
    assert parent.process.stderr is not None
    assert b"the parent is gone" in parent.process.stderr.read()


def test_a_dataplane_this_machine_has_not_is_refused_in_one_line(parent: Parent, server: RoughServer) -> None:
    if need.has("ip_vs"):
        pytest.skip("this kernel has IPVS")
    config = orjson.loads(orjson.dumps(Config(virtual_servers=(virtual_server(server, "/"),))))
    parent.channel.send(type="propose", generation=1, config=config, dataplane="ipvs", previous={})
    parent.until(lambda: parent.said("refused"), "the refusal")
    reason = parent.said("refused")[0]["reason"]
    assert "\n" not in reason
    assert "ip" in reason.lower()


def _table(namespace: Namespace) -> str:
    return namespace.run(["nft", "list", "ruleset"]).stdout


def test_a_killed_checker_is_replaced_and_not_one_rule_changes(network: Network) -> None:
    """With nftables in a namespace: SIGKILL, SIGKILL of the parent, then an orderly stop."""
    need.kernel("nft")
    need.tool("nft")
    ns = network.namespace("director")
    with ns.entered():
        listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    with listening:
        port = listening.getsockname()[1]
        check = TcpCheck(ip="127.0.0.1", port=port, delay_ns=50 * MS, warmup_ns=50 * MS, retry=0)
        dead = TcpCheck(ip="127.0.0.2", port=1, delay_ns=50 * MS, warmup_ns=50 * MS, retry=0)
        vs = VirtualServer(
            ip="203.0.113.1",
            port=80,
            scheduler="rr",
            real_servers=(
                RealServer(ip="192.0.2.1", port=80, checks=(check,)),
                RealServer(ip="192.0.2.2", port=80, checks=(dead,)),
            ),
        )
        first = Parent(ns.argv)
        try:
            first.configure(vs, dataplane="nft")
            rss = "virtual_servers", vs.key, "real_servers"
            first.until(lambda: _dig(first.picture, *rss, "192.0.2.2:80", "health") == "down", "the dead server")
            first.until(lambda: _dig(first.picture, *rss, "192.0.2.1:80", "health") == "up", "the living server")
            rules = _table(ns)
            assert "192.0.2.1" in rules
            assert "192.0.2.2" not in rules
        finally:
            first.end()  # SIGKILL
        for previous in (first.picture, {}):
            again = Parent(ns.argv)
            try:
                again.configure(vs, dataplane="nft", previous=previous)
                again.until(lambda: _dig(again.picture, *rss, "192.0.2.2:80", "checks"), "it checks")  # noqa: B023
                again.hear(0.3)
                assert _table(ns) == rules
                assert again.picture["dataplane"]["operations"] == 0
                if previous:
                    again.channel.close()  # the parent dies: rows stay
                    assert again.process.wait(5) == 1
                    assert _table(ns) == rules
                else:
                    again.channel.send(type="stop")
                    assert again.process.wait(5) == 0
                    assert "192.0.2.1" not in _table(ns)
            finally:
                again.end()


def _dig(found: Any, *keys: str) -> Any:
    for key in keys:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return found
