"""Names that carry their owner, so that what a dead run left behind is recognised and removed.

A name is `fastha-PID-BIRTH-REALM-N-LABEL`: PID is the process that made the thing and BIRTH its start time (clock ticks
since boot, proc(5) field 22, base 36), so that a later process which happens to get the same pid is not taken for the
owner. REALM tells in which boot and pid namespace that pid means anything: a guest or a container that shares a folder
with us must not take our living things for dead ones.
"""

from __future__ import annotations

import itertools
import os
import re
import zlib
from functools import cache
from pathlib import Path

PREFIX = "fastha"
_NAME = re.compile(rf"^{PREFIX}-(\d+)-([0-9a-z]+)-([0-9a-z]+)-(\d+)-(.+)$")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_numbers = itertools.count(1)


def birth(pid: int) -> str:
    """When `pid` started, in base 36; "" if there is no such process (a zombie counts as gone)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The command is in parentheses and may itself hold ")" and blanks: count fields after the last one.
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    if fields[0] in (b"Z", b"X"):
        return ""
    return _base36(int(fields[19]))


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


@cache
def realm() -> str:
    """Where pids mean what they mean here: this boot, this pid namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    return _base36(zlib.crc32(boot + str(os.stat("/proc/self/ns/pid").st_ino).encode()))


def make_name(label: str) -> str:
    """A name nobody else has, owned by this process. `label`: letters, digits, dashes."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", label):
        raise ValueError(f"not a label: {label!r}")
    pid = os.getpid()
    return f"{PREFIX}-{pid}-{birth(pid)}-{realm()}-{next(_numbers)}-{label}"


def is_ours(name: str) -> bool:
    """Whether this very process made `name`."""
    match = _NAME.match(name)
    return match is not None and (int(match[1]), match[2], match[3]) == (os.getpid(), birth(os.getpid()), realm())


def is_stale(name: str) -> bool:
    """Whether `name` was made by a run that is gone. A name of another form or realm is never stale."""
    match = _NAME.match(name)
    return match is not None and match[3] == realm() and birth(int(match[1])) != match[2]
