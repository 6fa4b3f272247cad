"""The whole daemon on a real IPVS kernel: tests/vm/inside/director.py, run in one guest."""

from __future__ import annotations

import pytest

from vm import guest

DIRECTOR = guest.INSIDE / "director.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(DIRECTOR))
def test_director(name: str) -> None:
    guest.check(DIRECTOR, name)
