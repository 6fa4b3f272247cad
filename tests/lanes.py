"""Which test runs in which process, where there are several (`make test`: pytest -n 3).

The files of one lane run one after another, in one process: there is one guest at a time, which takes a core, and no
two of the tests that count in tenths of a second meet. Every other file runs where there is room.
"""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

# In the order in which they begin: each takes minutes.
LANES = {
    "guest": re.compile(r"(tests/vm|bench/peers/ipvs)/"),
    "routers": re.compile(r"(tests/netns/test_(vrrp|bfd|lab)_|bench/peers/vrrp/)"),
    "network": re.compile(r"tests/(netns|interop)/"),
}


def lane(nodeid: str) -> str:
    """The name of a test's lane; its file, if it is in none."""
    return next((name for name, files in LANES.items() if files.match(nodeid)), nodeid.partition("::")[0])


def ordered(items: list[pytest.Item]) -> list[pytest.Item]:
    """What takes longest goes first."""
    begins = {name: number for number, name in enumerate(LANES)}
    return sorted(items, key=lambda item: begins.get(lane(item.nodeid), len(begins)))


class Lanes(LoadScopeScheduling):
    """Gives a process a whole lane or a whole file."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)
