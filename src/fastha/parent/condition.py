"""What a silent process is doing, for the one who reads the log at night: the same two numbers at two moments."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IDLE_MS = 20  # two ticks of the clock that counts CPU time: as good as nothing
DOING = {
    "T": "it was stopped (SIGSTOP)",
    "t": "a debugger held it",
    "D": "it waited in the kernel and could not be interrupted",
    "S": "it slept",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`state`: the letter of proc_pid_stat(5). `cpu_ms`: user and system time so far."""

    state: str
    cpu_ms: int


def of(text: str) -> Condition:
    """From /proc/PID/stat. ValueError or IndexError: it is something else."""
    words = text.rpartition(")")[2].split()  # fields from the third on: the second may hold anything
    return Condition(words[0], (int(words[11]) + int(words[12])) * 1000 // TICKS_PER_S)


def look(pid: int) -> Condition | None:
    """None: nothing can be read of it."""
    try:
        return of(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except (OSError, ValueError, IndexError):
        return None


def told(before: Condition | None, now: Condition | None) -> str:
    """What it has been doing between two looks, "" if that is not known."""
    if before is None or now is None:
        return ""
    used_ms = now.cpu_ms - before.cpu_ms
    if used_ms > IDLE_MS:
        return f"it was busy with something else, {used_ms} ms of CPU meanwhile"
    if now.state == "R":
        return "it wanted to run, and the machine gave it no CPU"
    return DOING.get(now.state, "")
