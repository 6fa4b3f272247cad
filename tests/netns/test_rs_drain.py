"""Operators' decisions through the real daemon on nft: traffic, restarts, reloads, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import AF_INET
from typing import Any

import pytest

import need
from farm import PORT, REAL, VIP, Farm, say
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network

VS = f"{VIP[AF_INET]}:80/tcp"
RS = [f"{REAL[AF_INET].format(i)}:{PORT}" for i in (1, 2, 3)]


def conf(*numbers: int, port: int = 80, scheduler: str = "rr", quorum: int = 1) -> str:
    servers = "".join(
        f"real_server {REAL[AF_INET].format(i)} {PORT} {{ weight 1 TCP_CHECK {{ connect_timeout 2 }} }}\n"
        for i in numbers
    )
    return (
        f"virtual_server {VIP[AF_INET]} {port} {{ protocol TCP lb_algo {scheduler} lb_kind NAT delay_loop 1 "
        f"quorum {quorum}\n{servers}}}\n".replace(" {", " {\n").replace("}", "\n}").replace("lb_", "\nlb_")
        .replace("delay_loop", "\ndelay_loop").replace("quorum", "\nquorum").replace("weight 1", "weight 1\n")
    )  # fmt: skip


class Site:
    """A farm, and the daemon of its director."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        self.farm, self.folder = farm, folder
        self.file, self.control = folder / "keepalived.conf", str(folder / "control.sock")
        self.state, self.log = folder / "lib" / "state.json", folder / "log"
        self.daemon: subprocess.Popen[Any] | None = None

    def start(self, text: str) -> None:
        self.file.write_text(text)
        argv = ["run", "-f", self.file, "--dataplane", "nft", "--control", self.control, "--state", self.state]
        with self.log.open("ab") as log:
            self.daemon = self.farm.director.popen(
                [sys.executable, "-m", "fastha.cli", *map(str, argv)], stdin=subprocess.DEVNULL, stderr=log
            )
        self.until(lambda: self.status()["daemon"]["state"] == "running", "the daemon runs")

    def kill_everything(self) -> None:
        """As a power cut for the processes; the kernel's tables stay."""
        assert self.daemon is not None
        children = [c["pid"] for c in self.status()["daemon"]["children"].values() if "pid" in c]
        for pid in (self.daemon.pid, *children):
            os.kill(pid, signal.SIGSTOP)  # nobody sees anybody die
        for pid in (self.daemon.pid, *children):
            os.kill(pid, signal.SIGKILL)
        self.daemon.wait(10)

    def stop(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(20)

    def rs(self, *words: str, status: int = 0) -> str:
        """`fastha rs ...`; what it printed."""
        return self.fastha("rs", *words, status=status)

    def fastha(self, command: str, *words: str, status: int = 0) -> str:
        head, rest = (words[:1], words[1:]) if command == "rs" else ((), words)
        argv = [sys.executable, "-m", "fastha.cli", command, *head, "--control", self.control, *rest]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        return ask(self.control, "status")

    def server(self, number: int) -> dict[str, Any]:
        servers = self.status().get("checker", {}).get("virtual_servers", {}).get(VS, {}).get("real_servers", {})
        return dict(servers.get(RS[number - 1], {}))

    def in_table(self) -> dict[int, int]:
        return {i: self.server(i)["in_table"] for i in (1, 2, 3) if "in_table" in self.server(i)}

    def services(self) -> list[str]:
        """Those that the state file calls ours."""
        return list(json.loads(self.state.read_text())["services"]) if self.state.exists() else []

    def rules(self) -> str:
        return self.farm.director.run(["nft", "list", "ruleset"]).stdout

    def until(self, condition: Any, why: str, deadline_s: float = 20) -> None:
        def tried() -> Any:
            with suppress(NoAnswer, KeyError):
                return condition()

        try:
            need.wait_until(tried, deadline_s, why)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}") from None


@pytest.fixture
def site(network: Network, tmp_path: Path) -> Iterator[Site]:
    need.kernel("nft")
    with Farm(network) as farm:
        site = Site(farm, tmp_path)
        try:
            yield site
        finally:
            site.stop()


def healthy(site: Site, *numbers: int) -> None:
    site.until(lambda: all(site.server(i)["health"] == "up" for i in numbers or (1, 2, 3)), "all are up")


def test_a_connection_outlives_the_drain_of_its_server(site: Site) -> None:
    site.start(conf(1, 2, 3))
    healthy(site)
    with site.farm.connect() as download:
        number = int(say(download)[0][1])
        assert "as configured -> drain" in site.rs("drain", VS, RS[number - 1])
        site.until(lambda: site.server(number).get("active") == 1, "its connection is counted")
        assert site.in_table()[number] == 0
        assert site.server(number)["override"]["state"] == "draining"
        assert "DRAINING, 1 active" in site.fastha("status")
        assert f"s{number}" not in site.farm.ask(9), "new connections go elsewhere"
        assert say(download)[0] == f"s{number}", "the old one goes on"
        assert site.server(number)["override"]["state"] == "draining"
    site.until(lambda: site.server(number)["override"]["state"] == "drained", "it leaves the table")
    assert number not in site.in_table()
    assert REAL[AF_INET].format(number) not in site.rules()
    assert "no connection was active" in site.rs("list")
    assert site.farm.ask(6) == {f"s{i}": 3 for i in (1, 2, 3) if i != number}
    site.rs("enable", VS, RS[number - 1])
    site.until(lambda: site.in_table() == {1: 1, 2: 1, 3: 1}, "it is back")
    assert "override" not in site.server(number)
    assert len(site.farm.ask(9)) == 3


def test_a_deadline_cuts_the_waiting(site: Site) -> None:
    site.start(conf(1, 2, 3))
    healthy(site)
    with site.farm.connect() as download:
        number = int(say(download)[0][1])
        said = site.rs("drain", VS, RS[number - 1], "--timeout", "2.5", "--wait")
        assert "the deadline passed with 1 active" in said
        assert number not in site.in_table()


def test_decisions_survive_what_kills_the_daemon_and_a_reload(site: Site) -> None:
    site.start(conf(1, 2, 3))
    healthy(site)
    with site.farm.connect() as download:
        number = int(say(download)[0][1])
        heavy, gone = [i for i in (1, 2, 3) if i != number]
        site.rs("drain", VS, RS[number - 1])
        site.rs("weight", "*", REAL[AF_INET].format(heavy), "7")
        site.rs("disable", VS, RS[gone - 1], "--force")
        expected = {number: 0, heavy: 7}
        site.until(lambda: site.in_table() == expected, "it is so")
        rules = site.rules()
        site.kill_everything()
        assert site.rules() == rules
        site.start(conf(1, 2, 3))
        site.until(lambda: site.in_table() == expected, "the successor goes on with the same")
        assert site.server(number)["override"]["state"] == "draining", "in the middle of a drain"
        assert site.server(heavy)["weight_from"] == "override"
        healthy(site, heavy)
        assert site.status()["checker"]["dataplane"]["operations"] == 0, "and had nothing to write"
        site.file.write_text(conf(1, 2, 3, scheduler="wrr"))
        site.fastha("reload")
        assert site.in_table() == expected
        assert say(download)[0] == f"s{number}"
    site.until(lambda: site.in_table() == {heavy: 7}, "the drain has ended")
    assert "nothing to change" in site.rs("weight", VS, RS[heavy - 1], "7")
    site.rs("disable", VS, RS[gone - 1], "--forget")
    site.rs("forget", "*", "*")
    site.until(lambda: site.in_table() == {1: 1, 2: 1, 3: 1}, "configuration and checks rule again")
    assert json.loads(site.state.read_text())["overrides"] == {}


def test_all_or_nothing(site: Site) -> None:
    site.start(conf(1, 2, 3, quorum=2))
    healthy(site)
    for words in (
        ("drain", VS, RS[0], "10.9.9.9:80"),
        ("drain", "10.1.0.99:80", RS[0]),
        ("drain", VS, RS[0], RS[1]),  # quorum
        ("disable", "*", "*"),
        ("weight", VS, RS[0], "65536"),
        ("forget", VS, RS[0]),
        ("drain", VS, RS[0], "--timeout", "-1"),
    ):
        said = site.rs(*words, status=2)
        assert said.startswith(("fastha: ", "usage: ")), said
    assert "would lose its quorum: live weight 3 -> 1, quorum 2" in site.rs("drain", VS, RS[0], RS[1], status=2)
    assert site.status()["daemon"]["overrides"] == []
    assert "would be as configured -> drain" in site.rs("drain", VS, RS[0], "--dry-run")
    assert site.status()["daemon"]["overrides"] == []
    site.rs("drain", VS, RS[0], RS[1], "--force", "--wait")
    assert site.in_table() == {3: 1}
    assert site.status()["checker"]["virtual_servers"][VS]["up"] is False
    listed = json.loads(site.rs("list", "--json"))["overrides"]
    assert [(one["real_server"], one["mode"], one["state"]) for one in listed] == [
        (RS[0], "drain", "drained"), (RS[1], "drain", "drained"),
    ]  # fmt: skip
    # One that leaves the configuration keeps its decision, and is told apart.
    site.file.write_text(conf(2, 3))
    site.fastha("reload")
    assert "not in the configuration" in site.fastha("status")
    assert "not configured" in site.rs("list")
    site.rs("forget", VS, RS[0])
    assert len(site.status()["daemon"]["overrides"]) == 1


def test_a_damaged_state_file_is_moved_aside(site: Site) -> None:
    site.state.parent.mkdir()
    site.state.write_text('{"version": 1, "overrides": {"10.1')
    site.start(conf(1))
    assert site.log.read_text().count("it is not JSON; moved to") == 1
    (aside,) = site.state.parent.glob("state.json.damaged-*")
    assert aside.read_text().startswith('{"version": 1')
    assert json.loads(site.state.read_text())["services"] == [VS]


def test_a_state_file_that_cannot_be_written_refuses_decisions(site: Site) -> None:
    site.state.parent.write_text("not a folder")
    site.start(conf(1, 2, 3))
    healthy(site)
    said = site.rs("drain", VS, RS[0], status=1)
    assert "state.json: " in said
    assert "nothing was changed" in said
    assert "override" not in site.server(1)
    assert site.in_table() == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("something_left", [True, False])
def test_services_that_left_the_configuration_while_no_daemon_ran_go(site: Site, something_left: bool) -> None:
    site.start(conf(1, 2, 3) + conf(1, 2, port=81))
    healthy(site)
    assert "_81" in site.rules()
    site.kill_everything()
    site.start(conf(1, 2, 3) if something_left else "! nothing\n")
    site.until(lambda: "_81" not in site.rules(), "the old service is removed")
    assert ("_80" in site.rules()) is something_left
    expected = [VS] if something_left else []
    site.until(lambda: site.services() == expected, "and forgotten")
    site.stop()
    assert not site.state.exists()


INSTANCE = """vrrp_instance front {{
    interface front
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {{
        {}
    }}
}}
"""


@pytest.mark.parametrize("something_left", [True, False])
def test_addresses_that_left_the_configuration_while_no_daemon_ran_go(site: Site, something_left: bool) -> None:
    def addresses() -> set[str]:
        words = site.farm.director.run(["ip", "-o", "-4", "addr", "show", "dev", "front"]).stdout.split()
        return {word for word in words if word.startswith("10.1.0.20")}

    both = {"10.1.0.201/24", "10.1.0.202/24"}
    site.start(INSTANCE.format("\n".join(both)))
    site.until(lambda: addresses() == both, "it is master")
    site.kill_everything()
    assert addresses() == both
    site.farm.director.run(["ip", "addr", "add", "10.1.0.203/24", "dev", "front"])
    left = {"10.1.0.202/24"} if something_left else set()
    site.start(INSTANCE.format("10.1.0.202/24") if something_left else "! nothing\n")
    site.until(lambda: addresses() == left | {"10.1.0.203/24"}, "what is ours and unwanted goes, strangers stay")
    site.stop()
    assert addresses() == {"10.1.0.203/24"}
    assert not site.state.exists()


def test_resync_says_what_differed(site: Site) -> None:
    site.start(conf(1, 2, 3))
    healthy(site)
    assert "no operation" in site.fastha("resync")
    site.farm.director.run(["nft", "delete", "table", "ip", "fastha"])
    said = site.fastha("resync")
    dataplane = site.status()["checker"]["dataplane"]
    # The dataplane that watches for changes may have been first; then the resync has nothing left to do.
    assert said.startswith("repaired with 4 operations: ") or "no operation" in said, said
    assert dataplane["drift"] == 4
    assert len(dataplane["differed"]) == 1
    assert len(site.farm.ask(9)) == 3
    assert "differed" in site.fastha("status")
    assert VS in site.status()["checker"]["dataplane"]["differed"][0]["text"]
