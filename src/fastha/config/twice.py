"""Names that are there more than once, found without a table of all of them: it would take more room than they do."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T", str, int)


def twice(names: Iterable[T]) -> set[T]:
    """Those that come more than once."""
    return {a for a, b in pairwise(sorted(names)) if a == b}
