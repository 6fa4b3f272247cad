"""The control socket under abuse: whoever comes, the next one is answered, and it grows by no more than its limits."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import orjson
import pytest

import need
from fastha.errors import SystemFault
from fastha.parent import control, protocol
from fastha.parent.control import Server, listen
from fastha.parent.loop import Loop

REQUEST = b'{"v":1,"command":"status"}\n'
BIG = protocol.answer({"filler": "x" * (1 << 24)})


class Serving:
    """A server in a loop of its own thread. `status` is 16 MiB, `version` small, `reload` never answered."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.loop = Loop()
        self.server = Server(self.loop, path, self.handle)
        self.stopped: list[str] = []
        self._over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def handle(self, request: protocol.Request, reply: Callable[[bytes], None]) -> None:
        command = request.command
        if command == "status":
            reply(BIG)
        elif command == "version":
            reply(protocol.answer({"version": "test"}))
        elif command == "stop":
            self.stopped.append(command)
            reply(protocol.answer({}))

    def run(self) -> None:
        while not self._over:
            self.loop.turn(0.02)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(5)
        sock.connect(self.path)
        return sock

    def ask(self, command: str = "version") -> dict[str, object]:
        with self.connect() as sock:
            sock.sendall(orjson.dumps({"v": 1, "command": command}) + b"\n")
            return read_answer(sock)

    def close(self) -> None:
        self._over = True
        self.thread.join()
        self.server.close()
        self.loop.close()


def read_answer(sock: socket.socket) -> dict[str, object]:
    data = bytearray()
    while not data.endswith(b"\n"):
        chunk = sock.recv(1 << 20)
        assert chunk, bytes(data[:100])
        data += chunk
    answer: dict[str, object] = orjson.loads(data)
    return answer


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    it = Serving(str(tmp_path / "sub" / "control.sock"))
    yield it
    it.close()
    assert not os.path.exists(it.path)


def quick(serving: Serving) -> None:
    """An ordinary client is served, and soon."""
    before = time.monotonic()
    assert serving.ask() == {"v": 1, "ok": True, "version": "test"}
    assert time.monotonic() - before < 1


def test_requests_one_after_another_and_many_at_once(serving: Serving) -> None:
    with serving.connect() as sock:
        for _ in range(3):
            sock.sendall(b'{"v":1,"command":"version"}\n')
            assert read_answer(sock)["version"] == "test"
        sock.sendall(b'{"v":1,"command":"version"}\n' * 50 + b"nonsense\n")
        data = b""
        while data.count(b"\n") < 51:
            data += sock.recv(1 << 16)
        lines = [orjson.loads(line) for line in data.splitlines()]
        assert [line["ok"] for line in lines] == [True] * 50 + [False]


def test_a_request_in_pieces(serving: Serving) -> None:
    with serving.connect() as sock:
        for byte in b'{"v":1,"command":"version"}\n':
            sock.sendall(bytes([byte]))
        assert read_answer(sock)["ok"] is True


def test_a_big_answer_arrives_whole(serving: Serving) -> None:
    assert len(str(serving.ask("status")["filler"])) == 1 << 24


def test_a_line_that_never_ends_is_cut_off(serving: Serving) -> None:
    with serving.connect() as sock:
        with suppress(OSError):
            while True:  # ends, because the server hangs up
                sock.sendall(b"x" * 65536)
        quick(serving)
    need.wait_until(lambda: serving.server.clients == 0, 2, "it was thrown out")


def test_clients_that_never_read(serving: Serving) -> None:
    with ExitStack() as stack:
        for _ in range(control.MAX_CLIENTS - 1):
            sock = stack.enter_context(serving.connect())
            sock.sendall(REQUEST)
        need.wait_until(lambda: serving.server.outstanding() > 0, 2, "answers are under way")
        assert serving.server.outstanding() <= len(BIG), "the same answer is kept once"
        quick(serving)


def test_different_answers_for_clients_that_never_read_are_limited(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "handle", None)
    serving.server._handler = lambda _command, reply: reply(protocol.answer({"filler": "y" * (1 << 23)}))
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(serving.connect()).sendall(REQUEST)
        with serving.connect() as sock:
            sock.sendall(REQUEST)
            assert read_answer(sock)["code"] == "busy"
        assert serving.server.outstanding() <= control.MAX_OUTSTANDING + (1 << 24)


def test_a_thousand_connections(serving: Serving) -> None:
    with ExitStack() as stack:
        refused = 0
        for _ in range(1000):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.connect(serving.path)
            refused = serving.server.refused
        need.wait_until(lambda: serving.server.refused == 1000 - control.MAX_CLIENTS, 5, "the rest was refused")
        assert refused > 0
        assert serving.server.clients == control.MAX_CLIENTS
        busy = stack.enter_context(serving.connect())
        assert read_answer(busy) == {"v": 1, "ok": False, "code": "busy", "error": "too many clients"}
    need.wait_until(lambda: serving.server.clients == 0, 5, "all have left")
    quick(serving)


def test_a_silent_client_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE_NS", 200_000_000)
    serving = Serving(str(tmp_path / "control.sock"))
    try:
        with (
            serving.connect() as silent,
            serving.connect() as slow,
            serving.connect() as deaf,
            serving.connect() as waits,
        ):
            slow.sendall(b'{"v":1,')
            deaf.sendall(REQUEST)
            waits.sendall(b'{"v":1,"command":"reload"}\n')  # the daemon's turn: it may take its time
            assert silent.recv(1) == b""
            assert slow.recv(1) == b""
            need.wait_until(lambda: serving.server.clients == 1, 3, "only the one that waits for us is left")
            assert serving.server.outstanding() == 0
            waits.settimeout(0.1)
            with pytest.raises(TimeoutError):
                waits.recv(1)
        need.wait_until(lambda: serving.server.clients == 0, 3, "a client that leaves while it waits is forgotten")
    finally:
        serving.close()


def test_out_of_descriptors_is_no_end(serving: Serving) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(5)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        fillers = []
        try:
            with suppress(OSError):
                while True:
                    fillers.append(os.dup(0))
            for client in clients:
                client.connect(serving.path)
            need.wait_until(lambda: serving.server._paused is not None, 2, "accepting pauses")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for filler in fillers:
                os.close(filler)
        quick(serving)


def test_only_root_and_the_daemons_user_may_stop_it(serving: Serving) -> None:
    folder = Path(serving.path).parent
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.geteuid() and path != Path("/") and not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\\n')\n"
        "sys.stdout.write(s.makefile().readline())\n"
    )

    def ask_as_nobody(command: str) -> dict[str, object]:
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-c", program, serving.path, f'{{"v":1,"command":"{command}"}}'],
            capture_output=True,
            check=True,
            user=65534,
            group=65534,
            extra_groups=[],
        )
        answer: dict[str, object] = orjson.loads(done.stdout)
        return answer

    if not os.path.exists("/usr/bin/python3"):
        need.lack("needs /usr/bin/python3")
    assert ask_as_nobody("version")["ok"] is True
    assert ask_as_nobody("stop")["code"] == "denied"
    assert ask_as_nobody("reload")["code"] == "denied"
    assert serving.stopped == []
    assert serving.ask("stop")["ok"] is True
    assert serving.stopped == ["stop"]


def test_a_stale_socket_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    first = listen(str(path))
    with pytest.raises(SystemFault, match="another fastha answers"):
        listen(str(path))
    first.close()
    path.unlink()
    path.write_text("precious")
    with pytest.raises(SystemFault, match="something else"):
        listen(str(path))
    assert path.read_text() == "precious"
    with pytest.raises(SystemFault, match="too long"):
        listen(str(tmp_path / ("x" * 120)))
    with pytest.raises(SystemFault, match="File exists"):
        listen(str(path / "control.sock"))


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    serving = Serving(str(tmp_path / "control.sock"))
    os.unlink(serving.path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(serving.path)
        serving.close()
        assert os.path.exists(serving.path)
