"""docs/configuration.md is what the keyword table says."""

from __future__ import annotations

from pathlib import Path

from fastha.config.keywords import TABLE
from fastha.config.reference import generate

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
