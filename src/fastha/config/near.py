"""The word that was meant, for hints. `difflib` is loaded when the first word is misspelt."""

from __future__ import annotations

from collections.abc import Iterable


def meant(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`did you mean WORD?` with the one of `known` that is most like `word`; "" if none is (difflib's `cutoff`)."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]}?" if close else ""
