"""A BFD child in a namespace with a parent made of test code, and who it meets there: FRR's bfdd, Debian's keepalived.

FRR's daemons are started by hand: their sockets, pid files and vty live in the test's folder, nothing of a system's FRR
is touched.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import need
from fastha.lab.netns import Namespace
from fastha.model import BfdInstance, Config
from fastha.model.units import NS_PER_MS
from netns.vrrp_director import Director

FRR = Path("/usr/lib/frr")


def bfd(name: str = "peer", **values: Any) -> BfdInstance:
    """A session with 10.9.0.2: 20 ms, and patience for a busy machine."""
    defaults: dict[str, Any] = {
        "neighbor_ip": "10.9.0.2",
        "min_rx_ns": 20 * NS_PER_MS,
        "min_tx_ns": 20 * NS_PER_MS,
        "multiplier": 20,
    }
    return BfdInstance(name=name, **{**defaults, **values})


class Bfd(Director):
    """`python -m fastha.bfd` under a parent made of test code."""

    module = "fastha.bfd"

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(bfds=values)

    def session(self, name: str = "peer") -> dict[str, Any]:
        found: dict[str, Any] = self.facts.get("sessions", {}).get(name, {})
        return found

    def until_state(self, state: str, name: str = "peer", deadline_s: float = 8) -> None:
        self.until(lambda: self.session(name).get("state") == state, f"{name} is {state}", deadline_s)

    def until_settled(self, tx_us: int, name: str = "peer", deadline_s: float = 8) -> None:
        """Up, with the intervals negotiated."""
        self.until(
            lambda: self.session(name).get("state") == "up" and self.session(name).get("tx_us") == tx_us,
            f"{name} sends every {tx_us} us",
            deadline_s,
        )


class Frr:
    """zebra and bfdd of FRR in a namespace. `peers`: lines of the `bfd` block of its configuration."""

    def __init__(self, namespace: Namespace, folder: Path, peers: str) -> None:
        if not (FRR / "bfdd").exists():
            need.lack("needs FRR (bfdd)")
        self.namespace = namespace
        self.folder = folder / f"frr-{namespace.name}"
        self.folder.mkdir(exist_ok=True)
        os.chmod(folder, 0o755)
        os.chmod(self.folder, 0o777)
        (self.folder / "bfdd.conf").write_text(f"log file {self.folder}/bfdd.log\nbfd\n{peers}\n!\n")
        (self.folder / "zebra.conf").write_text("!\n")
        self.zebra = self._spawn("zebra")
        need.wait_until(lambda: (self.folder / "zserv.api").exists(), 10, "zebra listens")
        self.bfdd = self._spawn("bfdd", "--bfdctl", self.folder / "bfdd.sock")
        need.wait_until(lambda: (self.folder / "bfdd.vty").exists(), 10, "bfdd listens")

    def _spawn(self, name: str, *more: Any) -> subprocess.Popen[Any]:
        d = self.folder
        with (d / f"{name}.out").open("ab") as out:
            return self.namespace.popen(
                [FRR / name, "-f", d / f"{name}.conf", "-i", d / f"{name}.pid", "-z", d / "zserv.api", "-P", "0",
                 "--vty_socket", d, "-u", "frr", "-g", "frr", *more],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def vtysh(self, *commands: str) -> str:
        words = [word for command in commands for word in ("-c", command)]
        return self.namespace.run(["vtysh", "--vty_socket", self.folder, *words]).stdout

    def configure(self, *lines: str) -> None:
        self.vtysh("configure terminal", "bfd", *lines)

    def peers(self) -> list[dict[str, Any]]:
        text = self.vtysh("show bfd peers json")
        found: list[dict[str, Any]] = json.loads(text) if text.strip() else []
        return found

    def peer(self, ip: str = "10.9.0.1") -> dict[str, Any]:
        return next((p for p in self.peers() if p["peer"] == ip), {})

    def until(self, status: str, ip: str = "10.9.0.1", deadline_s: float = 8) -> None:
        try:
            need.wait_until(lambda: self.peer(ip).get("status") == status, deadline_s, f"FRR says {status}", 0.02)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.peer(ip)}\n{self.log()}") from None

    def log(self) -> str:
        return "".join(p.read_text() for p in sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log")))

    def kill(self) -> None:
        """bfdd ends without a last word."""
        self.bfdd.kill()
        self.bfdd.wait(5)

    def stop(self) -> None:
        for process in (self.bfdd, self.zebra):
            process.terminate()
            process.wait(10)


class KeepalivedBfd:
    """Debian's keepalived with BFD sessions, in a namespace. `config`: bfd_instance blocks, one keyword per line."""

    def __init__(self, namespace: Namespace, folder: Path, config: str) -> None:
        self.folder = folder / f"ka-{namespace.name}"
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "keepalived.conf"
        path.write_text(config)
        self.namespace = namespace
        with (self.folder / "log").open("ab") as log:
            self.process = namespace.popen(
                ["keepalived", "-n", "-l", "-G", "-D", "-f", path,
                 "-p", self.folder / "pid", "-b", self.folder / "b.pid"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def kill(self) -> None:
        """All of it, without a last word."""
        self.namespace.kill_all()
        for path in self.folder.glob("*pid"):
            path.unlink()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
