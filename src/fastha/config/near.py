"""The word that was meant, for hints. `difflib` is loaded when the first word is misspelt."""

from __future__ import annotations

from collections.abc import Iterable


def get_close_matches(word: str, possibilities: Iterable[str], n: int = 3, cutoff: float = 0.6) -> list[str]:
    """difflib.get_close_matches."""
    import difflib

    return difflib.get_close_matches(word, list(possibilities), n, cutoff)
