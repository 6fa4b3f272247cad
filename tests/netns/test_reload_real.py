"""Reloads of a real daemon with real children: what they cost, what they leave alone, and what interrupts them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.parent.events import RING
from walk.seeds import walk

FASTHA = (sys.executable, "-m", "fastha.cli")
GLOBAL = "global_defs {\n    router_id r\n%s}\n"
INSTANCE = """vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100/24
    }
}
"""


PORT = 8080  # somebody listens there on every address
EVENT_KB = 0.6  # of the parent, with room to spare


def servers(virtual: int, each: int, heavy: set[int] | None = None, port: int = PORT, retry: int = 1) -> str:
    """`each` real servers of 127/8 behind each of `virtual`."""
    out, number = [], 0
    for index in range(virtual):
        out.append(
            f"virtual_server 10.20.{index >> 8}.{index & 255} 80 {{\n protocol TCP\n lb_algo rr\n lb_kind DR\n"
            " delay_loop 3600\n"
        )
        for _ in range(each):
            weight = 7 if heavy and number in heavy else 5
            ip = f"127.1.{number >> 8}.{number & 255}"
            out.append(
                f" real_server {ip} 80 {{\n  weight {weight}\n  TCP_CHECK {{\n   connect_port {port}\n   warmup 3600\n"
                f"   retry {retry}\n  }}\n }}\n"
            )
            number += 1
        out.append("}\n")
    return "".join(out)


class Director:
    def __init__(self, network: Network, folder: Path) -> None:
        self.namespace: Namespace = network.namespace("director")
        network.attach("lan", self.namespace, "eth0", "10.9.0.1/24")
        self.file, self.log_file = folder / "keepalived.conf", folder / "log"
        self.control = str(folder / "control.sock")
        self.process: subprocess.Popen[Any] | None = None
        with self.namespace.entered():
            self.listener = socket.create_server(("0.0.0.0", PORT), backlog=4096)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.listener.accept()[0].close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def start(self, text: str, deadline_s: float = 30) -> None:
        self.file.write_text(text)
        with open(self.log_file, "ab") as log:
            self.process = self.namespace.popen(
                [*FASTHA, "run", "-f", self.file, "--control", self.control, "--dataplane", "none"],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        need.wait_until(lambda: self.daemon().get("state") == "running", deadline_s, f"it runs; {self.log_file}")

    def ask(self, command: str, *only: str) -> dict[str, Any]:
        try:
            return ask(self.control, command, 60, {"only": list(only)} if only else None)
        except NoAnswer:
            return {}

    def daemon(self) -> dict[str, Any]:
        return dict(self.ask("status", "daemon").get("daemon", {}))

    def child(self, role: str) -> dict[str, Any]:
        return dict(self.daemon()["children"][role])

    def checker(self) -> dict[str, Any]:
        return dict(self.ask("status", "checker").get("checker", {}))

    def real(self, virtual: str, real: str) -> dict[str, Any]:
        return dict(self.checker()["virtual_servers"][virtual]["real_servers"][real])

    def weights(self) -> dict[str, int]:
        """In the table: {real server: weight}."""
        wards = self.checker().get("virtual_servers", {})
        return {key: rs.get("in_table", 0) for ward in wards.values() for key, rs in ward["real_servers"].items()}

    def reload(self, text: str) -> dict[str, Any]:
        self.file.write_text(text)
        return ask(self.control, "reload", 60)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return int(self.process.wait(20))


@pytest.fixture
def director(network: Network, tmp_path: Path) -> Iterator[Director]:
    one = Director(network, tmp_path)
    yield one
    one.close()


def counted(**numbers: int) -> dict[str, int]:
    return {"added": 0, "removed": 0, "changed": 0} | numbers


def test_a_reload_costs_what_it_changes(director: Director) -> None:
    plain = INSTANCE + servers(100, 5)
    director.start(plain)
    need.wait_until(
        lambda: (
            director.ask("status", "vrrp").get("vrrp", {}).get("instances", {}).get("VI_1", {}).get("state") == "master"
        ),
        10,
        "it is master",
    )
    before = director.checker()["dataplane"]["operations"]
    since = director.ask("status", "vrrp")["vrrp"]["instances"]["VI_1"]["since"]
    generation = director.daemon()["generation"]

    answer = director.reload(plain)
    assert (answer["outcome"], answer["changed"]) == ("unchanged", {})
    assert set(answer["stalls_ms"]) == {"parent", "vrrp", "checker"}
    assert answer["took_s"] >= answer["reading_s"] > 0
    assert director.checker()["dataplane"]["operations"] == before

    answer = director.reload(INSTANCE + servers(100, 5, {3, 77, 401}))
    assert (answer["outcome"], answer["changed"]) == ("committed", {"real servers": counted(changed=3)})
    need.wait_until(lambda: director.checker()["dataplane"]["operations"] == before + 3, 5, "three operations")
    weights = director.weights()
    assert sorted(weights.values())[-4:] == [5, 7, 7, 7]
    assert len(weights) == 500

    answer = director.reload(INSTANCE.replace("150", "140") + servers(99, 5, {3, 77, 401}))
    assert answer["changed"] == {
        "instances": counted(changed=1),
        "virtual servers": counted(removed=1),
        "real servers": counted(removed=5),
    }
    need.wait_until(lambda: len(director.weights()) == 495, 5, "they are gone from the picture")

    def instance() -> tuple[Any, ...]:
        one = director.ask("status", "vrrp")["vrrp"]["instances"]["VI_1"]
        return one["priority"], one["state"], one["since"]

    need.wait_until(lambda: instance() == (140, "master", since), 5, "a master stays master")
    assert director.daemon()["generation"] > generation
    assert director.stop() == 0


def test_a_changed_check_changes_no_forwarding_until_it_has_an_answer(director: Director) -> None:
    plain = servers(2, 3, port=9)  # nobody listens there, but it is not asked for an hour
    director.start(plain)
    vs, rs = "10.20.0.0:80/tcp", "127.1.0.0:80"
    before = director.checker()["dataplane"]["operations"]
    kept = director.real(vs, "127.1.0.1:80")["since"]
    text = plain.replace("   retry 1\n", "   retry 2\n", 1)
    assert director.reload(text)["changed"] == {"real servers": counted(changed=1)}
    need.wait_until(lambda: director.real(vs, rs)["why"] == "reconfigured", 5, "its check begins anew")
    assert director.real(vs, rs)["health"] == "unknown"
    assert director.real(vs, rs)["in_table"] == 5
    assert director.real(vs, "127.1.0.1:80")["since"] == kept
    assert director.checker()["dataplane"]["operations"] == before
    # Its first answer, within two seconds, is that nobody listens.
    need.wait_until(lambda: director.real(vs, rs)["health"] == "down", 15, "then it is judged")
    assert director.stop() == 0


def test_decisions_of_operators_hold_over_slices(director: Director) -> None:
    plain = servers(300, 5)
    director.start(plain)
    chosen = {"virtual_servers": ["10.20.0.7:80"], "real_servers": ["127.1.0.35"]}
    ask(director.control, "override", 5, {"action": "disable", **chosen})
    everything = set(range(1500))
    assert director.reload(servers(300, 5, everything))["outcome"] == "committed"
    need.wait_until(lambda: sorted(director.weights().values())[-1499:] == [7] * 1499, 10, "all but one weigh 7")
    assert "in_table" not in director.real("10.20.0.7:80/tcp", "127.1.0.35:80")
    assert director.stop() == 0


@pytest.mark.parametrize("role", ["checker", "vrrp"])
def test_a_child_that_dies_in_the_middle(director: Director, role: str) -> None:
    rng = walk(f"dies {role}")
    everything = set(range(4000))
    text, other = INSTANCE + servers(200, 20), INSTANCE.replace("150", "140") + servers(200, 20, everything)
    director.start(text)
    pid = director.child(role)["pid"]
    director.file.write_text(other)
    reload = subprocess.Popen([*FASTHA, "reload", "--control", director.control], stdout=subprocess.DEVNULL)
    generation = director.daemon()["generation"]
    need.wait_until(lambda: director.daemon()["generation"] > generation, 20, "the proposal is under way", 0.002)
    time.sleep(rng.uniform(0, 0.3))
    os.kill(pid, signal.SIGKILL)
    reload.wait(60)
    # Committed or abandoned, but one of the two, and whole.
    need.wait_until(lambda: director.child(role)["state"] == "running", 30, "a new one runs")
    need.wait_until(lambda: len(set(director.weights().values())) == 1 and len(director.weights()) == 4000, 20, "whole")
    assert director.reload(other)["ok"]
    need.wait_until(lambda: set(director.weights().values()) == {7}, 20, "the new one in the end")
    assert director.stop() == 0


def test_a_stop_in_the_middle(director: Director) -> None:
    director.start(servers(200, 20))
    director.file.write_text(servers(200, 20, set(range(4000)), retry=3))
    generation = director.daemon()["generation"]
    os.kill(director.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
    need.wait_until(lambda: director.daemon()["generation"] > generation, 20, "the proposal is under way", 0.002)
    assert director.stop() == 0


def test_reload_time_file_and_reload_file(director: Director, tmp_path: Path) -> None:
    when, marker = tmp_path / "when", tmp_path / "marker"
    text = GLOBAL % f"    reload_time_file {when}\n    reload_file {marker}\n" + servers(1, 1)
    director.start(text)
    assert not marker.exists()
    director.file.write_text(text + "! a comment\n")
    before = director.daemon()["last_reload"]["at"]
    when.write_text(time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(time.time() + 3)))
    need.wait_until(lambda: director.daemon()["next_reload"], 5, "it knows when")
    need.wait_until(lambda: director.daemon()["last_reload"]["at"] > before, 15, "it reloads by itself")
    assert not when.exists()
    assert not marker.exists()
    assert director.daemon()["last_reload"]["outcome"] == "unchanged"
    seen = False
    os.kill(director.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
    end = time.monotonic() + 10
    while not seen and time.monotonic() < end:
        seen = marker.exists()
    assert seen  # it is there while the process reads
    need.wait_until(lambda: not marker.exists(), 10, "and gone when it has read")
    assert director.stop() == 0


def memory_and_descriptors(director: Director) -> dict[str, tuple[int, int]]:
    pids = {"parent": director.process.pid}  # type: ignore[union-attr]
    pids |= {role: child["pid"] for role, child in director.daemon()["children"].items() if child.get("pid")}
    page = os.sysconf("SC_PAGE_SIZE") // 1024
    return {
        role: (
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page,
            len(os.listdir(f"/proc/{pid}/fd")),
        )
        for role, pid in pids.items()
    }


def many_reloads(director: Director, count: int, warm: int, rng: random.Random) -> tuple[Any, Any]:
    """Alternate between two configurations that differ in everything; (before, after) of memory and descriptors."""
    heavy = {n for n in range(100) if rng.random() < 0.5}
    bfd_free = INSTANCE.replace("10.9.0.100/24", "10.9.0.101/24").replace("150", "140")
    both = INSTANCE + servers(10, 10), bfd_free + servers(9, 11, heavy, retry=3)
    director.start(both[0])
    before: dict[str, tuple[int, int]] = {}
    for number in range(1, count + 1):
        assert director.reload(both[number % 2])["outcome"] == "committed"
        if number == warm:
            before = memory_and_descriptors(director)
    assert director.checker()["dataplane"]["drift"] == 0, "nobody else touches the table"
    return before, memory_and_descriptors(director)


def flat(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], kb: int, events: int = 0) -> None:
    """`events`: new ones that the parent's ring keeps."""
    print(f"KiB and descriptors before {before}, after {after}")
    for role, (memory, descriptors) in after.items():
        assert memory - before[role][0] <= kb + (events * EVENT_KB if role == "parent" else 0), role
        assert descriptors <= before[role][1] + 2, role  # a client that is just being served


def test_some_reloads_in_a_row_leave_nothing_behind(director: Director) -> None:
    before, after = many_reloads(director, 24, 12, walk("reloads"))
    flat(before, after, 3000)
    assert director.stop() == 0


@pytest.mark.campaign
def test_ten_thousand_reloads_in_a_row_leave_nothing_behind(director: Director) -> None:
    """Each is an event, and the parent keeps the last RING of them."""
    count = int(os.environ.get("FASTHA_RELOADS", "10000"))
    warm = count // 2
    before, after = many_reloads(director, count, warm, walk("reloads"))
    flat(before, after, 1000, max(min(count, RING) - warm, 0))
    assert director.stop() == 0
