"""A table ruined at random is made true again: tests/vm/inside/chaos.py, run in one guest."""

from __future__ import annotations

import pytest

from vm import guest

CHAOS = guest.INSIDE / "chaos.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(CHAOS))
def test_chaos(name: str) -> None:
    guest.check(CHAOS, name)
