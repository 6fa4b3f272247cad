"""The IPVS backend keeps the contract of all backends: tests/vm/inside/contract.py, run in a guest."""

from __future__ import annotations

import pytest

from vm import guest

INSIDE = guest.INSIDE / "contract.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(INSIDE))
def test_inside(name: str) -> None:
    guest.check(INSIDE, name)
