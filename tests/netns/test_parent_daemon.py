"""The real daemon with fake children: what kills, hangs, refuses and reloads them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask

pytestmark = pytest.mark.root
PROGRAM = Path(__file__).resolve().parent.parent / "fakes" / "daemon.py"


def config(vrrp: str | None = "VI_1", checker: str | None = "rr", router_id: str = "") -> dict[str, Any]:
    """A configuration whose first names tell the fake children what to do; None: that child has nothing to do."""
    return {
        "globals": {"router_id": router_id},
        "instances": [] if vrrp is None else [{"name": vrrp, "interface": "eth0", "vrid": 1}],
        "virtual_servers": [] if checker is None else [{"ip": "10.0.0.1", "port": 80, "scheduler": checker}],
    }


class Running:
    """A daemon process, its files, and what its children noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config.json"
        self.control = str(folder / "control.sock")
        self.pid_file = folder / "pid"
        self.notes_file = folder / "notes"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, content: dict[str, Any] | str, wait: bool = True) -> None:
        self.write(content)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(self.file), self.control, str(self.pid_file)],
                stdin=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"FAKE_CHILD_LOG": str(self.notes_file)},
            )
        if wait:
            self.until(lambda: self.daemon()["state"] == "running", "the daemon runs", 10)

    def write(self, content: dict[str, Any] | str) -> None:
        self.file.write_text(content if isinstance(content, str) else json.dumps(content))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def notes(self, what: str, role: str = "") -> list[dict[str, Any]]:
        lines = self.notes_file.read_text().splitlines() if self.notes_file.exists() else []
        notes = [json.loads(line) for line in lines]
        return [n for n in notes if n["what"] == what and role in ("", n["role"])]

    def until(self, condition: Callable[[], Any], why: str, deadline_s: float = 5) -> Any:
        def tried() -> Any:
            with suppress(NoAnswer):
                return condition()

        try:
            return need.wait_until(tried, deadline_s, why)
        except AssertionError:
            print(self.log())
            raise

    def status(self) -> dict[str, Any]:
        return ask(self.control, "status")

    def daemon(self) -> dict[str, Any]:
        about: dict[str, Any] = self.status()["daemon"]
        return about

    def child(self, role: str) -> dict[str, Any]:
        child: dict[str, Any] = self.daemon()["children"][role]
        return child

    def child_pid(self, role: str) -> int:
        return int(self.child(role).get("pid", 0))

    def replaced(self, role: str, old_pid: int) -> bool:
        child = self.child(role)
        return child["state"] == "running" and child["pid"] != old_pid

    def wait(self, deadline_s: float = 15) -> int:
        assert self.process is not None
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            print(self.log())
            raise

    def end(self) -> None:
        """Whatever happened: nothing survives the test."""
        pids = {n["pid"] for n in self.notes("start")}
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            if is_fake(pid):
                os.kill(pid, signal.SIGKILL)


def is_fake(pid: int) -> bool:
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z" and b"fakes/child.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def children_of(pid: int) -> list[str]:
    """Command lines of living and dead children: a zombie's is empty."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            found.append(Path(f"/proc/{child}/cmdline").read_bytes().decode())
    return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    daemon = Running(tmp_path)
    yield daemon
    daemon.end()


# -- beginning and end --


def test_starts_and_stops_in_order_and_leaves_nothing(running: Running) -> None:
    running.start(config())
    assert running.pid_file.read_text() == f"{running.pid}\n"
    assert running.child("bfd")["state"] == "idle", "there is no session"
    assert {c["state"] for role, c in running.daemon()["children"].items() if role != "bfd"} == {"running"}
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 0
    assert [n["role"] for n in running.notes("stopped")] == ["vrrp", "checker"], "addresses move before rows go"
    assert sorted(os.listdir(running.folder)) == ["config.json", "log", "notes"]


def test_ctrl_c_in_a_terminal_reaches_the_parent_alone(running: Running) -> None:
    running.start(config())
    for note in running.notes("start"):
        assert note["pgid"] == note["pid"] != os.getpgid(running.pid)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait() == 0
    assert len(running.notes("stopped")) == 2


def test_a_child_gets_its_channel_and_no_other_descriptor(running: Running) -> None:
    # A descriptor that whoever started the daemon left open is the command line's business (cli/run.py).
    ours = {name for name in os.listdir("/proc/self/fd") if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}")}
    inheritable = {name for name in ours if os.get_inheritable(int(name))}
    running.start(config())
    for note in running.notes("start"):
        # 4 is the directory that the child was listing.
        assert set(note["fds"]) - inheritable <= {"0", "1", "2", "3", "4"}


def test_stop_command_waits_for_the_end(running: Running) -> None:
    running.start(config())
    done = subprocess.run(
        [sys.executable, "-m", "fastha.cli", "stop", "--control", running.control], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert running.wait(1) == 0


def test_a_child_that_does_not_stop_is_killed(running: Running) -> None:
    running.start(config(vrrp="deaf"))
    before = time.monotonic()
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 0
    assert 4.5 < time.monotonic() - before < 8
    assert "did not stop within 5000 ms: killed" in running.log()
    assert [n["role"] for n in running.notes("stopped")] == ["checker"]


def test_one_that_has_nothing_to_do_is_not_started(running: Running) -> None:
    running.start(config(checker=None))
    assert running.child("checker")["state"] == "idle"
    assert {n["role"] for n in running.notes("start")} == {"vrrp"}


def test_each_child_sees_its_own_part_only(running: Running) -> None:
    running.start(config(vrrp="only-vrrp", checker="only-checker"))
    status = running.status()
    assert list(status["vrrp"]["instances"]) == ["only-vrrp"]
    assert list(status["checker"]["virtual_servers"]) == ["10.0.0.1:80/tcp"]


def test_children_end_when_the_parent_is_killed(running: Running) -> None:
    running.start(config())
    pids = [n["pid"] for n in running.notes("start")]
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    need.wait_until(lambda: not any(map(is_fake, pids)), 3, "both children have ended")
    assert len(running.notes("orphaned")) == 2


def test_a_second_daemon_is_refused_and_a_stale_socket_is_replaced(running: Running, tmp_path: Path) -> None:
    running.start(config())
    second = subprocess.run(
        [sys.executable, str(PROGRAM), str(running.file), running.control],
        capture_output=True,
        text=True,
        env=os.environ | {"FAKE_CHILD_LOG": str(running.notes_file)},
        timeout=10,
    )
    assert second.returncode == 4
    assert "another fastha answers at the control socket" in second.stderr
    assert len(running.notes("start")) == 2, "the second started nothing"
    assert running.daemon()["state"] == "running"
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert os.path.exists(running.control)
    running.start(config())


# -- a start that fails --


@pytest.mark.parametrize(
    ("content", "status", "line"),
    [
        (config(vrrp="refuse"), 2, "not started: vrrp: eth9: no such interface"),
        (config(checker="reject"), 2, "ended: configuration refused (status 2)"),
        (config(checker="crash"), 1, "ended by itself (status 7)"),
        ("{ bad", 2, "config.json:1:3: error: "),
    ],
)
def test_nothing_half_started(running: Running, content: dict[str, Any] | str, status: int, line: str) -> None:
    running.start(content, wait=False)
    assert running.wait() == status
    assert line in running.log()
    assert not running.notes("commit"), "nobody acted on half a configuration"
    assert not os.path.exists(running.control)
    assert not running.pid_file.exists()


# -- the watchdog --


@pytest.mark.parametrize("role", ["vrrp", "checker"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_stopped_child_is_replaced_within_two_seconds(
    running: Running, role: str, number: signal.Signals
) -> None:
    running.start(config())
    other = {"vrrp": "checker", "checker": "vrrp"}[role]
    other_pid = running.child_pid(other)
    for _ in range(3):
        pid = running.child_pid(role)
        before = time.monotonic()
        os.kill(pid, number)
        running.until(lambda pid=pid: running.replaced(role, pid), f"{role} is replaced", 4)
        assert time.monotonic() - before < 2
    assert running.child_pid(other) == other_pid, "the other one does not notice"
    assert running.child(role)["restarts"] == 3
    assert len(children_of(running.pid)) == 2
    assert all(children_of(running.pid)), "no zombie"


def test_a_replacement_is_told_what_its_predecessor_reported(running: Running) -> None:
    running.start(config())
    pid = running.child_pid("vrrp")
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: running.replaced("vrrp", pid), "vrrp is replaced")
    first, second = running.notes("propose", "vrrp")
    assert first["previous"] == {}
    age = second["previous"].pop("died_ago_ns")
    assert 0 < age < 2_000_000_000
    assert second["previous"] == {"instances": {"VI_1": {"state": "master"}}}
    quorums = running.notes("quorums", "vrrp")[-1]
    assert quorums["states"] == {"10.0.0.1:80/tcp": True}
    assert quorums["pid"] != pid, "the replacement knows every quorum too"


def test_states_of_bfd_sessions_reach_who_follows_them(running: Running) -> None:
    session = {"name": "gw", "neighbor_ip": "10.0.0.1"}
    running.start({**config(), "bfds": [session]})
    for role in ("vrrp", "checker"):
        running.until(lambda role=role: running.notes("bfds", role), f"{role} is told")  # type: ignore[misc]
        assert running.notes("bfds", role)[-1]["states"] == {"gw": True}
    assert running.status()["bfd"] == {"sessions": {"gw": {"state": "up"}}}
    pid = running.child_pid("bfd")
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: running.replaced("bfd", pid), "bfd is replaced")
    again = running.notes("propose", "bfd")[-1]["previous"]
    assert again["sessions"] == {"gw": {"state": "up"}}, "what the peers know of us"
    assert 0 < again["died_ago_ns"] < 2_000_000_000
    assert all(n["states"] == {"gw": True} for n in running.notes("bfds")), "nobody heard of its death"
    pid = running.child_pid("vrrp")
    os.kill(pid, signal.SIGKILL)
    running.until(lambda: running.replaced("vrrp", pid), "vrrp is replaced")
    running.until(lambda: running.notes("bfds", "vrrp")[-1]["pid"] != pid, "the replacement knows every session too")
    running.write(config())
    os.kill(running.pid, signal.SIGHUP)
    running.until(lambda: running.child("bfd")["state"] == "idle", "without a session there is no such process")
    assert "bfd" not in running.status()


def test_a_child_that_goes_mute_is_replaced(running: Running) -> None:
    running.start(config(checker="mute"))
    pid = running.child_pid("checker")
    running.until(lambda: running.replaced("checker", pid), "checker is replaced")
    assert "gave no sign of life and was killed (signal 9, Killed; it slept)" in running.log()


def test_the_log_says_that_a_silent_child_was_stopped(running: Running) -> None:
    running.start(config())
    pid = running.child_pid("checker")
    os.kill(pid, signal.SIGSTOP)
    running.until(lambda: running.replaced("checker", pid), "checker is replaced")
    assert "gave no sign of life and was killed (signal 9, Killed; it was stopped (SIGSTOP))" in running.log()


def test_a_parent_that_was_stopped_does_not_blame_its_children(running: Running) -> None:
    running.start(config())
    pids = [running.child_pid("vrrp"), running.child_pid("checker")]
    os.kill(running.pid, signal.SIGSTOP)
    time.sleep(2.5)  # longer than the silence that would kill them: time itself is what is tested
    os.kill(running.pid, signal.SIGCONT)
    uptime = running.daemon()["uptime_s"]
    running.until(lambda: running.daemon()["uptime_s"] > uptime + 1.5, "the watchdog has judged a few times")
    assert [running.child_pid("vrrp"), running.child_pid("checker")] == pids


def test_a_crash_loop_backs_off_and_a_reload_ends_it(running: Running) -> None:
    running.start(config(vrrp="crash-again"))
    os.kill(running.child_pid("vrrp"), signal.SIGKILL)
    running.until(
        lambda: running.child("vrrp")["state"] == "waiting" and running.child("vrrp")["restarts"] >= 4, "waits", 8
    )
    assert running.child("checker")["state"] == "running"
    assert "next try in" in running.log()
    running.write(config(vrrp="VI_1"))
    assert ask(running.control, "reload", 20)["outcome"] == "committed"
    assert running.child("vrrp")["state"] == "running"


def test_nonsense_on_the_channel_costs_the_child_its_life(running: Running) -> None:
    running.start(config())
    running.write(config(checker="garbage"))
    answer = ask(running.control, "reload", 20)
    assert answer["outcome"] == "refused"
    assert "spoke nonsense" in answer["text"]
    running.until(lambda: running.child("checker")["state"] == "running", "it runs again, with what it had")


# -- reload --


def test_an_unchanged_reload_touches_nothing(running: Running) -> None:
    running.start(config())
    assert ask(running.control, "reload")["outcome"] == "unchanged"
    assert len(running.notes("propose")) == 2


def test_a_reload_concerns_only_the_child_whose_part_changed(running: Running) -> None:
    running.start(config())
    running.write(config(vrrp="VI_2"))
    os.kill(running.pid, signal.SIGHUP)
    running.until(lambda: "VI_2" in running.status()["vrrp"]["instances"], "the new instance is there")
    assert len(running.notes("propose", "checker")) == 1
    assert len(running.notes("commit", "vrrp")) == 2


def test_a_bad_file_changes_nothing_and_says_where(running: Running) -> None:
    running.start(config())
    running.write('{\n  "instances": nonsense\n}')
    done = subprocess.run(
        [sys.executable, "-m", "fastha.cli", "reload", "--control", running.control], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{running.file}:2:16: error: " in done.stderr
    assert "the running configuration stays" in done.stderr
    assert len(running.notes("propose")) == 2
    assert running.daemon()["last_reload"]["outcome"] == "refused"
    os.kill(running.pid, signal.SIGHUP)
    running.until(lambda: running.log().count(":2:16: error: ") >= 2, "the log says so too")


@pytest.mark.parametrize("role", ["vrrp", "checker"])
def test_one_refusal_abandons_it_everywhere(running: Running, role: str) -> None:
    running.start(config())
    running.write(config(**{"vrrp": "new", "checker": "new"} | {role: "refuse"}))
    answer = ask(running.control, "reload")
    assert answer["outcome"] == "refused"
    assert answer["text"] == f"{role}: eth9: no such interface; the running configuration stays"
    assert len(running.notes("commit")) == 2, "those of the start"
    running.until(lambda: len(running.notes("abandon")) == 2, "both were told")
    assert list(running.status()["vrrp"]["instances"]) == ["VI_1"]
    assert {c["restarts"] for c in running.daemon()["children"].values()} == {0}


def test_a_child_that_is_needed_is_started_and_stopped_by_reloads(running: Running) -> None:
    running.start(config(checker=None))
    running.write(config())
    assert ask(running.control, "reload")["outcome"] == "committed"
    assert running.child("checker")["state"] == "running"
    running.write(config(checker=None))
    assert ask(running.control, "reload")["outcome"] == "committed"
    # At once again, perhaps while it still stops.
    running.write(config())
    assert ask(running.control, "reload")["outcome"] == "committed"
    assert running.child("checker")["state"] == "running"
    running.write(config(checker=None))
    assert ask(running.control, "reload")["outcome"] == "committed"
    running.until(lambda: running.child("checker")["state"] == "idle", "it has stopped")
    assert "checker" not in running.status()
    assert running.status()["quorums"] == {}


def test_a_new_child_that_refuses_does_not_stay(running: Running) -> None:
    running.start(config(checker=None))
    running.write(config(checker="refuse"))
    assert ask(running.control, "reload")["outcome"] == "refused"
    running.until(lambda: running.child("checker")["state"] == "idle", "it has been stopped")
    assert running.child("vrrp")["restarts"] == 0


def test_a_reload_during_a_reload_follows_it(running: Running) -> None:
    running.start(config())
    running.write(config(vrrp="slow-ready one"))
    os.kill(running.pid, signal.SIGHUP)
    running.until(lambda: len(running.notes("propose", "vrrp")) == 2, "the first one is under way")
    running.write(config(vrrp="VI_3"))
    assert ask(running.control, "reload", 20)["outcome"] == "committed"
    assert list(running.status()["vrrp"]["instances"]) == ["VI_3"]
    assert [n["generation"] for n in running.notes("commit", "vrrp")] == [1, 2, 3]
    assert running.child("vrrp")["restarts"] == 0, "two seconds of preparing are not a hang"


def test_a_child_that_never_answers_is_abandoned(running: Running) -> None:
    running.start(config())
    running.write(config(vrrp="never-ready"))
    answer = ask(running.control, "reload", 30)
    assert answer["outcome"] == "refused"
    assert "no answer in time from vrrp" in answer["text"]
    assert running.child("vrrp")["restarts"] == 0, "its loop turns and its adverts go out"
    running.write(config(vrrp="VI_9"))
    assert ask(running.control, "reload")["outcome"] == "committed"


def test_a_child_that_dies_while_it_prepares_abandons_the_reload(running: Running) -> None:
    running.start(config())
    running.write(config(vrrp="crash"))
    answer = ask(running.control, "reload")
    assert answer["outcome"] == "refused"
    assert "status 7" in answer["text"]
    running.until(lambda: running.child("vrrp")["state"] == "running", "it runs again")
    running.until(lambda: list(running.status()["vrrp"]["instances"]) == ["VI_1"], "with what it had")


# -- what children ask for --


def test_scripts_run_in_order_and_events_are_counted(running: Running) -> None:
    running.start(config(vrrp="script"))
    output = Path(f"{running.notes_file}.scripts")
    running.until(lambda: output.exists() and output.read_text() == "0\n1\n2\n3\n4\n", "all ran, in order")
    assert running.daemon()["scripts"]["failed"] == 0
    assert running.daemon()["events"] >= 3


def test_no_descriptor_is_lost_in_many_replacements(running: Running) -> None:
    running.start(config())
    descriptors = Path(f"/proc/{running.pid}/fd")
    # The connection that asked may still be there for a moment.
    before = need.wait_until(lambda: len(list(descriptors.iterdir())), 1, "counted")
    for _ in range(3):
        pid = running.child_pid("checker")
        os.kill(pid, signal.SIGKILL)
        running.until(lambda pid=pid: running.replaced("checker", pid), "checker is replaced")
    for _ in range(20):
        running.write(config(router_id=str(time.monotonic())))
        assert ask(running.control, "reload")["outcome"] == "committed"
    need.wait_until(lambda: len(list(descriptors.iterdir())) <= before, 2, "as many descriptors as before")


def test_a_stopped_child_keeps_no_answer_waiting(running: Running) -> None:
    running.start(config())
    pids = {role: running.child_pid(role) for role in ("vrrp", "checker")}
    questions: dict[str, dict[str, Any]] = {
        "status": {}, "overrides": {}, "events": {}, "configuration": {}, "version": {},
        "override": {"action": "drain", "virtual_servers": ["*"], "real_servers": ["*"], "dry_run": True},
    }  # fmt: skip
    quickest = dict.fromkeys(questions, 1e9)
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    for _ in range(3):
        for command, fields in questions.items():
            began = time.monotonic()
            with suppress(NoAnswer):  # no server of that name: an answer like any other
                ask(running.control, command, fields=fields)
            quickest[command] = min(quickest[command], time.monotonic() - began)
        if any(Path(f"/proc/{pid}").exists() for pid in pids.values()):
            stopped = dict(quickest)  # at least one has not been replaced yet
    assert max(stopped.values()) < 0.1, stopped
    running.until(lambda: all(running.replaced(role, pid) for role, pid in pids.items()), "both are replaced", 10)


def test_events_are_told_in_order_with_their_causes_and_followed(running: Running) -> None:
    running.start(config(vrrp="talkative"))
    argv = [sys.executable, "-m", "fastha.cli", "events", "--control", running.control, "--json"]
    follower = subprocess.Popen([*argv, "--follow", "--since", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout is not None
        pid = running.child_pid("checker")
        os.kill(pid, signal.SIGKILL)
        seen: list[dict[str, Any]] = []
        while not any(one.get("kind") == "ended" for one in seen):
            seen.append(json.loads(follower.stdout.readline()))
        assert [one["number"] for one in seen] == list(range(1, len(seen) + 1))
        assert "signal 9" in seen[-1]["cause"]
        running.write(config(vrrp="talkative", router_id="other"))
        assert ask(running.control, "reload", 20)["outcome"] == "committed"
        while (seen[-1]["source"], seen[-1]["kind"]) != ("parent", "committed"):
            seen.append(json.loads(follower.stdout.readline()))
        assert [one["number"] for one in seen] == list(range(1, len(seen) + 1))
        done = subprocess.run([*argv, "--kind", "ended"], capture_output=True, text=True, timeout=30, check=True)
        assert [json.loads(line) for line in done.stdout.splitlines()] == [
            one for one in seen if one["kind"] == "ended"
        ]
    finally:
        follower.kill()
        follower.wait()
        assert follower.stdout is not None
        follower.stdout.close()
