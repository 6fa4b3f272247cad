"""docs/configuration.md is what the keyword table says."""

from __future__ import annotations

from pathlib import Path

from fastha.config.keywords import TABLE, Status
from fastha.config.reference import generate, why

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "configuration.md"


def test_page_is_fresh() -> None:
    assert PAGE.read_text() == generate(), "run: python -m fastha.config.reference > docs/configuration.md"


def test_every_keyword_has_its_row() -> None:
    page = generate()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(line.count(" | ") >= 2 for line in rows)
    assert sum(line.count("\n| `") for line in page.split("\n## Lists")[:1]) == sum(
        len(words) for words in TABLE.values()
    )


def test_every_keyword_without_effect_says_why() -> None:
    without = [k for words in TABLE.values() for k in words.values() if k.status is not Status.SUPPORTED]
    assert [(k.block, k.word) for k in without if not why(k)] == []
    told = generate().partition("## Without effect")[2]
    assert [k.word for k in without if not k.alias_of and f"`{k.word}`" not in told] == []
