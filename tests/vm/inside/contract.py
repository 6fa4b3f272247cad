"""The IPVS backend keeps the contract of all backends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from backend_contract import Case, everywhere, in_a_kernel
from fastha.dataplane.backend import Backend
from fastha.dataplane.ipvs import IpvsBackend
from vm import guest

guest.only_inside()


class InGuest:
    def __init__(self) -> None:
        self._opened: list[Backend] = []
        self.backend = self.another()
        subprocess.run(["ipvsadm", "-C"], check=True)

    def another(self) -> Backend:
        self._opened.append(IpvsBackend())
        return self._opened[-1]

    def damage(self) -> None:
        subprocess.run(["ipvsadm", "-d", "-t", "10.1.0.100:80", "-r", "10.2.0.1:8080"], check=True)
        subprocess.run(["ipvsadm", "-D", "-u", "10.1.0.100:53"], check=True)

    def close(self) -> None:
        for backend in self._opened:
            backend.close()


@pytest.fixture
def kit() -> Iterator[InGuest]:
    kit = InGuest()
    yield kit
    kit.close()


@everywhere
def test_contract(kit: InGuest, case: Case) -> None:
    case(kit)


@in_a_kernel
def test_contract_in_the_kernel(kit: InGuest, case: Case) -> None:
    case(kit)
