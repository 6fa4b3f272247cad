"""What can go wrong, as values: faults of a configuration, and the exceptions shells raise.

Network input is never an exception: decoders return a verdict that is counted (docs/ARCHITECTURE.md,
"Their fault, our fault").
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from fastha.lean import dataclass


class Severity(StrEnum):
    """How a fault is treated. Any ERROR refuses the configuration; the rest are printed and it runs."""

    ERROR = "error"
    WARNING = "warning"
    NOT_SUPPORTED = "not supported yet"


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding in a configuration file. Lines and columns count from 1; 0 means "no place".

    `code` names the kind of finding for programs (config.codes has them all). `expanded`: what the line became where
    definitions and repetitions made another line of it.
    """

    __apart__ = ("line", "column", "message")  # what mostly differs from one to another: see fastha.lean

    severity: Severity
    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    code: str = ""
    expanded: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.severity}: {self.message}{hint}"


class FasthaError(Exception):
    """Anything fastha reports in one clear line instead of a traceback."""


class ConfigError(FasthaError):
    """A configuration that is refused; `faults` holds all of them, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class SystemFault(FasthaError):
    """The machine refuses something fastha needs (privilege, interface, kernel module)."""
