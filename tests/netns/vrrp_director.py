"""A VRRP child in a namespace with a parent made of test code, and a real keepalived for it to meet."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastha.channel.endpoint import Closed, Endpoint
from fastha.child.patch import apply
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.lab.wait import wait_until
from fastha.model import Config, SyncGroup, VirtualAddress, VrrpInstance, codec

FAST_NS = 100_000_000
VIP = "10.9.0.100"


def instance(**values: Any) -> VrrpInstance:
    """One virtual router on eth0: version 3, 0.1 s, one address."""
    defaults: dict[str, Any] = {
        "name": "vi",
        "interface": "eth0",
        "vrid": 51,
        "version": 3,
        "advert_int_ns": FAST_NS,
        "addresses": (VirtualAddress(VIP),),
    }
    return VrrpInstance(**{**defaults, **values})


class Director:
    """`facts` is the picture its parent would have; call `poll` (or `until`) to take in what it has said."""

    prefix: tuple[str, ...] = ()  # of the command line
    module = "fastha.vrrp"

    def __init__(self, namespace: Namespace, previous: dict[str, Any] | None = None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = namespace.popen(
                [*self.prefix, sys.executable, "-m", self.module, "--channel", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stderr=subprocess.PIPE,
            )
        os.set_blocking(self.process.stderr.fileno(), False)
        self.namespace = namespace
        self.endpoint = Endpoint(ours, "down")
        self.previous = previous or {}
        self.facts: dict[str, Any] = {}
        self.events: list[dict[str, str]] = []
        self.said: list[str] = []
        self.bfds: list[dict[str, bool]] = []  # what it told of sessions
        self.reasons: list[str] = []
        self.lines: list[str] = []  # for the notify FIFOs
        self.scripts: list[tuple[str, list[str]]] = []  # (subject, argv)
        self.groups: tuple[SyncGroup, ...] = ()
        self.generation = 0
        self.heard_ns = time.monotonic_ns()
        self.log = ""

    @classmethod
    def start(cls, namespace: Namespace, *instances: VrrpInstance, previous: dict[str, Any] | None = None) -> Director:
        self = cls(namespace, previous)
        self.configure(*instances)
        return self

    def configure(self, *instances: VrrpInstance) -> None:
        """Propose and commit, as the parent does."""
        self.generation += 1
        config = codec.orjson.loads(codec.dumps(self.config(instances)))
        self.endpoint.send(
            type="propose", generation=self.generation, config=config, dataplane="none", previous=self.previous
        )
        self.until(lambda: "ready" in self.said or "refused" in self.said, "an answer to the proposal", 20)
        assert "ready" in self.said, f"{self.reasons}\n{self.log}"
        self.endpoint.send(type="commit", generation=self.generation)
        self.until(lambda: "committed" in self.said, "the commit", 20)
        self.said.clear()

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(instances=values, sync_groups=self.groups)

    def poll(self) -> None:
        self.log += (self.process.stderr.read() or b"").decode()
        self.endpoint.flush()
        for message in self.endpoint.receive():
            self.heard_ns = time.monotonic_ns()
            if message["type"] == "facts":
                apply(self.facts, message["facts"])
            elif message["type"] == "event":
                self.events.append(message["event"])
            elif message["type"] == "bfd":
                self.bfds.append(message["states"])
            elif message["type"] == "notify":
                self.lines.append(message["line"])
            elif message["type"] == "script":
                self.scripts.append((message["subject"], message["script"]["argv"]))
            elif message["type"] == "refused":
                self.reasons.append(message["reason"])
            self.said.append(message["type"])

    def until_end(self) -> None:
        """Take in all that it said before it ended."""
        with contextlib.suppress(Closed):
            while True:
                self.poll()

    def until(self, condition: Callable[[], object], why: str, deadline_s: float = 5) -> None:
        def look() -> object:
            try:
                self.poll()
            except Closed:
                raise AssertionError(f"the child is gone: {self.log}") from None
            return condition()

        try:
            wait_until(look, deadline_s, why, 0.005)
        except AssertionError as error:
            raise AssertionError(f"{error}\nfacts: {self.facts}\nlog: {self.log}") from None

    def router(self, name: str = "vi") -> dict[str, Any]:
        found: dict[str, Any] = self.facts.get("instances", {}).get(name, {})
        return found

    def until_role(self, role: str, name: str = "vi", deadline_s: float = 5) -> None:
        self.until(lambda: self.router(name).get("state") == role, f"{name} is {role}", deadline_s)

    def stop(self) -> int:
        """In an orderly way; the exit code."""
        self.endpoint.send(type="stop")
        code = self._reap(self.process.wait(5))
        if code:
            print(self.log)
        return code

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._reap(self.process.wait(5))

    def replacement(self, *instances: VrrpInstance) -> Director:
        """After `kill`: another child that is told what this one last said, as the parent does."""
        age_ns = time.monotonic_ns() - self.heard_ns
        return type(self).start(self.namespace, *instances, previous={**self.facts, "died_ago_ns": age_ns})

    def quorums(self, **states: bool) -> None:
        """What the checker says, by way of the parent."""
        self.endpoint.send(type="quorums", states=states)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """The parent dies."""
        self.endpoint.close()

    def _reap(self, code: int) -> int:
        self.log += (self.process.stderr.read() or b"").decode()
        self.process.stderr.close()
        self.endpoint.close()
        return code

    def __enter__(self) -> Director:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.process.stderr.closed:
            self.process.kill()
            self._reap(self.process.wait(5))


def directors(network: Network) -> tuple[Namespace, Namespace]:
    """Two namespaces on one switch: 10.9.0.1 and 10.9.0.2 on their eth0."""
    a, b = network.namespace("a"), network.namespace("b")
    network.attach("lan", a, "eth0", "10.9.0.1/24")
    network.attach("lan", b, "eth0", "10.9.0.2/24")
    return a, b


def addresses(namespace: Namespace, dev: str = "eth0") -> list[str]:
    """IPv4 addresses with prefix length, as `ip` prints them."""
    text = namespace.run(["ip", "-4", "-o", "addr", "show", "dev", dev]).stdout
    return [
        words[i + 1]
        for line in text.splitlines()
        for words in [line.split()]
        for i, w in enumerate(words)
        if w == "inet"
    ]


def has_vip(namespace: Namespace, vip: str = VIP) -> bool:
    return f"{vip}/32" in addresses(namespace)


class Keepalived:
    """Debian's keepalived with one instance, in a namespace, logging to a file."""

    def __init__(self, namespace: Namespace, folder: Path, config: str) -> None:
        self.namespace = namespace
        folder = folder / f"ka-{namespace.name}"
        folder.mkdir(exist_ok=True)
        path = folder / "keepalived.conf"
        path.write_text(config)
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = namespace.popen(
                ["keepalived", "-n", "-l", "-G", "-D", "-P", "-f", path,
                 "-p", folder / "pid", "-r", folder / "vrrp.pid", "-c", folder / "checkers.pid"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def has(self) -> bool:
        return has_vip(self.namespace)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def kill(self) -> None:
        """The whole process tree, without a last word: the parent is stopped before its child dies, so that it does not
        restart it, and dies after it, so that the child is not told to say goodbye."""
        self.process.send_signal(signal.SIGSTOP)
        for pid in self.namespace.pids():
            if pid != self.process.pid and "keepalived" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait(5)
        for path in self.log.parent.glob("*pid"):
            path.unlink()


def keepalived_conf(
    priority: int, *, version: int = 3, advert_int: str = "0.1", state: str = "BACKUP", more: str = "", auth: str = ""
) -> str:
    """One keyword per line, as keepalived wants it."""
    authentication = f"authentication {{\n auth_type PASS\n auth_pass {auth}\n}}\n" if auth else ""
    return f"""
global_defs {{
  vrrp_garp_master_delay 1
}}
vrrp_instance vi {{
  state {state}
  interface eth0
  virtual_router_id 51
  priority {priority}
  version {version}
  advert_int {advert_int}
  {more}
  {authentication}
  virtual_ipaddress {{
    {VIP}/32
  }}
}}
"""
