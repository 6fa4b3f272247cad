"""`fastha top`: a live full-screen view with keys. The daemon is asked in a thread, so keys never wait for it."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.client import NoAnswer, ask
from fastha.cli.connections import Connections
from fastha.cli.top_view import Order, Row, View, arrange, frame, held, press, room_of
from fastha.errors import FasthaError
from fastha.parent.protocol import CONTROL_PATH
from fastha.safe import SAFE

EVERY_S = 2.0
MESSAGE_S = 8.0
EPILOG = """\
Keys: arrows move, Tab goes to virtual servers and instances and back, / filters, s sorts, t shows only what
is in trouble; d drains, e enables, x disables a real server, f fails over, H holds, r releases an instance (each asks
first); ? says all of them, q quits.
"""
# What terminals send for keys (xterm and VT220, as terminfo knows them).
KEYS = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down", b"\x1b[5~": "pageup",
    b"\x1b[6~": "pagedown", b"\x1b[H": "home", b"\x1b[F": "end", b"\x1bOH": "home", b"\x1bOF": "end",
    b"\x1b[1~": "home", b"\x1b[4~": "end", b"\x1b": "esc", b"\r": "enter", b"\n": "enter", b"\x7f": "back",
    b"\x08": "back", b"\t": "tab",
}  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{EPILOG}\n{parser.epilog}"
    parser.add_argument(
        "-d", "--delay", type=_seconds, default=EVERY_S, metavar="S", help=f"between two looks ({EVERY_S:g})"
    )
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("a number of seconds from 0.1")
    return seconds


def main(options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise FasthaError("top needs a terminal; fastha status --watch does not")
    first = Connections().add(ask(options.control, "status"))
    with Asker(options.control, options.delay) as asker, screen():
        Top(asker, first).run()
    return Exit.OK


class Asker:
    """A thread that looks every `delay` seconds and carries out orders; `fileno()` is readable when it has news."""

    def __init__(self, control: str, delay: float) -> None:
        self.news: SimpleQueue[tuple[str, Any]] = SimpleQueue()  # ("doc", answer) or ("said", text)
        self.paused = False
        self._control, self._delay = control, delay
        self._connections = Connections()  # of the thread alone
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._read, self._write = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def fileno(self) -> int:
        return self._read

    def order(self, order: Order) -> None:
        self._orders.put(order)

    def taken(self) -> Iterator[tuple[str, Any]]:
        os.read(self._read, 4096)
        while True:
            try:
                yield self.news.get_nowait()
            except Empty:
                return

    def _tell(self, kind: str, what: Any) -> None:
        self.news.put((kind, what))
        os.write(self._write, b"x")

    def _run(self) -> None:
        while True:
            try:
                order = self._orders.get(timeout=self._delay)
            except Empty:
                if self.paused:
                    continue
            else:
                if order is None:
                    return
                self._carry_out(order)
            try:
                self._tell("doc", self._connections.add(ask(self._control, "status")))
            except NoAnswer as error:
                self._tell("said", str(error))

    def _carry_out(self, order: Order) -> None:
        try:
            ask(self._control, order.command, fields=order.fields)
        except NoAnswer as error:
            self._tell("said", f"{order.text}: {error}")
        else:
            self._tell("said", f"{order.text}: done")

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.put(None)
        self._thread.join(timeout=1)


class Top:
    """Keys and news in, screens out."""

    def __init__(self, asker: Asker, doc: Mapping[str, Any]) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)
        self._asker, self._doc = asker, doc
        self._view = View()
        self._rows: list[Row] = []
        self._message, self._message_until = "", 0.0
        self._pressed = b""
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)

    def run(self) -> None:
        fd = sys.stdin.fileno()
        old = signal.signal(signal.SIGWINCH, lambda *_: None)
        wakeup = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        try:
            self._arrange()
            while not self._view.over:
                self._draw()
                ready = select.select([fd, self._asker, self._wake], [], [], 1.0)[0]
                if self._wake in ready:
                    os.read(self._wake, 4096)  # the size of the terminal has changed
                if self._asker in ready:
                    self._hear()
                if fd in ready:
                    self._keys(os.read(fd, 4096))
        finally:
            signal.set_wakeup_fd(wakeup)
            signal.signal(signal.SIGWINCH, old)

    def _hear(self) -> None:
        for kind, what in self._asker.taken():
            if kind == "doc":
                self._doc = what
                self._arrange()
            else:
                self._message, self._message_until = str(what), time.monotonic() + MESSAGE_S

    def _arrange(self) -> None:
        """Another picture or another wish. The cursor stays on its row, wherever that is now."""
        here = self._rows[self._view.cursor][:2] if self._view.cursor < len(self._rows) else None
        self._rows = arrange(self._doc, self._view)
        if here is not None and self._view.cursor:
            at = next((i for i, row in enumerate(self._rows) if row[:2] == here), self._view.cursor)
            self._view = View(**{**_fields(self._view), "cursor": at})
        self._view = held(self._view, len(self._rows), self._room)

    @property
    def _room(self) -> int:
        return room_of(self._console.height)

    def _keys(self, data: bytes) -> None:
        for key in keys(data):
            before = self._view
            self._view, order = press(before, key, self._rows, self._room)
            self._asker.paused = self._view.paused
            if order is not None:
                self._asker.order(order)
            wish = ("tab", "sort", "reverse", "words", "troubled")
            if any(getattr(before, name) != getattr(self._view, name) for name in wish):
                self._rows = arrange(self._doc, self._view)
                self._view = held(self._view, len(self._rows), self._room)

    def _draw(self) -> None:
        from rich.text import Text

        message = self._message if time.monotonic() < self._message_until else ""
        width, height = self._console.width, self._console.height
        lines = frame(self._doc, self._view, self._rows, time.time(), width, height, message)
        with self._console.capture() as capture:
            for line in lines:
                text = Text.assemble(*((text.translate(SAFE), style) for text, style in line))
                self._console.print(text, end="\x1b[K\r\n", no_wrap=True, overflow="crop")
        sys.stdout.write(f"\x1b[H{capture.get()}\x1b[J")
        sys.stdout.flush()


def _fields(view: View) -> dict[str, Any]:
    return {name: getattr(view, name) for name in View.__slots__}


def keys(data: bytes) -> Iterator[str]:
    """What was pressed: names for what KEYS has, characters for the rest; sequences that nobody knows are dropped."""
    while data:
        known = max((k for k in KEYS if data.startswith(k)), key=len, default=b"")
        if known and not (known == b"\x1b" and len(data) > 1 and data[1:2] in b"[O"):
            yield KEYS[known]
            data = data[len(known) :]
        elif data[:1] == b"\x1b":  # CSI: up to its final byte
            end = next((i for i in range(2, len(data)) if 0x40 <= data[i] <= 0x7E), len(data) - 1)
            data = data[end + 1 :]
        else:
            for size in (1, 2, 3, 4):
                try:
                    character = data[:size].decode()
                except UnicodeDecodeError:
                    continue
                if character.isprintable():
                    yield character
                data = data[size:]
                break
            else:
                data = data[1:]


@contextmanager
def screen() -> Iterator[None]:
    """The alternate screen without a cursor, keys one by one; everything as before at the end, whatever ends it."""
    fd = sys.stdin.fileno()
    old = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        sys.stdout.flush()
        yield
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
        termios.tcsetattr(fd, termios.TCSADRAIN, old)
