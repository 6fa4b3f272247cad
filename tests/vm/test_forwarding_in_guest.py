"""NAT, DR and TUN carry a client's traffic: tests/vm/inside/forwarding.py, run in one guest."""

from __future__ import annotations

import pytest

from vm import guest

FORWARDING = guest.INSIDE / "forwarding.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(FORWARDING))
def test_forwarding(name: str) -> None:
    guest.check(FORWARDING, name)
