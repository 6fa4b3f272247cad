"""The IPVS backend against a real kernel: the files ipvs_*.py of tests/vm/inside,
run in one guest each."""

from __future__ import annotations

import pytest

from vm import guest

TABLE = guest.INSIDE / "ipvs_table.py"
TRAFFIC = guest.INSIDE / "ipvs_traffic.py"
CONTROL = guest.INSIDE / "ipvs_control.py"
MH = guest.INSIDE / "ipvs_mh.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(TABLE))
def test_table(name: str) -> None:
    guest.check(TABLE, name)


@pytest.mark.parametrize("name", guest.inner_tests(TRAFFIC))
def test_traffic(name: str) -> None:
    guest.check(TRAFFIC, name)


@pytest.mark.parametrize("name", guest.inner_tests(CONTROL))
def test_control(name: str) -> None:
    guest.check(CONTROL, name)


@pytest.mark.parametrize("name", guest.inner_tests(MH))
def test_mh(name: str) -> None:
    guest.check(MH, name)
