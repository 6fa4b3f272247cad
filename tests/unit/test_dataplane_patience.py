"""A long call in a thread: its result, its error, and the caller's signs of life meanwhile."""

from __future__ import annotations

import threading

import pytest

from fastha.dataplane.patience import nothing, patiently


def test_progress_is_called_by_the_caller_while_the_work_goes_on() -> None:
    seen, enough = list[threading.Thread](), threading.Event()

    def progress() -> None:
        seen.append(threading.current_thread())
        if len(seen) == 3:
            enough.set()

    assert patiently(lambda: enough.wait(10), progress)
    assert set(seen) == {threading.current_thread()}


def test_nobody_to_tell_takes_no_thread() -> None:
    assert patiently(threading.current_thread, nothing) is threading.current_thread()


@pytest.mark.parametrize("progress", [nothing, lambda: None])
def test_errors_arrive(progress: object) -> None:
    def fails() -> None:
        raise OSError(5, "no")

    with pytest.raises(OSError, match="no"):
        patiently(fails, progress)  # type: ignore[arg-type]
