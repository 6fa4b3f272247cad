"""What is said of a process that fell silent."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastha.parent.condition import TICKS_PER_S, Condition, look, of, told


def test_a_name_may_hold_anything() -> None:
    fields = ["S", *["0"] * 10, "3", "4", *["0"] * 30]
    assert of(f"42 (a) R (b)) {' '.join(fields)}\n") == Condition("S", 7 * 1000 // TICKS_PER_S)


@pytest.mark.parametrize(
    ("state", "used_ms", "text"),
    [
        ("R", 0, "it wanted to run, and the machine gave it no CPU"),
        ("R", 480, "it was busy with something else, 480 ms of CPU meanwhile"),
        ("S", 300, "it was busy with something else, 300 ms of CPU meanwhile"),
        ("T", 0, "it was stopped (SIGSTOP)"),
        ("D", 10, "it waited in the kernel and could not be interrupted"),
        ("S", 0, "it slept"),
        ("Z", 0, ""),
    ],
)
def test_what_is_said(state: str, used_ms: int, text: str) -> None:
    assert told(Condition("S", 1000), Condition(state, 1000 + used_ms)) == text


def test_nothing_is_said_without_two_looks() -> None:
    one = Condition("R", 1)
    assert told(None, one) == told(one, None) == ""


def test_the_kernel_says_it_of_a_real_process() -> None:
    mine = look(os.getpid())
    assert mine is not None
    assert mine.state == "R"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert look(child.pid) is not None
        child.kill()
    assert look(child.pid) is None
