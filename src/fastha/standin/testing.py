"""`-t`: is this configuration fit to run? With keepalived's exit statuses (keepalived.md 1.15)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TextIO

from fastha.config.load import load
from fastha.errors import Fault, Severity
from fastha.model import Script

# Findings that keepalived has too; the others are advice.
TOLD_BY_BOTH = frozenset({"corrected", "master-nopreempt", "auth-pass-long", "unquoted-arguments"})


class Verdict(IntEnum):
    """Exit statuses of `-t`."""

    FIT = 0
    UNUSABLE = 4  # missing, or it cannot be read
    FAULTY = 5  # keepalived would run with what it understands of it
    INSECURE = 6  # scripts that others could change would run as root


def test(path: str, config_id: str, out: TextIO) -> Verdict:
    """Every fault as one line."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        print(f"{path}: {error.strerror or error}", file=out)
        return Verdict.UNUSABLE
    loaded = load(path, config_id, native=True)
    for fault in loaded.faults:
        print(fault, file=out)
    if not loaded.config.globals.scripts.secure and (script := next(scripts(loaded.config), None)) is not None:
        # keepalived calls that a security violation, and ends with its own status.
        print(f"{path}: {script.argv[0]} runs, and enable_script_security is not said", file=out)
        return Verdict.INSECURE
    if any(told_by_both(fault) for fault in loaded.faults):
        return Verdict.FAULTY
    return Verdict.FIT


def scripts(value: object) -> Iterator[Script]:
    """All of a configuration's."""
    if isinstance(value, Script):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from scripts(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from scripts(getattr(value, name))


def told_by_both(fault: Fault) -> bool:
    """Whether `keepalived -t` would complain too."""
    return fault.severity is Severity.ERROR or fault.code in TOLD_BY_BOTH
