"""NAT, DR and TUN carry a client's traffic: tests/vm/inside/forwarding.py, run in one guest."""

from __future__ import annotations

import pytest

from vm import guest

FORWARDING = guest.INSIDE / "forwarding.py"
TIMEOUT_S = 400
pytestmark = [pytest.mark.vm, pytest.mark.timeout(TIMEOUT_S + 100)]


@pytest.mark.parametrize("name", guest.inner_tests(FORWARDING))
def test_forwarding(name: str) -> None:
    guest.check(FORWARDING, name, TIMEOUT_S)
