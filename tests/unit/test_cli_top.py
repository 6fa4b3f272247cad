"""`fastha top`: the view as values, and the program in a pseudo terminal with ten thousand real servers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from answering import Answering
from fastha.cli.top import keys
from fastha.cli.top_view import TABS, Order, View, arrange, frame, held, press, room_of

NOW = 1_700_000_000.0
COLUMNS, LINES = 120, 30


def picture(virtual: int = 100, real: int = 100) -> dict[str, Any]:
    """100 x 100 real servers; one of each virtual server is down, the sixth answers slowest."""
    servers = {}
    for i in range(virtual):
        own = {}
        for k in range(real):
            down = k == 7
            own[f"10.1.{i}.{k}:80"] = {
                "health": "down" if down else "up", "since": NOW - k, "weight": 1, "weight_from": "configured",
                "response_ns": 10**6 * (900 if k == 5 else k), "why": "refused" if down else "200 OK", "checks": 9,
                "failures": 4 if down else 0, **({} if down else {"in_table": 1}),
            }  # fmt: skip
        servers[f"10.0.0.{i}:80/tcp"] = {"up": True, "live_weight": real - 1, "quorum": 1, "real_servers": own}
    instances = {f"VI_{i}": {"state": "master", "since": NOW - 5, "priority": 100, "priority_base": 100, "faults": []}
                 for i in range(3)}  # fmt: skip
    about = {"version": "0", "state": "running", "pid": 1, "uptime_s": 5.0, "config": {"file": "x", "loaded": NOW}}
    return {
        "now": NOW, "daemon": {**about, "children": {"checker": {"state": "running", "lag_max_ns": 10**6}}},
        "vrrp": {"instances": instances},
        "checker": {"virtual_servers": servers, "dataplane": {"drift": 2}},
    }  # fmt: skip


DOC = picture()


def pressed(*given: str, doc: dict[str, Any] = DOC) -> tuple[View, list[Any], list[Order]]:
    """The view, its rows and what was ordered after these keys."""
    view, rows, orders, room = View(), arrange(doc, View()), [], room_of(LINES)
    for key in given:
        view, order = press(view, key, rows, room)
        rows = arrange(doc, view)
        view = held(view, len(rows), room)
        orders += [order] if order else []
    return view, rows, orders


def text(view: View, rows: list[Any]) -> list[str]:
    return ["".join(part for part, _ in line) for line in frame(DOC, view, rows, NOW, COLUMNS, LINES)]


def test_every_tab_sorts_by_every_column() -> None:
    for number, tab in enumerate(TABS):
        for sort in range(len(tab.columns)):
            rows = arrange(DOC, View(tab=number, sort=sort))
            assert len(rows) == len(tab.rows(DOC))
            assert arrange(DOC, View(tab=number, sort=sort, reverse=True)) == rows[::-1]


def test_sorting_shows_what_is_interesting_first() -> None:
    titles = [column.title for column in TABS[0].columns]
    _, rows, _ = pressed(*["s"] * titles.index("HEALTH"))
    assert {row.facts["health"] for row in rows[:100]} == {"down"}
    _, rows, _ = pressed(*["s"] * titles.index("RESPONSE"))
    assert {row.facts["response_ns"] for row in rows[:100]} == {900 * 10**6}


def test_filter_trouble_and_escape() -> None:
    view, rows, _ = pressed("/", *"10.1.42.", "enter")
    assert (len(rows), view.mode) == (100, "")
    assert pressed("/", *"10.1.42. down")[1][0].name == "10.1.42.7:80"
    assert len(pressed("t")[1]) == 100
    assert len(pressed("/", *"xx", "back", "back", *"*.7:80")[1]) == 100
    assert len(pressed("/", *"nothing", "enter", "esc")[1]) == 10_000


def test_the_cursor_stays_on_the_screen_and_the_screen_in_the_list() -> None:
    for given in (["down"], ["pagedown"] * 3, ["end"], ["end", "up", "up"], ["end", "/", *"10.1.3.", "enter"], ["up"]):
        view, rows, _ = pressed(*given)
        assert 0 <= view.top <= view.cursor < min(view.top + room_of(LINES), len(rows))
    assert pressed("end")[0].cursor == 9999
    assert pressed("/", *"nothing")[0].cursor == 0


def test_deeds_ask_first_and_name_what_is_under_the_cursor() -> None:
    assert pressed("down", "d", "n")[2] == []
    view, rows, _ = pressed("down", "d")
    assert "drain 10.0.0.0:80/tcp 10.1.0.1:80? y/n" in text(view, rows)[-1]
    (order,) = pressed("down", "d", "y")[2]
    assert (order.command, order.fields) == (
        "override", {"action": "drain", "virtual_servers": ["10.0.0.0:80/tcp"], "real_servers": ["10.1.0.1:80"]},
    )  # fmt: skip
    (order,) = pressed("3", "down", "f", "y")[2]
    assert (order.command, order.fields) == ("vrrp", {"action": "failover", "instances": ["VI_1"]})
    assert pressed("2", "d", "y")[2] == []  # nothing to decide about a virtual server
    assert pressed("/", *"nothing", "enter", "d", "y")[2] == []


def test_a_screen_is_never_larger_than_the_terminal() -> None:
    for view in (View(), View(tab=1), View(tab=2), View(mode="help"), View(mode="filter", words="x" * 500)):
        rows = arrange(DOC, view)
        for width, height in ((COLUMNS, LINES), (40, 10), (20, 6), (300, 80)):
            lines = frame(DOC, view, rows, NOW, width, height)
            assert len(lines) < height
            assert all(sum(len(part) for part, _ in line) <= width for line in lines)
    assert frame({}, View(), [], NOW, 80, 24)


def test_keys_of_terminals() -> None:
    assert list(keys(b"\x1b[A\x1bOBq\x1b[6~\r\x7f/\xc3\xbc\t")) == [
        "up", "down", "q", "pagedown", "enter", "back", "/", "ü", "tab",
    ]  # fmt: skip
    assert list(keys(b"\x1b")) == ["esc"]
    assert list(keys(b"\x1b[1;5Ax\xff\x00y")) == ["x", "y"]


class Terminal:
    """The program in a pseudo terminal, and what a person would see (pyte)."""

    def __init__(self, control: str) -> None:
        pyte = pytest.importorskip("pyte")
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS="", LINES="")
            os.environ.pop("COLUMNS")
            os.environ.pop("LINES")
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started the tests may ignore it
            os.execv(sys.executable, [sys.executable, "-m", "fastha.cli", "top", "--control", control, "-d", "0.5"])
        self.size(LINES, COLUMNS)

    def size(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def until(self, *wanted: str, deadline_s: float = 30) -> list[str]:
        """The screen, once it shows all of this."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 1 << 16)
                except OSError:
                    break
                self.raw += data
                self._stream.feed(data)
            shown = "\n".join(self.screen.display)
            if all(one in shown for one in wanted):
                return list(self.screen.display)
        raise AssertionError(f"no {wanted} on the screen:\n" + "\n".join(self.screen.display))

    def end(self) -> int:
        """Its exit status."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                break
            if not data:
                break
            self.raw += data
        else:
            raise AssertionError("it does not end:\n" + "\n".join(self.screen.display))
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Answering]:
    answers = {"status": DOC, "override": {"changes": [], "dry_run": False}}
    with Answering(str(tmp_path / "c"), answers) as it:
        yield it


@pytest.fixture
def terminal(daemon: Answering) -> Iterator[Terminal]:
    made = Terminal(daemon.path)
    yield made
    made.close()


def test_ten_thousand_real_servers_in_a_terminal(daemon: Answering, terminal: Terminal) -> None:
    terminal.until("10000 shown", "10.1.0.0:80", "drift repaired 2")
    terminal.press(b"/10.1.42.")
    terminal.until("100 shown", "10.1.42.3:80")
    terminal.press(b"\r")
    terminal.press(b"t")
    terminal.until("1 shown", "10.1.42.7:80", "refused")
    terminal.press(b"d")
    terminal.until("drain 10.0.0.42:80/tcp 10.1.42.7:80? y/n")
    terminal.press(b"y")
    terminal.until("drain 10.0.0.42:80/tcp 10.1.42.7:80: done")
    (order,) = [request for request in daemon.asked if request.command == "override"]
    assert order.fields["real_servers"] == ["10.1.42.7:80"]
    terminal.press(b"3")
    terminal.until("VI_2", "3 shown")
    terminal.press(b"fy")  # this daemon has no answer to that
    terminal.until("failover VI_0: no answer to vrrp")
    terminal.size(12, 90)
    terminal.press(b"1")
    terminal.until("10000 shown")
    terminal.press(b"\x1b[F")
    terminal.until("10.1.99.99:80")
    terminal.press(b"q")
    assert terminal.end() == 0
    assert terminal.raw.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), "the terminal is as before"


def test_a_daemon_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    path = str(tmp_path / "c")
    with Answering(path, {"status": DOC}):
        terminal = Terminal(path)
        terminal.until("10000 shown")
    try:
        terminal.until("is the daemon running?")
        with Answering(path, {"status": picture(2, 3)}):
            terminal.until("6 shown")
        terminal.press(b"\x03")  # Ctrl-C
        assert terminal.end() == 130
        assert terminal.raw.rstrip().endswith(b"\x1b[?25h\x1b[?1049l")
    finally:
        terminal.close()


def test_without_a_terminal_it_says_so() -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-m", "fastha.cli", "top"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "needs a terminal" in done.stderr
