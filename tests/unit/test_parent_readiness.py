"""sd_notify: what systemd hears, and that nobody listening is no error."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fastha.parent import watchdog
from fastha.parent.loop import Loop
from fastha.parent.readiness import Feeder, notify, watchdog_ns


def test_a_state_is_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify("READY=1")  # nobody there
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(5)
        notify("READY=1\nMAINPID=7")
        assert systemd.recv(100) == b"READY=1\nMAINPID=7"
        for _ in range(5000):
            notify("STATUS=its queue is full")


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = f"fastha-test-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("STOPPING=1")
        assert systemd.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("path", ["", "relative", None])
def test_no_systemd(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if path is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify("READY=1")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "10000000"}, 10_000_000_000),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}, 10_000_000_000),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "8"}, 0),  # somebody else is meant
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_what_systemd_wants(environment: dict[str, str], expected: int) -> None:
    assert watchdog_ns(environment, 7) == expected


def test_the_watchdog_is_fed_by_the_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    stuck: list[str] = []
    loop = Loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.setblocking(False)
        feeder = Feeder(loop, 3_000_000, lambda: stuck, lambda: "1 master")

        def heard(count: int) -> list[bytes]:
            out = []
            while len(out) < count:
                loop.turn()
                try:
                    out.append(systemd.recv(200, socket.MSG_DONTWAIT))
                except BlockingIOError:
                    pass
            return out

        feeder.start()
        assert heard(4) == [b"WATCHDOG=1", b"STATUS=1 master", b"WATCHDOG=1", b"WATCHDOG=1"]
        stuck.append("checker")
        text = heard(1)
        while text[0] == b"WATCHDOG=1":  # sent before it hung
            text = heard(1)
        assert text == [b"STATUS=checker cannot be ended; 1 master"]
        for _ in range(20):
            loop.turn()
        with pytest.raises(BlockingIOError):
            systemd.recv(200, socket.MSG_DONTWAIT)
        stuck.clear()
        assert heard(2) == [b"WATCHDOG=1", b"STATUS=1 master"]
        feeder.close()
    loop.close()


def test_a_child_is_stuck_when_killing_it_does_not_help() -> None:
    pulse = watchdog.settled(0)
    assert watchdog.hung(pulse, watchdog.SILENCE_NS)
    assert not watchdog.stuck(pulse, watchdog.SILENCE_NS + watchdog.STUCK_NS - 1)
    assert watchdog.stuck(pulse, watchdog.SILENCE_NS + watchdog.STUCK_NS)
