"""`vrrp_track_process` with real processes: beside keepalived, without the process connector, after lost messages."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.config.load import load
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.lab.wait import wait_until
from fastha.model import Buffers, Config, GlobalDefs, ReceiveBuffer, Tracker, TrackProcess
from fastha.outside import OUTER
from netns.vrrp_director import Director, directors, instance

pytestmark = [pytest.mark.root]
# Obeys lines: `name X`, `fork`, `end` (of the last one forked), `exec X ARGS`.
ACTOR = """
import os, signal, sys
forked = []
for line in sys.stdin:
    word, *rest = line.split()
    if word == "name":
        open("/proc/self/comm", "w").write(rest[0])
    elif word == "fork":
        read, write = os.pipe()
        if not (pid := os.fork()):
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
        forked.append((pid, write))
    elif word == "end":
        pid, write = forked.pop()
        os.close(write)
        os.waitpid(pid, 0)
    else:
        os.execvp(rest[0], rest)
"""
TRACKED = """
vrrp_track_process one {
    process NAME
}
vrrp_track_process two {
    process NAME
    quorum 2
    quorum_max 2
}
vrrp_track_process command {
    process sleep NUMBER
    param_match
}
vrrp_track_process begins {
    process sleep BEGINS
    param_match initial
}
vrrp_track_process never {
    process NAME
    quorum_max 0
}
vrrp_instance vi {
    interface eth0
    virtual_router_id VRID
    priority 100
    advert_int 1
    virtual_ipaddress {
        10.9.0.VRID
    }
    track_process {
        one weight 1
        two weight 2
        command weight 4
        begins weight -8
        never weight 16 reverse
    }
}
"""


class Actor:
    """A process that does what it is told."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", ACTOR], stdin=subprocess.PIPE, text=True)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Counting(Director):
    """With processes besides."""

    whole = Config()

    def __init__(self, namespace: Namespace, previous: dict[str, Any] | None = None) -> None:
        """It was started outside, as by a parent that then entered `net_namespace`."""
        outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.prefix = ("env", f"{OUTER}={outside}", *self.prefix)
        super().__init__(namespace, previous)
        self.outside = outside

    def __exit__(self, *what: object) -> None:
        os.close(self.outside)
        super().__exit__(*what)

    def config(self, values: tuple[Any, ...]) -> Config:
        return replace(self.whole, instances=values)

    def until_priority(self, wanted: int) -> None:
        self.until(lambda: self.router().get("priority") == wanted, f"priority {wanted}", 20)


@contextmanager
def keepalived(namespace: Namespace, folder: Path, text: str) -> Iterator[Path]:
    """It opens the connector before it enters `net_namespace`; from within it hears nothing. Its log."""
    path, log = folder / "keepalived.conf", folder / "keepalived.log"
    path.write_text(f"net_namespace {namespace.name}\n{text}")
    with log.open("ab") as out:
        argv = [need.tool("keepalived"), "-n", "-l", "-G", "-D", "-P", "-f", str(path)]
        process = subprocess.Popen(argv, stdout=out, stderr=out)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(10)


def priority(log: Path) -> int:
    found = re.findall(r"effective priority from \d+ to (\d+)", log.read_text())
    return int(found[-1]) if found else 100


@pytest.fixture
def actor() -> Iterator[Actor]:
    one = Actor()
    yield one
    one.kill()


@pytest.mark.interop
def test_the_same_processes_mean_the_same_to_keepalived(network: Network, tmp_path: Path, actor: Actor) -> None:
    a, b = directors(network)
    name, number = f"fp{actor.process.pid}", f"9{actor.process.pid}"
    text = TRACKED.replace("NAME", name).replace("NUMBER", number).replace("BEGINS", number[:-1])
    mine, theirs = text.replace("VRID", "61"), text.replace("VRID", "62")
    (tmp_path / "mine.conf").write_text(mine)
    loaded = load(str(tmp_path / "mine.conf"))
    assert loaded.faults == ()
    whole = loaded.config
    base = 100 - 16  # `never` is up, and reverse; `begins` is down, and costs
    steps = [
        (f"name {name}", base + 16 - 8 + 1),
        ("fork", base + 16 - 8 + 1 + 2),
        ("fork", base + 16 - 8 + 1),  # too many
        ("end", base + 16 - 8 + 1 + 2),
        ("end", base + 16 - 8 + 1),
        ("name other", base - 8),
        (f"name {name}", base + 16 - 8 + 1),
        (f"exec sleep {number}", base + 4),
        ("killed", base - 8),
    ]
    with keepalived(b, tmp_path, theirs) as log, Counting(a) as us:
        us.whole = whole
        us.configure(*whole.instances)
        us.until_priority(base - 8)
        wait_until(lambda: priority(log) == base - 8, 20, "keepalived has looked")
        for line, wanted in steps:
            if line == "killed":
                actor.kill()
            else:
                actor.say(line)
            us.until_priority(wanted)
            wait_until(lambda: priority(log) == wanted, 20, f"{line}: keepalived at {wanted}: {log.read_text()}")  # noqa: B023
        assert us.facts["processes"]["one"] == {"up": False, "running": 0}
        assert us.stop() == 0
        assert "process connector says nothing" not in us.log


def test_a_process_without_weight_is_needed(network: Network, actor: Actor) -> None:
    a, _ = directors(network)
    name = f"fp{actor.process.pid}"
    with Counting(a) as us:
        us.whole = Config(processes=(TrackProcess(name="p", argv=(name,)),))
        us.configure(instance(track=(Tracker("process", "p"),)))
        us.until(lambda: us.router().get("faults") == ["process p has no quorum"], "its fault", 20)
        actor.say(f"name {name}")
        us.until_role("master", deadline_s=20)
        actor.kill()
        us.until_role("fault", deadline_s=20)
        assert [e["text"] for e in us.events if e["kind"] == "process"] == [
            "down: 0 running", "up: 1 running", "down: 0 running",
        ]  # fmt: skip
        us.whole = Config()
        us.configure(instance())
        us.until(lambda: us.facts.get("processes") in (None, {}), "nothing is told of it any more", 20)
        assert us.stop() == 0


def test_lost_messages_mean_another_look(network: Network, actor: Actor) -> None:
    a, _ = directors(network)
    name = f"fp{actor.process.pid}"
    with Counting(a) as us:
        us.whole = Config(
            globals=GlobalDefs(buffers=Buffers(process_monitor=ReceiveBuffer(1))),
            processes=(TrackProcess(name="p", argv=(name,)),),
        )
        us.configure(instance(track=(Tracker("process", "p", 20),)))
        us.until(lambda: "processes" in us.facts, "the first look", 20)
        for wanted in (120, 100):
            us.signal(signal.SIGSTOP)
            for _ in range(20):
                subprocess.run(["/bin/true"], check=True)
            actor.say(f"name {name if wanted == 120 else 'other'}")
            wait_until(
                lambda: (Path(f"/proc/{actor.process.pid}/comm").read_text() == f"{name}\n") is (wanted == 120),  # noqa: B023
                20,
                "the name",
            )
            us.signal(signal.SIGCONT)
            us.until_priority(wanted)
        assert "messages of the process connector were lost" in us.log
        assert us.stop() == 0


class Apart(Counting):
    """In a PID namespace of its own, where the connector is silent; one process beside it."""

    def __init__(self, namespace: Namespace, beside: Path) -> None:
        self.prefix = (
            "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
            "sh", "-c", '"$0" 1000 & exec "$@"', str(beside),
        )  # fmt: skip
        super().__init__(namespace)


def test_without_the_connector_proc_is_read(network: Network, tmp_path: Path) -> None:
    a, _ = directors(network)
    beside = tmp_path / f"fp{time.monotonic_ns() % 10**9}"
    shutil.copy("/bin/sleep", beside)
    with Apart(a, beside) as us:
        us.whole = Config(processes=(TrackProcess(name="p", argv=(beside.name,)),))
        us.configure(instance(track=(Tracker("process", "p", 20),)))
        us.until_priority(120)
        for pid in a.pids():
            if Path(f"/proc/{pid}/comm").read_text().strip() == beside.name:
                a.run(["kill", str(pid)])
        us.until_priority(100)
        assert us.log.count("process connector says nothing here") == 1
        assert us.stop() == 0
