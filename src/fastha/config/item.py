"""A statement and the keyword it is. Pure."""

from __future__ import annotations

from typing import NamedTuple

from fastha.config.keywords.table import Keyword
from fastha.config.tree import Statement


class Item(NamedTuple):
    """`name` is the keyword's current spelling."""

    keyword: Keyword
    statement: Statement

    @property
    def name(self) -> str:
        return self.keyword.alias_of or self.keyword.word
