"""The real daemon with fake children: what the checker is told of decisions and vrrp's states, in which order."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastha.cli.client import NoAnswer, ask
from netns.test_parent_daemon import Running, config

pytestmark = pytest.mark.root
VS, RS = "10.0.0.1:80/tcp", "10.2.0.1:80"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    daemon = Running(tmp_path)
    yield daemon
    daemon.end()


def balanced(**more: Any) -> dict[str, Any]:
    content = config(**more)
    content["virtual_servers"][0]["real_servers"] = [{"ip": "10.2.0.1", "port": 80}, {"ip": "10.2.0.2", "port": 80}]
    return content


def decide(running: Running, **fields: Any) -> dict[str, Any]:
    fields = {"action": "drain", "virtual_servers": [VS], "real_servers": [RS], **fields}
    return ask(running.control, "override", 10, fields)


def told(running: Running) -> list[tuple[int, str, dict[str, Any]]]:
    """What the checkers heard, in order: (pid, "overrides" or "commit", the decisions)."""
    notes = [json.loads(line) for line in running.notes_file.read_text().splitlines()]
    return [
        (n["pid"], n["what"], n.get("overrides", {}))
        for n in notes
        if n["role"] == "checker" and n["what"] in ("overrides", "commit")
    ]


def test_the_checker_knows_decisions_before_it_commits_anything(running: Running) -> None:
    running.start(balanced())
    assert [what for _, what, _ in told(running)] == ["overrides", "commit"]
    (change,) = decide(running)["changes"]
    assert change["before"] is None
    running.until(lambda: len(told(running)) == 3, "it is told")
    assert told(running)[2][2][VS][RS] == change["after"]
    first = running.child("checker")["pid"]
    os.kill(first, signal.SIGKILL)
    running.until(lambda: running.replaced("checker", first), "it is replaced")
    assert [what for pid, what, _ in told(running) if pid != first] == ["overrides", "commit"]
    assert told(running)[-2][2][VS][RS] == change["after"]
    state = json.loads(Path(f"{running.control}.state").read_text())
    assert state["overrides"] == {VS: {RS: change["after"]}}
    assert state["services"] == [VS]


def test_a_dry_run_and_what_changes_nothing_tell_nobody(running: Running) -> None:
    running.start(balanced())
    assert decide(running, dry_run=True)["changes"][0]["after"]["mode"] == "drain"
    decide(running, action="enable")
    decide(running)
    running.until(lambda: told(running)[-1][2] != {}, "the drain is told")
    assert len(told(running)) == 3, "and only that"
    assert ask(running.control, "overrides")["overrides"][0]["in_force"] is False, "the fake reports nothing"


def test_states_of_instances_are_told_to_the_checker(running: Running) -> None:
    running.start(balanced(vrrp="VI_1"))
    running.until(lambda: running.notes("masters", "checker"), "the checker hears of them")
    assert running.notes("masters", "checker")[-1]["states"] == {"VI_1": "master"}
    running.write(balanced(vrrp="VI_2"))
    os.kill(running.pid, signal.SIGHUP)

    def known() -> dict[str, str]:
        states: dict[str, str] = {}
        for note in running.notes("masters", "checker"):
            states |= note["states"]
        return states

    running.until(lambda: known() == {"VI_1": "gone", "VI_2": "master"}, "a changed instance is told")


def test_resync_is_answered_by_the_checker_or_says_why_not(running: Running) -> None:
    running.start(balanced())
    answer = ask(running.control, "resync")
    assert (answer["operations"], answer["text"]) == (2, "as told")
    running.write(config(checker=None))
    ask(running.control, "reload", 10)
    running.until(lambda: running.child("checker")["state"] == "idle", "it has nothing to do")
    with pytest.raises(NoAnswer, match="no checker is running"):
        ask(running.control, "resync")


def test_status_shows_what_the_asker_was_just_answered(running: Running) -> None:
    running.start(balanced())
    for asked in range(1, 6):
        assert len(ask(running.control, "status")["daemon"]["overrides"]) == (asked > 1)
        ask(running.control, "resync")
        decide(running, action="weight", weight=asked)
        (override,) = ask(running.control, "status")["daemon"]["overrides"]
        assert override["weight"] == asked


def test_a_start_that_fails_forgets_nothing(running: Running) -> None:
    """What an earlier daemon left is still to be removed by the one that starts after the failure."""
    running.start(balanced())
    state = Path(f"{running.control}.state")
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = state.read_text()
    running.start(balanced(vrrp="refuse"), wait=False)
    assert running.wait() == 2
    assert state.read_text() == before


def test_a_clean_end_leaves_nothing_to_remember(running: Running) -> None:
    running.start(balanced())
    assert Path(f"{running.control}.state").exists()
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait() == 0
    assert not Path(f"{running.control}.state").exists()
