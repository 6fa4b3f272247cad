"""Everything in this folder needs root and `ip`; tests get a Network that is removed after them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from fastha.lab.network import Network

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # pytest hands over all items of the session, not only this folder's
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.root)


@pytest.fixture
def network() -> Iterator[Network]:
    """A fresh fastha.lab.network.Network; its namespaces, processes and folder go when the test ends."""
    need.kernel("veth", "bridge")
    with Network() as net:
        yield net
