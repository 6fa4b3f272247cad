"""Waiting for a condition with a deadline; nothing here sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Waited(AssertionError):
    """A condition did not come true in time. An AssertionError, so that a test that waits in vain has failed."""


def wait_until(condition: Callable[[], T], deadline_s: float, why: str, interval_s: float = 0.01) -> T:
    """Call `condition` until what it returns is true, and return that.

    After `deadline_s` seconds raises Waited, which names `why` (what should have come true) and the last answer.
    """
    start = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        waited = time.monotonic() - start
        if waited >= deadline_s:
            raise Waited(f"waited {waited:.1f} s in vain until {why}; last answer: {answer!r}")
        time.sleep(interval_s)
