from collections.abc import Set

from fastha.config.expand import Environment
from fastha.config.reader import EXPANSION, Files
from fastha.config.tree import Tree

def read(
    path: str,
    files: Files,
    script_words: Set[str] = frozenset(),
    env: Environment | None = None,
    expansion: int = EXPANSION,
) -> Tree:
    """As fastha.config.reader.read, compiled."""
