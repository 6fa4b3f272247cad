"""A long call beside a caller who must show that it lives (shell).

Some libraries take seconds for tens of thousands of rows and return only then. The work is done in a thread while the
caller waits and calls `progress` again and again. Nothing runs beside the waiting but the work itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

INTERVAL_S = 0.1  # of `progress`; a heartbeat is due every 0.25 s
AT_MOST_S = 120.0  # what takes longer hangs: then nobody says any more that it goes on, and the watchdog may judge

Result = TypeVar("Result")


def nothing() -> None:
    """The `progress` of a caller whom nobody watches."""


def patiently(work: Callable[[], Result], progress: Callable[[], object]) -> Result:
    """What `work()` returns or raises. With `nothing` it runs in this thread."""
    if progress is nothing:
        return work()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="fastha-dataplane")
    thread.start()
    for _ in range(int(AT_MOST_S / INTERVAL_S)):
        thread.join(INTERVAL_S)
        if not thread.is_alive():
            break
        progress()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
