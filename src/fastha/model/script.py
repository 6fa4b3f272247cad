"""Commands as configured."""

from __future__ import annotations

from fastha.lean import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A command the parent runs: argv already split, user and group names ("" = script_user)."""

    argv: tuple[str, ...]
    user: str = ""
    group: str = ""
