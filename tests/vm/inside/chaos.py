"""Somebody ruins the kernel's table, again and again, while real servers come and go: it is made true again.

Ten virtual servers with five real servers each, checked every second. A round is a handful of random edits with
ipvsadm (deletions, wrong weights, ways to forward, schedulers, persistence, foreign destinations in our services,
foreign services, now and then everything cleared). Then either `resync` is asked for, and within a second the table
is right, at the cost of exactly the rows that differed; or nothing is asked, and one period later it is right.

FASTHA_CHAOS_ROUNDS: how many (24); FASTHA_CHAOS_SEED: which ones (random, printed).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network
from vm import guest
from vm.inside import ipvsadm
from vm.inside.ipvsadm import Row, Rows, differences
from vm.inside.mess import Mess

guest.only_inside()
pytestmark = pytest.mark.timeout(900)

ROUNDS = int(os.environ.get("FASTHA_CHAOS_ROUNDS", "24"))
SEED = int(os.environ.get("FASTHA_CHAOS_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
SERVERS, EACH = 10, 5
SCHEDULERS = ("rr", "wrr", "wlc", "lc", "sh", "mh", "dh", "sed", "nq", "wrr")
KINDS = {"NAT": "-m -w {}", "DR": "-g -w {}", "TUN": "-i -w {} --tun-type ipip"}
FOREIGN = ("-t 10.9.200.1:80", "-t 10.9.200.2:80", "-u 10.9.1.1:80", "-u 10.9.2.1:80", "-f 99")
CONVERGED_S = 1.0
STARVED_S = 5.0  # the host may take the guest's only CPU away for a while
PERIOD_S = 10.0
SETTLED_S = 15.0  # for checks to see what happened, in a guest with one slow CPU


class Virtual:
    """One virtual server, as configured and as it must be in the table."""

    def __init__(self, number: int) -> None:
        self.ip = f"10.9.{number}.1"
        self.name = f"-t {self.ip}:80"
        self.scheduler = SCHEDULERS[number]
        self.kind = ("NAT", "DR", "TUN")[number % 3]
        self.persistence = 60 * (number % 4 == 1)
        self.inhibit = number % 3 == 0
        self.sorry = "10.8.50.1" if number % 5 == 4 else ""
        self.weights = {f"10.8.{number}.{host}": host for host in range(1, EACH + 1)}

    def text(self) -> str:
        lines = [f"virtual_server {self.ip} 80 {{", "protocol TCP", f"lb_algo {self.scheduler}", f"lb_kind {self.kind}"]
        lines += ["delay_loop 1"]
        lines += [f"persistence_timeout {self.persistence}"] * bool(self.persistence)
        lines += [f"sorry_server {self.sorry} 80"] * bool(self.sorry)
        for ip, weight in self.weights.items():
            lines += [f"real_server {ip} 80 {{", f"weight {weight}", *["inhibit_on_failure"] * self.inhibit]
            lines += ["TCP_CHECK {", "connect_timeout 2", "retry 0", "delay_before_retry 0.5", "warmup 0", "}", "}"]
        return "\n".join([*lines, "}\n"])

    def row(self, alive: set[str]) -> Row:
        row = Row(f"-s {self.scheduler}" + (f" -p {self.persistence}" if self.persistence else ""))
        how = KINDS[self.kind]
        for ip, weight in self.weights.items():
            if ip in alive:
                row.dests[f"{ip}:80"] = how.format(weight)
            elif self.inhibit:
                row.dests[f"{ip}:80"] = how.format(0)
        if self.sorry and not alive & self.weights.keys():
            row.dests[f"{self.sorry}:80"] = how.format(1)
        return row


class Farm:
    """Fifty real servers in one namespace: listeners nobody accepts from, the kernel shakes hands for them."""

    def __init__(self, network: Network, addresses: list[str]) -> None:
        self.namespace = network.namespace("farm")
        self.namespace.ip(*(f"addr add {ip}/32 dev lo" for ip in addresses))
        self._ears: dict[str, socket.socket] = {}
        for ip in addresses:
            self.open(ip)

    @property
    def alive(self) -> set[str]:
        return set(self._ears)

    def open(self, ip: str) -> None:
        ear = self._ears[ip] = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.bind((ip, 80))
        ear.listen(4096)

    def close(self, ip: str) -> None:
        self._ears.pop(ip).close()

    def close_all(self) -> None:
        for ip in self.alive:
            self.close(ip)


class Site:
    """The daemon, the table it keeps, the real servers it watches."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.virtuals = [Virtual(number) for number in range(SERVERS)]
        self.servers = [ip for virtual in self.virtuals for ip in virtual.weights]
        self.names = [virtual.name for virtual in self.virtuals]
        self.farm = Farm(network, self.servers)
        self.director = network.namespace("director")
        network.cable(self.director, "back", self.farm.namespace, "eth0")
        self.director.ip("addr add 10.7.0.1/24 dev back", "route add 10.8.0.0/16 via 10.7.0.2")
        self.farm.namespace.ip("addr add 10.7.0.2/24 dev eth0")
        self.ipvsadm = ipvsadm.Ipvsadm(self.director)
        self.control = str(folder / "control.sock")
        self.log = folder / "log"
        file = folder / "keepalived.conf"
        file.write_text("".join(virtual.text() for virtual in self.virtuals))
        with self.log.open("ab") as log:
            self.daemon = self.director.popen(
                [sys.executable, "-m", "fastha.cli", "run", "-f", file, "--control", self.control],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def wanted(self) -> Rows:
        return {virtual.name: virtual.row(self.farm.alive) for virtual in self.virtuals}

    def true(self, there: Rows) -> Rows:
        """What the table must become: our services as wanted, foreign ones as they are in `there`."""
        return {name: row for name, row in there.items() if name not in self.names} | self.wanted()

    def status(self) -> dict[str, Any]:
        try:
            return ask(self.control, "status")
        except NoAnswer:
            return {}

    def settled(self) -> bool:
        """The checks have seen every real server as it is."""
        known = self.status().get("checker", {}).get("virtual_servers", {})
        health = {key: rs["health"] for vs in known.values() for key, rs in vs["real_servers"].items()}
        return health == {f"{ip}:80": "up" if ip in self.farm.alive else "down" for ip in self.servers}

    def operations(self) -> int:
        return int(self.status()["checker"]["dataplane"]["operations"])

    def checker(self) -> dict[str, Any]:
        return dict(self.status().get("daemon", {}).get("children", {}).get("checker", {}))

    def converges(self, goal: Rows, deadline_s: float, why: str) -> float:
        """Seconds until the table is `goal`."""
        start = time.monotonic()
        while (there := self.ipvsadm.rows()) != goal:
            passed_s = time.monotonic() - start
            if passed_s > deadline_s:
                pytest.fail(f"{why}: after {passed_s:.2f} s {_apart(goal, there)}\n{self.log.read_text()[-3000:]}")
        return time.monotonic() - start

    def settles(self) -> None:
        need.wait_until(self.settled, SETTLED_S, f"the checks see who lives\n{self.log.read_text()[-3000:]}", 0.1)


def _apart(goal: Rows, there: Rows) -> str:
    """What differs, for people."""
    names = [name for name in goal.keys() | there.keys() if goal.get(name) != there.get(name)]
    return "; ".join(f"{name}: wanted {goal.get(name)}, is {there.get(name)}" for name in sorted(names))


class Chaos:
    """The rounds. Each begins with a table that is right and checks that have seen everybody, and ends so."""

    def __init__(self, site: Site, random: Random) -> None:
        self.site = site
        self.random = random
        self.edits = self.repaired = 0
        self.took_s: list[float] = []  # what each resync of a calm round took

    def ruin(self, edits: int, alone: bool = True) -> Rows:
        """Random edits of the table; returns it as it is then. `alone`: nobody else changes it meanwhile."""
        ipvsadm = self.site.ipvsadm
        clear = self.random.random() < 0.05
        if clear:
            ipvsadm.clear()
        mess = Mess(self.random, {} if clear else ipvsadm.rows(), self.site.names, FOREIGN)
        mess.make(edits)
        ipvsadm.edit(mess.lines, alone)
        self.edits += len(mess.lines) + clear
        there = ipvsadm.rows()
        assert there == mess.rows or not alone, f"ipvsadm did what it was told: {mess.lines}"
        return there

    def resync(self) -> int:
        """The operations it took."""
        answer = ask(self.site.control, "resync")
        assert answer["ok"], answer
        return int(answer["operations"])

    def calm(self) -> None:
        """Nobody's health changes: exactly the differing rows are sent, counted by our own comparison."""
        site = self.site
        before = site.operations()
        there = self.ruin(self.random.randrange(0, 25))
        expected = differences(site.wanted(), there)
        start = time.monotonic()
        operations = self.resync()
        self.took_s.append(time.monotonic() - start)
        assert operations == expected, f"operations for {_apart(site.wanted(), there)}"
        assert site.ipvsadm.rows() == site.true(there), "it is so when the answer comes"
        assert site.operations() - before == expected, "and status says so"
        self.repaired += expected

    def flapping(self) -> None:
        """Real servers come and go meanwhile; their changes meet a table that is not what the checker believes."""
        site = self.site
        self.ruin(self.random.randrange(1, 15), alone=False)
        for ip in self.random.sample(site.servers, self.random.randrange(1, 12)):
            if ip in site.farm.alive:
                site.farm.close(ip)
            else:
                site.farm.open(ip)
        self.resync()
        there = self.ruin(self.random.randrange(1, 15), alone=False)
        self.resync()
        site.settles()
        site.converges(site.true(there), CONVERGED_S, "after the checks have seen the changes")
        assert self.resync() == 0

    def patient(self) -> None:
        """Nobody asks for anything."""
        there = self.ruin(self.random.randrange(5, 25), alone=False)
        self.site.converges(self.site.true(there), PERIOD_S + CONVERGED_S, "after one period")
        assert self.resync() == 0

    def killed(self) -> None:
        """The checker dies before, amid or after the edits; its replacement repairs what it finds."""
        site = self.site
        pid = site.checker()["pid"]
        when = self.random.randrange(3)
        if when == 0:
            os.kill(pid, signal.SIGKILL)
        self.ruin(self.random.randrange(1, 15), alone=False)
        if when == 1:
            os.kill(pid, signal.SIGKILL)
        there = self.ruin(self.random.randrange(1, 15), alone=False)
        if when == 2:
            os.kill(pid, signal.SIGKILL)
        need.wait_until(lambda: site.checker().get("pid") != pid, 30, "the checker is replaced")
        need.wait_until(lambda: site.checker().get("state") == "running", 30, "and its replacement runs")
        site.converges(site.true(there), CONVERGED_S, "after the checker was replaced")
        site.settles()
        assert self.resync() == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Network() as network:
        site = Site(network, tmp_path_factory.mktemp("chaos"))
        try:
            need.wait_until(site.settled, 60, "all are up")
            yield site
        finally:
            site.farm.close_all()


def test_a_table_that_is_right_costs_nothing(site: Site) -> None:
    assert site.ipvsadm.rows() == site.wanted()
    assert Chaos(site, Random(0)).resync() == 0


def test_a_ruined_table_is_made_true_again(site: Site) -> None:
    print(f"FASTHA_CHAOS_SEED={SEED} FASTHA_CHAOS_ROUNDS={ROUNDS}")
    chaos = Chaos(site, Random(SEED))
    start = time.monotonic()
    kinds = {chaos.calm: 0, chaos.flapping: 0, chaos.patient: 0, chaos.killed: 0}
    for number in range(ROUNDS):
        if number % (ROUNDS // 4) == 5:
            kind = chaos.killed
        elif number in (8, ROUNDS // 2 + 1):
            kind = chaos.patient
        else:
            kind = chaos.flapping if number % 6 == 2 else chaos.calm
        began = time.monotonic()
        try:
            kind()
        except BaseException as error:
            error.add_note(f"round {number} ({kind.__name__}) of FASTHA_CHAOS_SEED={SEED} FASTHA_CHAOS_ROUNDS={ROUNDS}")
            raise
        kinds[kind] += 1
        print(f"round {number}: {kind.__name__}, {time.monotonic() - began:.2f} s")
    took = sorted(chaos.took_s)
    rounds = ", ".join(f"{count} {kind.__name__}" for kind, count in kinds.items())
    report = f"{time.monotonic() - start:.0f} s: {rounds}; {chaos.edits} edits; in calm rounds {chaos.repaired} rows "
    report += f"repaired, resync took {took[len(took) // 2]:.3f} s (median), {took[-1]:.3f} s (longest)"
    print(report)
    if folder := os.environ.get("FASTHA_VM_IO"):
        Path(folder, "chaos").write_text(report + "\n")
    assert chaos.repaired > ROUNDS, "the rounds were about something"
    assert took[len(took) * 19 // 20] < CONVERGED_S, took
    assert took[-1] < STARVED_S, took


def test_stop_leaves_the_foreign_services_alone(site: Site) -> None:
    site.ipvsadm.edit(["-A -t 10.9.201.1:80 -s rr", "-a -t 10.9.201.1:80 -r 10.8.99.1:80 -m -w 1"])
    there = {name: row for name, row in site.ipvsadm.rows().items() if name not in site.names}
    site.daemon.terminate()
    assert site.daemon.wait(30) == 0, site.log.read_text()[-3000:]
    assert site.ipvsadm.rows() == there
