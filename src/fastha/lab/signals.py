"""What Ctrl-C and SIGTERM do to a laboratory: they unwind the stack, and do not disturb the tidying up."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP wait meanwhile, and are then forgotten. For tidying up, which takes milliseconds."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        for pending in signal.sigpending() & set(_SIGNALS):
            signal.sigwait({pending})
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def signals_unwind() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack as Ctrl-C does (SystemExit, 128 + number), so `with` blocks tidy up."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    pid = os.getpid()
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        if os.getpid() == pid:
            for number, handler in before.items():
                signal.signal(number, handler)
