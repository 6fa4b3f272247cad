"""Commands as configured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A command: argv already split, user and group names ("" = script_user). `supplementary`: with all groups of its
    user (written `USER :GROUP`)."""

    argv: tuple[str, ...]
    user: str = ""
    group: str = ""
    supplementary: bool = False
