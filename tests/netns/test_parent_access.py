"""Who may connect to the control socket and who may change something, asked by processes of other users and groups."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import need
from fastha.errors import SystemFault
from fastha.parent.access import Access, access
from fastha.parent.control import Server
from fastha.parent.loop import Loop
from fastha.parent.protocol import Request, answer

GROUP, OTHER, USER = 54_321, 54_322, 54_320
ASK = """
import json, os, socket, sys
path, command, uid, gid, *more = sys.argv[1:]
os.setgroups([int(g) for g in more]); os.setgid(int(gid)); os.setuid(int(uid))
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(path)
except PermissionError:
    print("no connection"); sys.exit()
s.sendall(json.dumps({"v": 1, "command": command}).encode() + b"\\n")
answer = json.loads(s.makefile().readline())
print("done" if answer["ok"] else answer["code"])
"""


class Door:
    """A server that does everything it is asked for."""

    def __init__(self, folder: Path, its: Access) -> None:
        folder.chmod(0o755)
        self.path = str(folder / "control.sock")
        self.loop = Loop()
        self.server = Server(self.loop, self.path, self._do, its)

    def _do(self, _request: Request, reply: Callable[[bytes], None]) -> None:
        reply(answer({}))

    def ask(self, command: str, *ids: int) -> str:
        """As uid, gid, supplementary groups."""
        argv = [sys.executable, "-S", "-c", ASK, self.path, command, *map(str, ids)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                self.loop.turn(0.01)
            assert process.stdout is not None
            return process.stdout.read().strip()


def doors(path: Path) -> None:
    """Every folder above can be passed by everybody."""
    for folder in (path, *path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            pytest.skip(f"{folder} is closed to other users")


@pytest.fixture
def folder() -> object:
    import tempfile

    need.root()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        doors(Path(name))
        yield Path(name)


def test_everybody_may_look_and_only_admins_change(folder: Path) -> None:
    door = Door(folder, Access(admins=GROUP))
    assert door.ask("status", USER, USER) == "done"
    assert door.ask("reload", USER, USER) == "denied"
    assert door.ask("reload", USER, USER, OTHER) == "denied"
    assert door.ask("reload", USER, GROUP) == "done"  # its primary group
    assert door.ask("reload", USER, USER, OTHER, GROUP) == "done"  # a supplementary one
    assert door.ask("reload", 0, 0) == "done"
    door.server.close()


def test_only_readers_may_connect(folder: Path) -> None:
    door = Door(folder, Access(readers=GROUP, admins=OTHER))
    assert door.ask("status", USER, USER) == "no connection"
    assert door.ask("status", USER, USER, GROUP) == "done"
    assert door.ask("reload", USER, USER, GROUP) == "denied"
    assert door.ask("reload", USER, USER, GROUP, OTHER) == "done"
    assert stat.S_IMODE(os.stat(door.path).st_mode) == 0o660
    door.server.close()


def test_groups_by_name_and_number() -> None:
    assert access("", "") == Access()
    assert access("root", str(GROUP)) == Access(0, GROUP)
    with pytest.raises(SystemFault, match="there is no group of-nobody"):
        access("of-nobody", "")


def test_the_daemon_refuses_a_group_that_is_not_there(tmp_path: Path) -> None:
    need.root()
    file = tmp_path / "keepalived.conf"
    file.write_text("global_defs {\n}\n")
    argv = [sys.executable, "-m", "fastha.cli", "run", "-f", file, "--control", tmp_path / "c"]
    done = subprocess.run([*map(str, argv), "--admin-group", "of-nobody"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "there is no group of-nobody" in done.stderr
    assert json.dumps(done.stderr).count("Traceback") == 0
