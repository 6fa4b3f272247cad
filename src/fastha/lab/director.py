"""A director of the laboratory: a namespace with two cables, and a daemon in it that can be killed in several ways."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastha.errors import SystemFault
from fastha.lab import plan
from fastha.lab.conf import keepalived_conf
from fastha.lab.netns import Namespace
from fastha.lab.network import Network


@dataclass(frozen=True, slots=True)
class Row:
    """One real server as a director sees it. `weight`: in the table now; None when it is not in there."""

    health: str
    weight: int | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a director says of itself. `states`: instance name to init, backup, master, fault.

    `heard` False: the process runs but did not answer, so nothing else here says anything.
    """

    running: bool = False
    heard: bool = True
    states: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    sees_servers: bool = True  # False: this daemon checks nothing here, `rows` says nothing
    backend: str = ""

    def all_in(self, state: str) -> bool:
        return bool(self.states) and all(have == state for have in self.states.values())

    @property
    def state(self) -> str:
        """One word for people; `mixed` while the instances disagree."""
        if not self.running:
            return "down"
        have = set(self.states.values())
        return have.pop() if len(have) == 1 else "mixed" if have else "starting"

    def gives_to(self, server: str) -> bool | None:
        """Whether its table gives `server` new connections; None while that is not known."""
        row = self.rows.get(server)
        return None if row is None else bool(row.weight)


class Director:
    """The machine; subclasses know the daemon. `power_on` before anything else."""

    tracking = True

    def __init__(self, network: Network, director: plan.DirectorPlan, dataplane: str) -> None:
        self.network, self.plan, self.dataplane = network, director, dataplane
        self.name = director.name
        self.conf = network.folder / f"{self.name}.conf"
        self.log = network.folder / f"{self.name}.log"
        self.control = network.folder / f"{self.name}.sock"
        self.conf.write_text(keepalived_conf(director, tracking=self.tracking))
        self.log.touch()
        self.namespace: Namespace | None = None
        self._ports: list[str] = []
        self._process: subprocess.Popen[Any] | None = None

    # -- the machine --

    def power_on(self) -> None:
        """A freshly booted machine with both cables plugged in; the daemon starts."""
        self.namespace = self.network.namespace(self.name)
        for network, address in ((plan.FRONT, self.plan.front), (plan.BACK, self.plan.back)):
            self._ports.append(
                self.network.attach(
                    network, self.namespace, network, f"{address}/{plan.PREFIX_LENGTH}", mac=self.plan.mac(network)
                )
            )
        self.namespace.sysctl("net.ipv4.ip_forward", 1)
        self.start()

    def power_off(self) -> None:
        """The plug is pulled: all processes die at one moment, its cables go dead, its kernel forgets everything."""
        namespace = self._machine()
        self.network.unplug(*self._ports)  # first: killing takes a moment in which the kernel would go on forwarding
        namespace.kill_all()
        self._ports.clear()
        self.network.remove(namespace)
        self.namespace = None
        self._process = None

    def _machine(self) -> Namespace:
        if self.namespace is None:
            raise SystemFault(f"{self.name} has no power")
        return self.namespace

    # -- the daemon --

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = self._machine().popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def crash(self) -> None:
        """SIGKILL to every process of the daemon at one moment. What it programmed into the kernel stays."""
        self._machine().kill_all()
        self._process = None

    def stop(self, deadline_s: float = 10) -> int:
        """SIGTERM, as an operator stops it; returns the exit status."""
        process, self._process = self._process, None
        if process is None:
            raise SystemFault(f"{self.name} does not run")
        process.terminate()
        return process.wait(deadline_s)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def holds(self, address: str) -> bool:
        """Whether the kernel has `address` on one of its interfaces."""
        if self.namespace is None:
            return False
        listed = subprocess.run(
            ["ip", "-n", self.namespace.name, "-json", "-4", "addr"], capture_output=True, text=True, check=False
        )
        links = json.loads(listed.stdout or "[]")
        return any(have["local"] == address for link in links for have in link.get("addr_info", []))

    def last_words(self, lines: int = 15) -> list[str]:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace").splitlines()[-lines:]
        return []

    def command(self) -> list[str]:
        raise NotImplementedError

    def observe(self) -> Observation:
        raise NotImplementedError

    def looking_around(self) -> list[str]:
        """Commands for somebody who wants to look."""
        return [f"ip netns exec {self._machine().name} ip addr"]


def fastha_argv() -> list[str]:
    """How to run the `fastha` this code belongs to."""
    script = Path(sys.executable).with_name("fastha")
    return [str(script)] if script.exists() else [sys.executable, "-m", "fastha.cli"]


def ask(control: Path, command: str, timeout_s: float = 0.5) -> dict[str, Any]:
    """One question to a daemon's control socket: a JSON line there, a JSON line back. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(str(control))
        sock.sendall(json.dumps({"v": 1, "command": command}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            chunk = sock.recv(1 << 16)
            if not chunk:
                break
            answer += chunk
    reply = json.loads(answer)
    if not isinstance(reply, dict):
        raise ValueError(f"not an object: {answer[:60]!r}")
    return reply


def read_status(reply: dict[str, Any]) -> Observation:
    """The picture `fastha status --json` prints (docs/ARCHITECTURE.md, "Facts") as an Observation."""
    instances = reply.get("vrrp", {}).get("instances", {})
    checker = reply.get("checker", {})
    servers = checker.get("virtual_servers", {}).get(plan.VIRTUAL_SERVER, {}).get("real_servers", {})
    return Observation(
        running=True,
        states={name: instances[name].get("state", "init") for name in plan.INSTANCES if name in instances},
        rows={
            # A weight of null in a report deletes the key (RFC 7396): a server that is not in the table has none.
            server.name: Row(servers[server.key].get("health", "unknown"), servers[server.key].get("in_table"))
            for server in plan.SERVERS
            if server.key in servers
        },
        backend=checker.get("dataplane", {}).get("backend", ""),
    )


class FasthaDirector(Director):
    """`fastha run` with a control socket of its own."""

    def command(self) -> list[str]:
        words = ["run", "-f", str(self.conf), "--dataplane", self.dataplane, "--control", str(self.control)]
        return [*fastha_argv(), *words]

    def observe(self) -> Observation:
        if not self.running:
            return Observation()
        try:
            return read_status(ask(self.control, "status"))
        except (OSError, ValueError):  # not listening yet, or just being killed
            return Observation(running=True, heard=False)

    def looking_around(self) -> list[str]:
        return [*super().looking_around(), f"{' '.join(fastha_argv())} status --control {self.control}"]


# Without IPVS keepalived does VRRP only, when told so; nobody balances then. This fixed table stands in, so that what a
# client sees of its VRRP can be compared.
STAND_IN = f"""
table ip lab {{
    chain pre {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr {plan.SERVICE_ADDRESS} tcp dport {plan.SERVICE_PORT} dnat ip addr . port to numgen inc mod 3 map {{
            {", ".join(f"{number} : {server.ip} . {server.port}" for number, server in enumerate(plan.SERVERS))}
        }}
    }}
    chain post {{
        type nat hook postrouting priority srcnat; policy accept;
        ct status dnat masquerade
    }}
}}
"""


class KeepalivedDirector(Director):
    """Debian's keepalived, for comparison. Its state is read off the kernel: addresses, and /proc/net/ip_vs."""

    tracking = False

    def start(self) -> None:
        if self.dataplane == "nft":
            self._machine().run(["nft", "-f", "-"], stdin="table ip lab\ndelete table ip lab\n" + STAND_IN)
        super().start()

    def command(self) -> list[str]:
        program = shutil.which("keepalived", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise SystemFault("keepalived is not installed (Debian: apt-get install keepalived)")
        base = self.network.folder / self.name
        pids = [f"--pid={base}.pid", f"--vrrp_pid={base}.vrrp.pid", f"--checkers_pid={base}.checkers.pid"]
        only_vrrp = ["--vrrp"] if self.dataplane == "nft" else []
        return [program, "--dont-fork", "--log-console", *only_vrrp, *pids, "-f", str(self.conf)]

    def crash(self) -> None:
        super().crash()
        for left in self.network.folder.glob(f"{self.name}*.pid"):
            left.unlink()

    def power_off(self) -> None:
        super().power_off()
        for left in self.network.folder.glob(f"{self.name}*.pid"):
            left.unlink()

    def observe(self) -> Observation:
        if not self.running:
            return Observation()
        addresses = {"service": plan.SERVICE_ADDRESS, "gateway": plan.GATEWAY_ADDRESS}
        states = {name: "master" if self.holds(address) else "backup" for name, address in addresses.items()}
        if self.dataplane == "nft":
            return Observation(running=True, states=states, sees_servers=False, backend="fixed nft table")
        return Observation(running=True, states=states, rows=self._ipvs_rows(), backend="ipvs")

    def _ipvs_rows(self) -> dict[str, Row]:
        with self._machine().entered(), open("/proc/thread-self/net/ip_vs") as table:
            weights = dict(_destination(line) for line in table if line.lstrip().startswith("-> ") and ":" in line[8:])
        return {
            server.name: Row("up" if server.key in weights else "down", weights.get(server.key))
            for server in plan.SERVERS
        }


def _destination(line: str) -> tuple[str, int]:
    """("10.2.0.21:8080", weight) of `  -> 0A020015:1F90      Masq    1      0          0`."""
    words = line.split()
    ip, _, port = words[1].partition(":")
    if len(ip) != 8:  # the heading, and IPv6
        return words[1], 0
    return f"{socket.inet_ntoa(bytes.fromhex(ip))}:{int(port, 16)}", int(words[3])
