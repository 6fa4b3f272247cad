"""Saying a warning: with the code's hint, at the word it is about."""

from __future__ import annotations

from fastha.config.codes import CODES
from fastha.config.tree import Faults, Place, Statement

SAID = "what the message says"


def warn(faults: Faults, code: str, place: Place, message: str) -> None:
    hint = CODES[code].hint
    faults.warning(place, message, "" if hint == SAID else hint, code)


def at(statement: Statement, *keywords: str) -> Place:
    """The value of the last statement inside that begins with one of `keywords`; else the block's own name."""
    last = statement
    for inner in statement.block or []:
        if inner.words[0] in keywords:
            last = inner
    return last.place(1)


def says(statement: Statement, keyword: str) -> bool:
    return any(inner.words[0] == keyword for inner in statement.block or [])
