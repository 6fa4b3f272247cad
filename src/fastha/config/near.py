"""The word that was meant, for hints. `difflib` is loaded when the first word is misspelt."""

from __future__ import annotations

from collections.abc import Collection

MOST = 100_000  # comparisons, which take 10 us each


def meant(word: str, known: Collection[str], cutoff: float = 0.6, after: int = 0) -> str:
    """`did you mean WORD?` with the one of `known` that is most like `word`; "" if none is (difflib's `cutoff`).
    `after`: how many faults there are already. Of thousands of names only the first few faults are worth a search."""
    if after * len(known) > MOST:
        return ""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]}?" if close else ""
