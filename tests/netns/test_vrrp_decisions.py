"""Operators' decisions about instances with two real daemons: mastership moves and stays, over reload and restart."""

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
from fastha.lab.netns import Namespace
from fastha.lab.network import Network

VIPS = {"vi_1": "10.9.0.101", "vi_2": "10.9.0.102"}


def conf(priority: int, *, more: str = "", names: tuple[str, ...] = ("vi_1", "vi_2")) -> str:
    return "".join(
        f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {50 + i}\npriority {priority}\nversion 3\n"
        f"advert_int 0.1\n{more}\nvirtual_ipaddress {{\n{VIPS[name]}/32\n}}\n}}\n"
        for i, name in enumerate(names)
    )


class Side:
    """One director with the real daemon."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self.folder = namespace, folder
        self.file, self.control = folder / "keepalived.conf", str(folder / "control.sock")
        self.log = folder / "log"
        self.daemon: subprocess.Popen[Any] | None = None

    def start(self, text: str) -> None:
        self.file.write_text(text)
        argv = ["run", "-f", self.file, "--dataplane", "none", "--control", self.control]
        with self.log.open("ab") as log:
            self.daemon = self.namespace.popen(
                [sys.executable, "-m", "fastha.cli", *map(str, argv)], stdin=subprocess.DEVNULL, stderr=log
            )
        self.until(lambda: ask(self.control, "status")["daemon"]["state"] == "running", "the daemon runs")

    def stop(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(20)

    def restart(self) -> None:
        self.stop()
        self.start(self.file.read_text())

    def vrrp(self, *words: str, status: int = 0) -> str:
        argv = [sys.executable, "-m", "fastha.cli", "vrrp", words[0], "--control", self.control, *words[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr + self.log.read_text()[-3000:]
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def facts(self, name: str = "vi_1") -> dict[str, Any]:
        return dict(ask(self.control, "status").get("vrrp", {}).get("instances", {}).get(name, {}))

    def role(self, name: str = "vi_1") -> str:
        return str(self.facts(name).get("state"))

    def has(self, name: str) -> bool:
        text = self.namespace.run(["ip", "-4", "-o", "addr", "show", "dev", "eth0"]).stdout
        return f"{VIPS[name]}/32" in text

    def until(self, condition: Any, why: str, deadline_s: float = 20) -> None:
        def tried() -> Any:
            with suppress(NoAnswer, KeyError):
                return condition()

        try:
            need.wait_until(tried, deadline_s, why)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-3000:]}") from None

    def until_role(self, role: str, *names: str) -> None:
        self.until(lambda: all(self.role(n) == role for n in names or VIPS), f"{names} {role} in {self.folder.name}")


@pytest.fixture
def sides(network: Network, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    made = []
    for number, name in enumerate("ab", 1):
        namespace = network.namespace(name)
        network.attach("lan", namespace, "eth0", f"10.9.0.{number}/24")
        (tmp_path / name).mkdir()
        made.append(Side(namespace, tmp_path / name))
    try:
        yield made[0], made[1]
    finally:
        for side in made:
            side.stop()


def both(sides: tuple[Side, Side]) -> tuple[Side, Side]:
    """The one with the higher priority is master; each has heard the other."""
    a, b = sides
    b.start(conf(100))
    b.until_role("master")
    a.start(conf(150))
    a.until_role("master")
    b.until_role("backup")
    return a, b


def test_a_failover_moves_mastership_and_it_stays_until_it_is_needed(sides: tuple[Side, Side]) -> None:
    a, b = both(sides)
    assert [peer["ip"] for peer in a.facts()["peers"]] == ["10.9.0.2"]
    assert "would be" in a.vrrp("failover", "vi_*", "--dry-run")
    assert a.role("vi_1") == "master"
    said = a.vrrp("failover", "vi_1")
    assert "as configured -> failed over" in said
    assert "backup, priority 150, 10.9.0.2 is master" in said
    assert (a.role("vi_1"), a.role("vi_2")) == ("backup", "master")
    b.until(lambda: b.has("vi_1"), "the peer has the address")
    assert not a.has("vi_1")
    assert a.vrrp("failover", "vi_1", status=2).count("nothing to give up")
    assert ask(a.control, "reload", 20)["outcome"] == "unchanged"
    a.restart()
    a.until_role("backup", "vi_1")
    a.until_role("master", "vi_2")
    a.until(lambda: a.facts("vi_1")["received"] > 12, "it hears the peer, which has the lower priority")
    assert a.role("vi_1") == "backup", "and honours it"
    b.stop()
    a.until_role("master")
    assert "no decisions" in a.vrrp("list"), "it was needed: the failover is over"
    events = ask(a.control, "events", fields={"kinds": ["override"], "subjects": ["vi_1"]})["events"]
    assert events[-1]["cause"] == "no other master was heard"


def test_who_is_held_stays_backup_over_a_restart_until_it_is_released(sides: tuple[Side, Side]) -> None:
    a, b = both(sides)
    assert "10.9.0.2 is master" in a.vrrp("hold", "*")
    b.until_role("master")
    a.restart()
    a.until_role("backup")
    b.stop()
    a.until(lambda: a.facts()["master"] == "", "nobody is master")
    assert a.role() == "backup"
    assert "held" in a.vrrp("list")
    assert ask(a.control, "overrides")["vrrp"][0]["hold"] is True
    a.vrrp("hold", "--forget", "vi_1")
    a.vrrp("release", "vi_2")
    a.until_role("master")
    assert "no decisions" in a.vrrp("list")


def test_a_priority_takes_effect_and_reload_keeps_it(sides: tuple[Side, Side]) -> None:
    a, b = both(sides)
    assert "priority 50" in a.vrrp("priority", "vi_1", "50")
    b.until_role("master", "vi_1")
    a.file.write_text(conf(160))
    assert ask(a.control, "reload", 20)["outcome"] == "committed"
    a.until(lambda: a.facts("vi_2")["priority"] == 160, "the reload")
    assert (a.facts("vi_1")["priority"], a.role("vi_1")) == (50, "backup")
    answer = json.loads(a.vrrp("priority", "vi_1", "--forget", "--json"))
    assert answer["outcomes"] == [{"instance": "vi_1", "done": True, "outcome": answer["outcomes"][0]["outcome"]}]
    a.until_role("master", "vi_1")


def test_alone_it_is_refused_and_forced_it_comes_back(sides: tuple[Side, Side]) -> None:
    a, _ = sides
    a.start(conf(150, names=("vi_1",)))
    a.until_role("master", "vi_1")
    assert "no other router was ever heard" in a.vrrp("failover", "vi_1", status=2)
    assert "no other router was ever heard" in a.vrrp("hold", "vi_1", status=2)
    assert a.role("vi_1") == "master"
    assert "nobody took over" in a.vrrp("failover", "vi_1", "--force", status=1)
    a.until(lambda: a.has("vi_1"), "the address is back")
    assert "nobody is heard to be master" in a.vrrp("hold", "vi_1", "--force", "--timeout", "1", status=1)
    assert a.vrrp("hold", "nobody", status=2).count("no instance or sync group is called")


def test_a_sync_group_is_moved_by_its_name_and_together(sides: tuple[Side, Side]) -> None:
    a, b = sides
    group = "vrrp_sync_group both {\ngroup {\nvi_1\nvi_2\n}\n}\n"
    b.start(group + conf(100))
    b.until_role("master")
    a.start(group + conf(150))
    a.until_role("master")
    b.until_role("backup")
    said = a.vrrp("failover", "both")
    assert said.count("10.9.0.2 is master") == 2
    b.until_role("master")
    a.vrrp("release", "both")
    a.until_role("master")
    a.vrrp("failover", "vi_1")  # one of them takes the other along
    a.until_role("backup")
    b.until_role("master")
