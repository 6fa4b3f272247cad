"""Names that are there more than once, found without a table of all of them: it would take more room than they do."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T", str, int)
H = TypeVar("H", bound=Hashable)


def twice(names: Iterable[T]) -> set[T]:
    """Those that come more than once."""
    return {a for a, b in pairwise(sorted(names)) if a == b}


def distinct(values: Sequence[H]) -> tuple[H, ...]:
    """Each of them once, in order: for values of more than a text, whose hashes take less room than they do."""
    return tuple(dict.fromkeys(values) if twice(map(hash, values)) else values)
