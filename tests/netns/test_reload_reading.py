"""A reading process that hangs, dies or talks nonsense refuses the reload, and the daemon runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastha.cli.client import ask
from netns.test_parent_daemon import Running, config

pytestmark = pytest.mark.root


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    daemon = Running(tmp_path)
    yield daemon
    daemon.end()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("hang", "it said nothing for 2 s"),
        ("exit", "it ended with status 3 (this is what I have to say)"),
        ("garbage", "it spoke nonsense"),
        ("halfway", "it ended too early"),
        ("crash", "it was killed by signal 6, Aborted"),
    ],
)
def test_a_reading_process_that_fails(running: Running, word: str, text: str) -> None:
    running.start(config("VI_1"))
    before, pids = len(running.notes("propose")), running.child_pid("vrrp")
    running.write(config("VI_2") | {"reading": word})
    answer = ask(running.control, "reload", 20)
    assert (answer["outcome"], answer["ok"]) == ("refused", False)
    assert f"the process that reads it failed: {text}" in answer["text"]
    assert answer["text"].endswith("; the running configuration stays")
    assert len(running.notes("propose")) == before  # nobody heard of it
    assert running.child_pid("vrrp") == pids
    if word == "exit":
        assert "this is what I have to say" in running.log()
    running.write(config("VI_2"))
    assert ask(running.control, "reload", 20)["outcome"] == "committed"
    assert not [name for name in os.listdir(f"/proc/{running.pid}/task/{running.pid}") if name == "zombie"]


def test_a_start_that_cannot_be_read_says_why(running: Running) -> None:
    running.start(config() | {"reading": "exit"}, wait=False)
    assert running.wait() == 1
    assert "not started: " in running.log()
    assert "it ended with status 3" in running.log()


def test_a_stop_while_reading(running: Running) -> None:
    running.start(config("VI_1"))
    running.write(config("VI_2") | {"reading": "hang"})
    assert running.process is not None
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    before = len(children.read_text().split())
    os.kill(running.pid, 1)
    running.until(lambda: len(children.read_text().split()) > before, "it reads")
    running.process.terminate()
    assert running.wait() == 0


def test_a_signal_while_the_first_one_is_read(running: Running) -> None:
    running.start(config() | {"reading": "hang"}, wait=False)
    assert running.process is not None
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    running.until(lambda: children.read_text().split(), "it reads")
    running.process.terminate()
    assert running.wait() == 0


def test_the_state_of_a_part_is_asked_for_alone(running: Running) -> None:
    running.start(config("VI_1"))
    answer = ask(running.control, "status", 5, {"only": ["daemon", "none"]})
    assert "daemon" in answer
    assert "vrrp" not in answer
