"""Operators' decisions on a real IPVS kernel: tests/vm/inside/drain.py, run in one guest."""

from __future__ import annotations

import pytest

from vm import guest

DRAIN = guest.INSIDE / "drain.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(DRAIN))
def test_drain(name: str) -> None:
    guest.check(DRAIN, name, timeout_s=420)
