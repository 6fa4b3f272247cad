"""A ruined table is made true again: tests/vm/inside/chaos.py, run in one guest (`make test-chaos`: longer)."""

from __future__ import annotations

import pytest

from vm import guest

CHAOS = guest.INSIDE / "chaos.py"
TIMEOUT_S = 900
pytestmark = [pytest.mark.vm, pytest.mark.timeout(TIMEOUT_S + 100)]


@pytest.mark.parametrize("name", guest.inner_tests(CHAOS))
def test_chaos(name: str) -> None:
    guest.check(CHAOS, name, TIMEOUT_S)
