"""A line on a terminal that says that something takes long; nothing where nobody looks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BEGIN_S = 0.5  # what is done by then needs no line
STEP_S = 0.2


@contextmanager
def progress(what: str, more: Callable[[], str] = str) -> Iterator[None]:
    """While entered, stderr says `what`, for how long, and what `more()` answers."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    began = time.monotonic()

    def draw() -> None:
        shown = False
        wait_s = BEGIN_S
        while not over.wait(wait_s):
            say(f"{what}, {time.monotonic() - began:.1f} s {more()}")
            shown, wait_s = True, STEP_S
        if shown:
            say("")

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def say(text: str) -> None:
    """Put `text` in place of the line that is there."""
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
