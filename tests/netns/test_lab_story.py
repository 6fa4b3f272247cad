"""The whole laboratory: the story of `make run`, and failover through a client's eyes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from fastha.errors import SystemFault
from fastha.lab import netns, plan
from fastha.lab.director import Row, read_status
from fastha.lab.laboratory import Laboratory, Options, Screen
from fastha.lab.story import Outcome, Story
from fastha.lab.witness import now_ns

CLI = [sys.executable, "-m", "fastha.cli"]


def names(prefix: str) -> list[str]:
    """Namespaces that exist."""
    return [name for name in os.listdir(netns.RUN_NETNS) if name.startswith(prefix)]


class Recorder(Screen):
    """Keeps what would have been shown; pytest prints it when a test fails."""

    def say(self, seconds: float, text: str) -> None:
        print(f"{seconds:6.2f} s  {text}")


def told(options: Options) -> Outcome:
    with Laboratory(options, Recorder()) as lab:
        outcome = Story(lab).tell()
        for director in lab.directors.values():
            print(f"--- {director.name}", *director.last_words(40), sep="\n")
    for step in outcome.steps:
        print(step.title, *step.expectations, step.seen, sep="\n    ")
    return outcome


@pytest.fixture(autouse=True)
def machine() -> None:
    need.kernel("veth", "bridge", "nft")


def test_topology_and_client_with_keepalived_as_director() -> None:
    """The laboratory itself, proven with a director that is not ours: its VRRP, and a fixed table that balances."""
    need.tool("keepalived", "nft")
    outcome = told(Options(director="keepalived"))
    failed = [str(one) for step in outcome.steps for one in step.expectations if not one.ok]
    assert not failed
    assert [step.title[:9] for step in outcome.steps[1:]] == ["director1"] * 4
    lost_power = next(step for step in outcome.steps if "loses power" in step.title)
    # The outage is real: three adverts (300 ms) less what had passed since the last one, then the peer answers.
    assert 150 < lost_power.seen.gap_ms < 500
    assert lost_power.seen.lost.keys() == {"timeout"}
    assert 0.5 * 200 * 0.15 < lost_power.seen.lost_total < 200 * 0.6


@pytest.fixture
def running_lab() -> Iterator[Laboratory]:
    need.tool("nft")
    with Laboratory(Options(dataplane="nft"), Recorder()) as lab:
        assert Story(lab).start(), "nothing works from the start"
        yield lab


@pytest.mark.parametrize("death", ["crash", "power_off"])
def test_failover_through_a_clients_eyes(running_lab: Laboratory, death: str) -> None:
    """advert_int 0.1, SIGKILL of the master's whole process tree: the client's longest gap is under 500 ms.

    `crash` leaves the kernel as it was (addresses and table go on working until the peer's ARP moves the clients);
    `power_off` also cuts both cables, so every request is lost until the peer has taken over.
    """
    lab = running_lab
    master = lab.master()
    assert master is not None
    other = next(one for one in lab.directors.values() if one is not master)
    begin = now_ns()
    getattr(master, death)()
    assert lab.wait(lambda: lab.observed[other.name].all_in("master"), 5) is not None, "nobody took over"
    taken = now_ns()
    lab.watch(1)
    end = now_ns()
    assert lab.wait(lambda: lab.witness.complete_until(end), 5) is not None
    seen, after = lab.witness.seen(begin, end), lab.witness.seen(taken, end)
    late_ms = lab.witness.late_ms(begin, end)
    assert seen.gap_ms < 500, f"{seen}; the client itself was late by {late_ms} ms"
    assert after.lost_total == 0, after
    if death == "power_off":
        assert seen.gap_ms > 150, "an outage was to be seen"


def test_sigterm_hands_over_at_once(running_lab: Laboratory) -> None:
    """A stopped master says so (priority 0): the peer waits its skew time only, and nothing stays in the kernel."""
    lab = running_lab
    master = lab.master()
    assert master is not None
    other = next(one for one in lab.directors.values() if one is not master)
    begin = now_ns()
    assert master.stop() == 0
    assert lab.wait(lambda: lab.observed[other.name].all_in("master"), 5) is not None
    assert lab.holders() == [other.name]
    lab.watch(0.5)
    end = now_ns()
    assert lab.wait(lambda: lab.witness.complete_until(end), 5) is not None
    assert lab.witness.seen(begin, end).gap_ms < 300


def test_without_real_servers_nobody_is_master(running_lab: Laboratory) -> None:
    """track_virtual_server: no quorum, no service address, on either director; with one server back, all is well."""
    lab = running_lab
    for server in plan.SERVERS:
        lab.kill_server(server.name)
    assert lab.wait(lambda: all(seen.all_in("fault") for seen in lab.observed.values()), 5) is not None
    assert lab.holders() == []
    lab.start_server("server3")
    back = now_ns()
    assert lab.wait(lambda: lab.master() is not None and lab.witness.answered_since(back, "server3"), 10) is not None
    assert lab.wait(lambda: len(lab.holders()) == 1, 5) is not None


def test_the_whole_story_with_fastha(tmp_path: Path) -> None:
    """`fastha lab --json` as `make run` calls it: every expectation, the exit status, and no trace."""
    need.tool("nft")
    with (
        (tmp_path / "progress").open("w") as progress,
        subprocess.Popen(
            [*CLI, "lab", "--dataplane", "nft", "--json"], stdout=subprocess.PIPE, stderr=progress, text=True
        ) as lab,
    ):
        answer, _ = lab.communicate(timeout=120)
    print((tmp_path / "progress").read_text())
    result = json.loads(answer)
    failed = [f"{step['title']}: {e}" for step in result["steps"] for e in step["expectations"] if not e["ok"]]
    assert not failed
    assert (result["ok"], lab.returncode, result["dataplane"], len(result["steps"])) == (True, 0, "nft", 7)
    lost_power = next(step for step in result["steps"] if "loses power" in step["title"])
    assert lost_power["client"]["gap_ms"] > 150, "the outage was real"
    assert not names(f"fastha-{lab.pid}-")
    assert not [file for file in os.listdir(tempfile.gettempdir()) if file.startswith(f"fastha-{lab.pid}-")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_it_removes_everything(number: signal.Signals) -> None:
    """Whenever the signal comes: during the set-up, in the story."""
    need.tool("keepalived", "nft")
    for moment_s in (0.2, 0.6, 2.0):
        with subprocess.Popen(
            [*CLI, "lab", "--director", "keepalived"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever started the tests may ignore it
        ) as lab:
            mine = f"fastha-{lab.pid}-"
            need.wait_until(lambda: names(mine), 10, "it makes namespaces")  # noqa: B023
            time.sleep(moment_s)  # the moment is what is tried
            lab.send_signal(number)
            assert lab.wait(60) == 128 + number
        assert not names(mine)
        assert not [f for f in os.listdir(tempfile.gettempdir()) if f.startswith(mine)]


def test_what_cannot_work_is_one_line() -> None:
    if not need.has("ip_vs"):
        with pytest.raises(SystemFault, match="no IPVS"):
            Laboratory(Options(dataplane="ipvs"), Screen()).__enter__()


def test_status_is_read_into_an_observation() -> None:
    servers = {
        "10.2.0.21:8080": {"health": "up", "in_table": 1},
        "10.2.0.22:8080": {"health": "down"},
    }
    facts = {
        "vrrp": {"instances": {"service": {"state": "master"}, "gateway": {"state": "backup"}}},
        "checker": {
            "virtual_servers": {"10.1.0.100:80/tcp": {"real_servers": servers}},
            "dataplane": {"backend": "nft"},
        },
    }
    seen = read_status(facts)
    assert seen.state == "mixed"
    assert seen.rows == {"server1": Row("up", 1), "server2": Row("down", None)}
    assert seen.backend == "nft"
    assert (seen.gives_to("server1"), seen.gives_to("server2"), seen.gives_to("server3")) == (True, False, None)
    assert not read_status({}).all_in("master"), "no instance is no master"
