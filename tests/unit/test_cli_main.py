"""The command line: help, errors in one line, exit statuses, and what is not loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fastha
from fastha.cli import main as cli


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fastha.cli", *words], capture_output=True, text=True, timeout=30)


def test_alone_prints_help() -> None:
    done = run()
    assert done.returncode == 0
    assert all(name in done.stdout for name in cli.COMMANDS)
    assert "exit status:" in done.stdout


@pytest.mark.parametrize("name", [n for n in cli.COMMANDS if n != "version"])
def test_every_command_has_help_with_its_exit_statuses(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([name, "--help"])
    assert caught.value.code == 0
    assert "exit status" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("word", ["version", "--version", "-V"])
def test_version(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 0
    assert capsys.readouterr().out == f"fastha {fastha.__version__}\n"


@pytest.mark.parametrize("words", [["statsu"], ["run", "--dataplane", "magic"], ["status", "--surplus"]])
def test_misuse_is_status_2(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["status", "reload", "stop"])
def test_no_daemon(command: str, tmp_path: Path) -> None:
    done = run(command, "--control", str(tmp_path / "none.sock"))
    assert done.returncode == 3
    assert done.stderr == f"fastha: no answer at {tmp_path}/none.sock: is the daemon running?\n"


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    done = run("run", "-f", str(tmp_path / "none.conf"), "--control", str(tmp_path / "c"))
    assert done.returncode == 2
    assert "none.conf" in done.stderr
    assert "not started" in done.stderr
    assert "Traceback" not in done.stderr


def test_asking_loads_neither_rich_nor_native_code() -> None:
    program = (
        "import sys\n"
        "from fastha.cli.main import main\n"
        "assert main(['status', '--control', '/nonexistent']) == 3\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('rich', 'cffi', 'pyroute2')\n"
        "       or m.startswith(('fastha.loop', 'fastha.vrrp', 'fastha.config', 'fastha.parent.daemon'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_parent_loads_no_compiled_module() -> None:
    program = (
        "import sys, fastha.cli.run, fastha.parent.daemon, fastha.config.load\n"
        "print([n for n, m in sys.modules.items() if n.startswith('fastha')\n"
        "       and (getattr(m, '__file__', '') or '').endswith('.so')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_reader_that_stops_reading_is_no_traceback() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m fastha.cli --help | head -c 1 >/dev/null; true"],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
