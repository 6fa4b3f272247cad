"""Asking the daemon over its control socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import orjson

from fastha.channel.status import Exit
from fastha.errors import FasthaError
from fastha.parent.protocol import VERSION


class NoAnswer(FasthaError):
    """The daemon did not answer, or refused; `status` is what the command ends with."""

    def __init__(self, text: str, status: Exit = Exit.NO_DAEMON) -> None:
        super().__init__(text)
        self.status = status


REFUSALS = frozenset(
    {"unmatched", "ambiguous", "quorum", "malformed", "role", "alone"}
)  # the command is wrong: Exit.REFUSED


def ask(path: str, command: str, timeout_s: float = 5.0, fields: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The daemon's answer to `command` with its `fields`; NoAnswer with one line for people if there is none.

    An answer with "ok": false that carries an "outcome" (a refused reload) is returned like any other."""
    data = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            _connect(sock, path, timeout_s)
            sock.settimeout(timeout_s)
            sock.sendall(orjson.dumps({"v": VERSION, "command": command, **(fields or {})}) + b"\n")
            while not data.endswith(b"\n") and (chunk := sock.recv(1 << 20)):
                data += chunk
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoAnswer(f"no answer at {path}: is the daemon running?") from None
    except TimeoutError:
        raise NoAnswer(f"no answer at {path} within {timeout_s:g} s") from None
    except OSError as error:
        if not data:
            raise NoAnswer(f"{path}: {error.strerror or error}") from None
    try:
        answer = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise NoAnswer(f"{path}: the daemon ended before it answered") from None
    if not isinstance(answer, dict):
        raise NoAnswer(f"{path}: not an answer of fastha")
    if not answer.get("ok") and "outcome" not in answer:
        status = Exit.REFUSED if answer.get("code") in REFUSALS else Exit.FAILED
        raise NoAnswer(str(answer.get("error", "refused")), status)
    return answer


def _connect(sock: socket.socket, path: str, timeout_s: float) -> None:
    """Connect within `timeout_s`: a backlog that is full is EAGAIN for a Unix socket, with nothing to wait for."""
    until = time.monotonic() + timeout_s
    sock.setblocking(False)
    while True:
        try:
            sock.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError from None
            time.sleep(0.01)
