"""The backend in memory keeps the contract of all backends. It has no kernel: nobody else sees its rows."""

from __future__ import annotations

import pytest

from backend_contract import Case, everywhere
from fastha.dataplane.backend import Backend
from fastha.dataplane.none import NoneBackend


class InMemory:
    def __init__(self) -> None:
        self.backend: Backend = NoneBackend()

    def another(self) -> Backend:
        raise NotImplementedError

    def damage(self) -> None:
        raise NotImplementedError


@pytest.fixture
def kit() -> InMemory:
    return InMemory()


@everywhere
def test_contract(kit: InMemory, case: Case) -> None:
    case(kit)
