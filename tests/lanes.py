"""Which test runs in which process, where there are several (`make test`: pytest -n 2).

The files of one lane run one after another, in one process, so that there is one guest at a time, and no two of the
tests that count in tenths of a second meet. Beside these there is never more than one other process at work: a guest
first, then the files that are in no lane, which run where there is room.
"""

from __future__ import annotations

import re

import pytest
from xdist.scheduler import LoadScopeScheduling

# In the order in which they begin: each takes a third of the time of all, or more.
LANES = {
    "guest": re.compile(r"(tests/vm|bench/peers/ipvs)/"),
    "network": re.compile(r"(tests/netns|tests/interop(?!/test_config_)|bench/peers/vrrp)/"),
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
