"""What the processes are like, as /proc tells: namespace, name, priority, scheduling, CPUs, memory, limits, PIDs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.child.environment import Environment
from fastha.cli.client import NoAnswer, ask
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config, GlobalDefs, ProcessDefs, Processes
from netns.vrrp_director import Director, directors, has_vip, instance

pytestmark = pytest.mark.root
FASTHA = (sys.executable, "-m", "fastha.cli")


class Told(Director):
    processes = Processes()

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(globals=GlobalDefs(processes=self.processes), instances=values)

    @property
    def pid(self) -> int:
        return self.process.pid

    def change(self, **values: Any) -> None:
        self.processes = Processes(**values)
        self.configure(instance())

    def status(self, field: str) -> str:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{field}:"))


def test_a_child_becomes_what_is_wanted_and_goes_back(network: Network) -> None:
    a, _ = directors(network)
    with Told(a) as child:
        vrrp = ProcessDefs("my_vrrp", -5, True, 7, 300_000, (0,))
        child.change(vrrp=vrrp, umask=0o27)
        pid = child.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == -5
        assert os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR
        assert os.sched_getscheduler(pid) & os.SCHED_RESET_ON_FORK
        assert os.sched_getparam(pid).sched_priority == 7
        assert os.sched_getaffinity(pid) == {0}
        assert int(child.status("VmLck").split()[0]) > 10_000
        assert (child.status("Name"), child.status("Umask")) == ("my_vrrp", "0027")
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "realtime timeout" in line).split()[3] == "300000"
        child.until_role("master")
        child.change(names=True)
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        assert len(os.sched_getaffinity(pid)) == os.cpu_count()
        assert child.status("VmLck") == "0 kB"
        assert child.status("Name") == "fastha_vrrp"
        assert child.router()["state"] == "master"
        assert child.stop() == 0


def test_what_the_system_refuses_is_one_line_and_it_runs(network: Network) -> None:
    need.tool("setpriv")
    a, _ = directors(network)

    class Weak(Told):
        prefix = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")

    with Weak(a) as child:
        child.change(vrrp=ProcessDefs(nice=-20, rt_priority=7, cpus=(1023,)))
        child.until_role("master")
        lines = [line.split("]: ", 1)[1] for line in child.log.splitlines() if "has no effect" in line]
        assert lines == [
            "vrrp_cpu_affinity has no effect: Invalid argument",
            "vrrp_priority -20 has no effect: Permission denied",
            "vrrp_rt_priority 7 has no effect: Operation not permitted",
        ]


def test_too_long_without_a_pause_ends_real_time_and_not_the_process() -> None:
    """In a process of its own, which burns CPU time beyond its limit."""
    text = """
import logging, os, sys, time
from fastha.child.environment import Environment
from fastha.model import ProcessDefs, Processes
said = []
e = Environment("vrrp", lambda level, text: said.append(text))
e.follow(Processes(vrrp=ProcessDefs(rt_priority=3, rttime_us=50_000)))
assert os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR, said
end = time.process_time() + 20
while os.sched_getscheduler(0) != os.SCHED_OTHER and time.process_time() < end:
    pass
print(said)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['more than 50000 us without a pause: goes on without real-time priority']"


def test_lateness_raises_the_priority_step_by_step() -> None:
    said: list[str] = []
    environment = Environment("vrrp", lambda _level, text: said.append(text))
    before = os.sched_getscheduler(0)
    try:
        environment.follow(Processes(auto_priority=2, auto_delay_us=1000))
        environment.late(999_999)
        assert os.sched_getscheduler(0) == before
        for wanted in (1, 2, 2):
            environment.late(1_000_000)
            assert os.sched_getparam(0).sched_priority == wanted
        assert len(said) == 2
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


CONF = """
net_namespace NAMESPACE
instance one
child_wait_time WAIT
global_defs {
    process_name my_parent
    process_names
    checker_priority 3
    bfd_cpu_affinity 0
    bfd_process_name my_bfd
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100
    }
}
virtual_server 10.9.0.100 80 {
    protocol TCP
    real_server 10.9.0.1 8099 {
        TCP_CHECK {
        }
    }
}
bfd_instance B {
    neighbor_ip 10.9.0.2
}
"""


@contextmanager
def daemon(
    folder: Path, text: str, dataplane: str = "none", within: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`fastha run` in this namespace, or by a command that goes to another one."""
    file = folder / "keepalived.conf"
    file.write_text(text)
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(
            [*within, *FASTHA, "run", "-f", str(file), "--dataplane", dataplane],
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield process, file
    except BaseException:
        print((folder / "log").read_text())
        raise
    finally:
        process.terminate()
        process.wait(20)


def status(control: str) -> dict[str, Any]:
    with suppress(NoAnswer):
        return ask(control, "status")
    return {}


def test_a_daemon_with_a_name_in_a_namespace_of_its_own(network: Network, tmp_path: Path) -> None:
    a, _ = directors(network)
    folder = Path(f"/run/fastha/{a.name}_one")
    control = str(folder / "control.sock")
    with daemon(tmp_path, CONF.replace("NAMESPACE", a.name).replace("WAIT", "5")) as (process, file):
        need.wait_until(lambda: status(control).get("daemon", {}).get("state") == "running", 20, "it runs")
        need.wait_until(lambda: has_vip(a), 10, "it is master there")
        pids = {role: int((folder / f"{role}.pid").read_text()) for role in ("fastha", "vrrp", "checker", "bfd")}
        assert pids["fastha"] == process.pid
        inside = os.stat(f"/run/netns/{a.name}").st_ino
        assert {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in pids.values()} == {inside}
        names = {role: Path(f"/proc/{pid}/comm").read_text().strip() for role, pid in pids.items()}
        assert names == {
            "fastha": "my_parent", "vrrp": "fastha_vrrp", "checker": "fastha_checker", "bfd": "my_bfd",
        }  # fmt: skip
        assert os.getpriority(os.PRIO_PROCESS, pids["checker"]) == 3
        assert os.sched_getaffinity(pids["bfd"]) == {0}
        os.kill(pids["vrrp"], signal.SIGKILL)
        need.wait_until(
            lambda: (folder / "vrrp.pid").exists() and int((folder / "vrrp.pid").read_text()) != pids["vrrp"],
            10,
            "the file of the replacement",
        )
        file.write_text(CONF.replace("NAMESPACE", a.name).replace("WAIT", "5").replace("instance one", "instance two"))
        answer = ask(control, "reload", timeout_s=20)
        assert "instance cannot change while the daemon runs (one -> two)" in json.dumps(answer)
    assert process.returncode == 0
    assert not list(folder.glob("*.pid"))
    assert not has_vip(a)


def test_a_namespace_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with daemon(tmp_path, "net_namespace nowhere_at_all\n" + CONF.split("\n", 2)[2].replace("WAIT", "5")) as (
        process,
        _,
    ):
        assert process.wait(20) == 4
    assert "net_namespace nowhere_at_all: No such file or directory" in (tmp_path / "log").read_text()


def test_a_child_that_does_not_stop_is_killed_after_child_wait_time(network: Network, tmp_path: Path) -> None:
    a, _ = directors(network)
    folder = Path(f"/run/fastha/{a.name}_one")
    control = str(folder / "control.sock")
    with daemon(tmp_path, CONF.replace("NAMESPACE", a.name).replace("WAIT", "1")) as (process, _):
        need.wait_until(lambda: status(control).get("daemon", {}).get("state") == "running", 20, "it runs")
        pid = int((folder / "checker.pid").read_text())
        process.terminate()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        process.wait(20)
    assert "did not stop within 1000 ms: killed" in (tmp_path / "log").read_text()


BALANCING = """
net_namespace NAMESPACE
net_namespace_ipvs WHERE
virtual_server 10.9.0.100 80 {
    protocol TCP
    lb_kind NAT
    real_server 10.9.0.1 8099 {
        TCP_CHECK {
            connect_timeout 1
            delay_loop 1
            retry 0
            warmup 0
        }
    }
    real_server 10.9.0.1 8098 {
    }
}
"""


@pytest.mark.parametrize("named", [True, False])
def test_the_balancer_in_another_namespace_than_the_checks(network: Network, tmp_path: Path, named: bool) -> None:
    """Checks are made in the one, rows are in the other: its name is said, or it is the one of the start. They stay
    true there, also by the process that replaces one that died."""
    need.tool("nft")
    a, b = directors(network)
    text = BALANCING.replace("NAMESPACE", a.name).replace("WHERE", b.name if named else "")

    def rows(namespace: Namespace) -> str:
        return namespace.run(["nft", "list", "ruleset"]).stdout

    control = f"/run/fastha/{a.name}/control.sock"
    elsewhere = () if named else b.argv([])
    with a.socket(socket.AF_INET, socket.SOCK_STREAM) as door, daemon(tmp_path, text, "nft", elsewhere) as (_, file):
        door.bind(("10.9.0.1", 8099))
        door.listen()
        need.wait_until(lambda: status(control).get("daemon", {}).get("state") == "running", 20, "it runs")

        def real() -> dict[str, Any]:
            servers = status(control).get("checker", {}).get("virtual_servers", {})
            found: dict[str, Any] = servers.get("10.9.0.100:80/tcp", {}).get("real_servers", {})
            return found.get("10.9.0.1:8099", {})

        need.wait_until(lambda: real().get("health") == "up", 20, "what answers in the one namespace is up")
        need.wait_until(lambda: "8099" in rows(b), 5, "its row in the other")
        assert rows(a) == ""
        b.run(["nft", "flush", "ruleset"])
        need.wait_until(lambda: "8099" in rows(b), 30, "it hears of that, and repairs")
        checker = status(control)["daemon"]["children"]["checker"]["pid"]
        os.kill(checker, signal.SIGKILL)
        door.close()
        need.wait_until(lambda: real().get("health") == "down" and "8099" not in rows(b), 20, "the next one goes on")
        assert "8098" in rows(b)
        assert status(control)["checker"]["dataplane"]["namespace"].startswith("/run/netns/" if named else "/proc/")
        file.write_text(text.replace("net_namespace_ipvs", "#"))
        answer = json.dumps(ask(control, "reload", timeout_s=20))
        assert f"net_namespace_ipvs cannot change while the daemon runs ({b.name if named else 'no name'} ->" in answer
    assert "8098" not in rows(b), "the end takes them away"
