"""A backend that has no choice of masquerading is not asked for one: its rows stay equal to what it dumps."""

from __future__ import annotations

from fastha.checker import plan
from fastha.checker.prepare import fitted
from fastha.dataplane.none import NoneBackend
from fastha.model import RealServer, VirtualServer

REAL = (RealServer(ip="192.0.2.2", port=80),)
SHOWN = VirtualServer(ip="192.0.2.1", port=80, masquerade=False, real_servers=REAL)
HIDDEN = VirtualServer(ip="192.0.2.1", port=81, real_servers=REAL)


class Choosing(NoneBackend):
    masquerades = True


def test_fitted() -> None:
    assert fitted(SHOWN, Choosing()) is SHOWN
    assert fitted(SHOWN, NoneBackend()).masquerade
    assert fitted(HIDDEN, NoneBackend()) is HIDDEN


def test_a_row_says_it() -> None:
    assert not plan.service(SHOWN).masquerade
    assert plan.service(HIDDEN).masquerade
