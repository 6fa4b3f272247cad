"""The nft backend keeps the contract of all backends, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import need
from backend_contract import Case, everywhere, in_a_kernel
from fastha.dataplane.backend import Backend
from fastha.dataplane.nft import NftBackend
from fastha.lab.netns import Namespace
from fastha.lab.network import Network


class InNamespace:
    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._opened: list[Backend] = []
        self.backend = self.another()

    def another(self) -> Backend:
        with self._space.entered():
            self._opened.append(NftBackend())
        return self._opened[-1]

    def damage(self) -> None:
        self._space.run(
            ["nft", "delete element ip fastha dests { 10.1.0.100 . tcp . 80 . 10.2.0.1 . 8080 };"
             "delete element ip fastha services { 10.1.0.100 . udp . 53 };"
             "flush chain ip fastha svc_udp_10.1.0.100_53; delete chain ip fastha svc_udp_10.1.0.100_53"]
        )  # fmt: skip

    def close(self) -> None:
        for backend in self._opened:
            backend.close()


@pytest.fixture
def kit(network: Network) -> Iterator[InNamespace]:
    need.kernel("nft")
    need.tool("nft")
    kit = InNamespace(network.namespace("nft"))
    yield kit
    kit.close()


@everywhere
def test_contract(kit: InNamespace, case: Case) -> None:
    case(kit)


@in_a_kernel
def test_contract_in_the_kernel(kit: InNamespace, case: Case) -> None:
    case(kit)
