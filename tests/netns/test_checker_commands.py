"""MISC_CHECK with real processes: what hangs, forks, floods, is missing; and what is left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fastha
import need
from fastha.checker.ending import Ending
from fastha.checker.engine import Answer
from fastha.checker.misc import Commands
from fastha.child import runner as runners
from fastha.child.runner import Runner
from fastha.loop.reactor import Reactor
from fastha.model import MiscCheck, Script
from fastha.scripts.identity import Defaults

MS = 10**6
S = 10**9


class Bench:
    """The engine on a real loop; answers as they come."""

    def __init__(self, folder: Path, most: int = 8) -> None:
        self.folder = folder
        self.reactor = Reactor()
        self.runner = Runner(self.reactor, most)
        self.answers: list[Answer] = []
        self.engine = Commands(self.reactor, self.runner, self.answers.extend)

    def check(self, text: str, **more: object) -> int:
        """A slot that runs `text` in a shell, soon."""
        script = Script(("/bin/sh", "-c", text), str(more.pop("user", "")), str(more.pop("group", "")))
        return self.open(MiscCheck(script=script, **more))  # type: ignore[arg-type]

    def open(self, check: MiscCheck) -> int:
        slot = self.engine.open(check)
        self.engine.schedule(slot, self.reactor.now_ns())
        return slot

    def until(self, condition: Callable[[], object], why: str, deadline_s: float = 15) -> None:
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, f"{why}: {self.answers}"
            self.reactor.call_later(10 * MS, self.reactor.stop)
            self.reactor.run()

    def answer(self, slot: int) -> Answer:
        self.until(lambda: any(a.slot == slot for a in self.answers), "an answer")
        return next(a for a in reversed(self.answers) if a.slot == slot)

    def spawner_fds(self) -> list[str]:
        return sorted(os.listdir(f"/proc/{self.runner.pid}/fd"))

    def close(self) -> None:
        self.engine.close()
        self.reactor.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.close()


def alive(marker: str) -> list[int]:
    """Processes with `marker` in their command line."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if marker.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
        except OSError:
            pass
    return found


def test_exit_statuses(bench: Bench) -> None:
    good, bad = bench.check("echo fine"), bench.check("echo first; echo ' last ' >&2; exit 1")
    assert bench.answer(good)[2:5] == (Ending.SUCCEEDED, 0, 0)
    assert bench.answer(good).text == "fine"
    assert bench.answer(bad)[2:5] == (Ending.STATUS_OF_EXIT, 0, 1)
    assert bench.answer(bad).text == "first / last"
    plain, dynamic = bench.check("exit 12"), bench.check("exit 12", dynamic=True)
    assert bench.answer(plain)[2:5] == (Ending.STATUS_OF_EXIT, 0, 12)
    assert (bench.answer(dynamic).ending, bench.answer(dynamic).weight) == (Ending.SUCCEEDED, 10)
    for text, weight in (("exit 2", 0), ("exit 255", 253), ("exit 0", None)):
        assert bench.answer(bench.check(text, dynamic=True)).weight == weight
    one = bench.check("exit 1", dynamic=True)
    assert bench.answer(one).ending is Ending.STATUS_OF_EXIT
    killed = bench.check("kill -9 $$")
    assert bench.answer(killed)[2:5] == (Ending.SIGNAL, 0, 9)
    assert bench.engine.stats(good)[:2] == (1, 0)
    assert bench.engine.stats(bad)[:2] == (1, 1)


def test_what_cannot_be_run_fails(bench: Bench) -> None:
    """keepalived lets a check pass whose script cannot be executed; a vanished interpreter would too."""
    plain = bench.folder / "plain"
    plain.write_text("exit 0\n")
    orphan = bench.folder / "orphan"
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    for argv, user, reason in (
        (("/no/such/program",), "", "No such file"),
        ((str(plain),), "", "Permission denied"),
        ((str(orphan),), "", "No such file"),
        (("/bin/true",), "no-such-user", "there is no user no-such-user"),
        (("/bin/true\0",), "", "null byte"),
    ):
        answer = bench.answer(bench.open(MiscCheck(script=Script(argv, user))))
        assert answer.ending is Ending.NOT_RUN
        assert reason in answer.text, answer
    plain.chmod(0o755)  # without a "#!" line the shell runs it
    assert bench.answer(bench.open(MiscCheck(script=Script((str(plain),))))).ending is Ending.SUCCEEDED


def test_one_that_hangs_is_ended_with_all_its_children(bench: Bench) -> None:
    slot = bench.check("sleep 76543 & sleep 76543 & wait", timeout_ns=200 * MS)
    answer = bench.answer(slot)
    assert answer.ending is Ending.SCRIPT_TIMEOUT
    assert 200 * MS <= answer.ended_ns - answer.started_ns < 3 * S
    need.wait_until(lambda: not alive("76543"), 3, "its children are gone")


def test_one_that_ignores_sigterm_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = bench.check("trap '' TERM; while :; do sleep 0.05; done", timeout_ns=100 * MS)
    answer = bench.answer(slot)
    assert answer.ending is Ending.SCRIPT_TIMEOUT
    assert answer.ended_ns - answer.started_ns < 5 * S


def test_one_that_leaves_something_behind_is_done_and_the_rest_is_ended(bench: Bench) -> None:
    """A grandchild that holds the output open does not keep the answer back, and a check a second does not pile up."""
    slot = bench.check("sleep 65432 & exit 0")
    assert bench.answer(slot).ending is Ending.SUCCEEDED
    need.wait_until(lambda: not alive("65432"), 3, "it is gone")


def test_a_flood_of_output_is_read_and_its_end_is_kept(bench: Bench) -> None:
    slot = bench.check("head -c 5000000 /dev/zero | tr '\\0' 'x'; echo; echo the end")
    answer = bench.answer(slot)
    assert answer.ending is Ending.SUCCEEDED
    assert answer.text.endswith(" / the end")
    assert len(answer.text) < 200
    endless = bench.check("yes", timeout_ns=300 * MS)
    assert bench.answer(endless).ending is Ending.SCRIPT_TIMEOUT


def test_users_and_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    need.root()
    slot = bench.check("id -u; id -g; id -G; echo $HOME; cd /; pwd", user="nobody", group="daemon")
    uid, gid, groups, home, pwd = bench.answer(slot).text.split(" / ")
    assert (uid, gid, groups, pwd) == ("65534", "1", "1", "/")
    assert home != os.environ.get("HOME")
    bench.runner.configure(Defaults(user="nobody"), secure=False)
    assert bench.answer(bench.check("id -u")).text == "65534"
    slot = bench.check("ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0; ps -o pgid= -p $$; echo $$")
    fds, pgid, pid = bench.answer(slot).text.rsplit(" / ", 2)
    assert fds.split() == ["0", "1", "2", "3", "/dev/null"]
    assert pgid == pid, "a process group of its own"


def test_supplementary_groups(bench: Bench) -> None:
    need.root()
    script = Script(("/bin/sh", "-c", "id -G"), "root", "", supplementary=True)
    bench.runner.configure(Defaults(), secure=False)
    expected = sorted(os.getgrouplist("root", 0))
    assert sorted(map(int, bench.answer(bench.open(MiscCheck(script=script))).text.split())) == expected


def test_script_security(bench: Bench) -> None:
    need.root()
    mine = bench.folder / "check"
    mine.write_text("#!/bin/sh\nexit 0\n")
    mine.chmod(0o755)
    check = MiscCheck(script=Script((str(mine),)))
    bench.runner.configure(Defaults(), secure=True)
    answer = bench.answer(bench.open(check))
    assert answer.ending is Ending.NOT_RUN
    assert answer.text == "/tmp is writable by others (enable_script_security)"
    assert bench.answer(bench.open(MiscCheck(script=Script(("/usr/bin/true",))))).ending is Ending.SUCCEEDED
    assert bench.answer(bench.open(MiscCheck(script=Script(("true",))))).ending is Ending.SUCCEEDED
    bench.runner.configure(Defaults(), secure=False)
    assert bench.answer(bench.open(check)).ending is Ending.SUCCEEDED


def test_those_above_the_limit_wait_in_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path, most=2)
    try:
        out = tmp_path / "out"
        slots = [bench.check(f"echo {n} >> {out}; sleep 0.05") for n in range(10)]
        bench.until(lambda: bench.runner.queued, "some wait")
        assert bench.runner.running == 2
        bench.until(lambda: len(bench.answers) == 10, "all are run")
        numbers = list(map(int, out.read_text().split()))
        assert sorted(numbers) == list(range(10))
        assert all(abs(at - n) <= 1 for at, n in enumerate(numbers)), numbers
        assert bench.engine.counters()["scripts_waited"] == 8
        assert len(slots) == 10
    finally:
        bench.close()


def test_never_two_of_one_check(bench: Bench) -> None:
    slot = bench.check("sleep 0.2")
    bench.until(lambda: bench.runner.running, "it runs")
    with pytest.raises(AssertionError):
        bench.engine.schedule(slot, bench.reactor.now_ns())
    bench.answer(slot)
    bench.engine.schedule(slot, bench.reactor.now_ns())
    bench.until(lambda: len(bench.answers) == 2, "the next")


def test_a_check_that_is_closed_ends_its_command_and_says_no_more(bench: Bench) -> None:
    slot = bench.check("sleep 54321")
    bench.until(lambda: alive("54321"), "it runs")
    bench.engine.close_slot(slot)
    bench.until(lambda: not alive("54321"), "it is ended")
    bench.until(lambda: bench.runner.running == 0, "and has its room back")
    assert bench.answers == []


def test_nothing_is_left(bench: Bench) -> None:
    bench.answer(bench.check("true"))
    before = bench.spawner_fds(), len(os.listdir("/proc/self/fd"))
    for round_ in range(5):
        slots = [
            bench.check("true"),
            bench.check("sleep 43210 & exit 3"),
            bench.open(MiscCheck(script=Script(("/none",)))),
            bench.check("sleep 43210", timeout_ns=20 * MS),
        ]
        done = 1 + len(slots) * (round_ + 1)
        bench.until(lambda done=done: len(bench.answers) == done, "a round")  # type: ignore[misc]
    assert (bench.spawner_fds(), len(os.listdir("/proc/self/fd"))) == before
    children = Path(f"/proc/{bench.runner.pid}/task/{bench.runner.pid}/children")
    need.wait_until(lambda: not children.read_text().split() and not alive("43210"), 3, "no process is left")


def test_the_spawner_is_small_and_holds_nothing_of_ours(bench: Bench) -> None:
    bench.answer(bench.check("true"))
    status = Path(f"/proc/{bench.runner.pid}/status").read_text()
    rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert rss_kb < 40_000
    maps = Path(f"/proc/{bench.runner.pid}/maps").read_text()
    assert f"{Path(fastha.__file__).parent}/" not in maps, "no compiled module of ours"


def test_when_the_spawner_dies_nobody_is_blamed_and_a_new_one_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "AGAIN_NS", 50 * MS)
    slot = bench.check("sleep 32109")
    bench.until(lambda: bench.runner.pid and alive("32109"), "it runs")
    first = bench.runner.pid
    assert first
    os.kill(first, 9)
    answer = bench.answer(slot)
    assert answer.ending is Ending.SPAWNER
    need.wait_until(lambda: not alive("32109"), 3, "its commands died with it")
    assert bench.answer(bench.check("echo again")).text == "again"
    assert bench.runner.pid != first


def test_closing_ends_everything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.check("trap '' TERM; sleep 21098 & sleep 21098")
    bench.until(lambda: len(alive("21098")) >= 2, "it runs")
    pid = bench.runner.pid
    bench.close()
    assert not Path(f"/proc/{pid}").exists()
    need.wait_until(lambda: not alive("21098"), 3, "all are ended")
    bench.close()
