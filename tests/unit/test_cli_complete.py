"""Completion: what may come next, and the three shells that ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import need
from answering import Answering
from fastha.cli.commands import COMMANDS, actions_of, load, options_of, parser_of
from fastha.cli.complete import FILES, candidates

BIN = Path(sys.executable).parent
PICTURE: dict[str, Any] = {
    "vrrp": {"instances": {"VI_1": {"state": "master"}, "VI_2": {"state": "backup"}}},
    "checker": {"virtual_servers": {
        "10.0.0.1:80/tcp": {"up": True, "real_servers": {"10.1.0.1:80": {"health": "up"}, "10.1.0.2:80": {}}},
        "[2001:db8::1]:80/tcp": {"up": False, "real_servers": {"[2001:db8::2]:80": {"health": "down"}}},
    }},
}  # fmt: skip


def known(part: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = PICTURE.get(part, {})
    return found


def words(*line: str) -> list[str]:
    return [word for word, _ in candidates(line, known)]


def test_commands_actions_and_options() -> None:
    assert words("") == list(COMMANDS)
    assert words("st") == ["status", "stop"]
    assert words("rs", "d") == ["drain", "disable"]
    assert "--dry-run" in words("vrrp", "hold", "--")
    assert words("rs", "drain", "--ti") == ["--timeout"]
    assert words("run", "--dataplane", "n") == ["nft", "none"]
    assert words("run", "--dataplane=n") == ["--dataplane=nft", "--dataplane=none"]
    assert words("nothing", "") == []


def test_every_option_of_every_command_is_offered() -> None:
    for name in COMMANDS:
        parser = parser_of(name, load(name))
        for path, one in {(name,): parser, **{(name, sub): p for sub, p in actions_of(parser).items()}}.items():
            if actions_of(one):
                continue
            offered = words(*path, "--")
            for action in options_of(one):
                assert any(word in offered for word in action.option_strings), (path, action.option_strings)


def test_names_that_the_daemon_knows() -> None:
    assert words("vrrp", "failover", "") == ["VI_1", "VI_2"]
    assert words("vrrp", "failover", "--force", "VI_1", "VI_2") == ["VI_2"]
    assert words("rs", "drain", "10.") == ["10.0.0.1:80/tcp"]
    assert words("rs", "drain", "--timeout", "5", "10.0.0.1:80/tcp", "") == ["10.1.0.1:80", "10.1.0.2:80"]
    assert words("rs", "drain", "10.0.0.1:80/tcp", "10.1.0.1:80", "10.1.0.2") == ["10.1.0.2:80"]
    assert words("vs", "show", "[") == ["[2001:db8::1]:80/tcp"]
    assert words("status", "VI") == ["VI_1", "VI_2"]
    assert words("events", "--name", "VI_2") == ["VI_2"]
    assert dict(candidates(["vrrp", "hold", ""], known))["VI_1"] == "master"


def test_files() -> None:
    assert candidates(["check", "-f", ""], known) is FILES
    assert candidates(["status", "--control", "/ru"], known) is FILES
    assert candidates(["plan", "--from", ""], known) is FILES


@pytest.fixture
def control(tmp_path: Path) -> Iterator[str]:
    with Answering(str(tmp_path / "c"), {"status": PICTURE}) as daemon:
        yield daemon.path


def shell(*argv: str) -> list[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash(control: str) -> None:
    need.tool("bash")
    script = (
        'source <(fastha completion bash); COMP_LINE="$1"; COMP_POINT=${#1}; _fastha; printf "%s\\n" "${COMPREPLY[@]}"'
    )

    def complete(line: str) -> list[str]:
        return shell("bash", "--norc", "-c", script, "bash", line)

    assert complete("fastha st") == ["status", "stop"]
    assert complete(f"fastha vrrp hold --control {control} ") == ["VI_1", "VI_2"]
    # what stands before the last colon is already on the line
    assert complete(f"fastha rs drain --control {control} 10.0.0.1:80/tcp 10.1.0.1:") == ["80"]
    assert complete(f"fastha rs drain --control {control} 10.0.0.1:80/tcp 10.1.") == ["10.1.0.1:80", "10.1.0.2:80"]
    assert complete(f"fastha check -f {control[:-1]}") == [control]


def test_fish(control: str) -> None:
    need.tool("fish")

    def complete(line: str) -> list[str]:
        lines = shell("fish", "--no-config", "-c", f"fastha completion fish | source; complete -C '{line}'")
        return [one.partition("\t")[0] for one in lines]

    assert complete("fastha sto") == ["stop"]
    assert complete(f"fastha vrrp hold --control {control} ") == ["VI_1", "VI_2"]
    assert complete(f"fastha rs drain --control {control} 10.0.0.1:80/tcp 10.1.0.1") == ["10.1.0.1:80"]
    assert control in complete(f"fastha check -f {control[:-1]}")


def test_zsh(control: str) -> None:
    need.tool("zsh")
    # _describe belongs to zsh's own completion system, which wants a terminal: here it prints what it is given.
    script = """
        compdef() {}; _files() { print FILES }
        _describe() { local -a given; given=("${(@P)2}"); print -rl -- $given }
        source <(fastha completion zsh)
        words=("$@"); CURRENT=$#words; _fastha
    """

    def complete(*line: str) -> list[str]:
        return shell("zsh", "-f", "-c", script, "zsh", "fastha", *line)

    assert [one.partition(":")[0] for one in complete("st")] == ["status", "stop"]
    assert complete("vrrp", "hold", "--control", control, "") == ["VI_1:master", "VI_2:backup"]
    assert complete("rs", "drain", "--control", control, "10.0.0.1:80/tcp", "10.1.0.1") == [r"10.1.0.1\:80:up"]
    assert complete("check", "-f", "/") == ["FILES"]


def test_no_daemon_is_no_error(tmp_path: Path) -> None:
    done = shell("fastha", "completion", "answer", "--", "vrrp", "hold", "--control", str(tmp_path / "none"), "")
    assert done == []
