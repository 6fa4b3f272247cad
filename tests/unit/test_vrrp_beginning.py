"""When a VRRP process begins."""

from __future__ import annotations

from fastha.model import GlobalDefs
from fastha.model.units import NS_PER_S
from fastha.vrrp.beginning import begins_ns

NOW, UP = 1000 * NS_PER_S, 20 * NS_PER_S


def begins_s(startup_s: int = 0, boot_s: int = 0, previous: dict[str, object] | None = None) -> float:
    defs = GlobalDefs(startup_delay_ns=startup_s * NS_PER_S, delay_after_boot_ns=boot_s * NS_PER_S)
    return (begins_ns(defs, previous or {}, NOW, UP) - NOW) / NS_PER_S


def test_the_longer_of_the_two_counts() -> None:
    assert begins_s() == 0
    assert begins_s(startup_s=7) == 7
    assert begins_s(boot_s=60) == 40
    assert begins_s(boot_s=5) == 0, "it has been up for longer"
    assert begins_s(startup_s=7, boot_s=60) == 40
    assert begins_s(startup_s=50, boot_s=60) == 50


def test_a_replacement_begins_at_once() -> None:
    assert begins_s(7, 60, {"died_ago_ns": 5, "instances": {}}) == 0
    assert begins_s(7, 0, {"owned_addresses": ["eth0 10.0.0.1/32"]}) == 7, "a new daemon is none"
