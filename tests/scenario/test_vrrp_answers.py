"""What masters say to each other on one wire, with and without the words that change it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastha.model.units import NS_PER_S
from fastha.vrrp.machine import Advert, Effect, Role, SendAdvert
from fastha.vrrp.rules import Rules
from oracles.vrrp_wire import Wire

HIGH, LOW = 0, 1


class Heard(Wire):
    """Notes who sends what, and when."""

    def __init__(self, rules: list[Rules]) -> None:
        super().__init__(1, rules)
        self.sent: list[tuple[int, int, int]] = []

    def _effect(self, index: int, effect: Effect) -> None:
        if isinstance(effect, SendAdvert):
            self.sent.append((self.now, index, effect.priority))
        super()._effect(index, effect)


def two(**of_both: object) -> Heard:
    """Two masters on a cut wire that has just been mended."""
    rules = Rules(version=3, advert_int_ns=NS_PER_S)
    wire = Heard([
        replace(rules, priority=priority, own_ip=0x0A000001 + i, **of_both)  # type: ignore[arg-type]
        for i, priority in enumerate((200, 100))
    ])  # fmt: skip
    for i, router in enumerate(wire.routers):
        router.side = i
        wire.start(i)
    wire.run(10 * NS_PER_S)
    assert [r.state.role for r in wire.routers] == [Role.MASTER, Role.MASTER]
    for router in wire.routers:
        router.side = 0
    wire.sent.clear()
    return wire


@pytest.mark.parametrize("answers", [True, False])
def test_a_lower_priority_advert_is_answered_or_not(answers: bool) -> None:
    wire = two(answers_lower=answers)
    now = wire.now
    wire.happen(HIGH, Advert(100, 0x0A000002, NS_PER_S))
    assert [(at, who) for at, who, _ in wire.sent if at == now] == ([(now, HIGH)] if answers else [])
    wire.run(now + 5 * NS_PER_S)
    assert wire.masters() == [HIGH], "it leaves with the next advert at the latest"
    assert [r.addresses for r in wire.routers] == [True, False]


@pytest.mark.parametrize("speaks", [True, False])
def test_one_that_yields_says_one_more_advert_or_not(speaks: bool) -> None:
    wire = two(speaks_before_yielding=speaks)
    wire.happen(LOW, Advert(200, 0x0A000001, NS_PER_S))
    assert wire.routers[LOW].state.role is Role.BACKUP
    assert [priority for _, who, priority in wire.sent if who == LOW] == ([100] if speaks else [])
    wire.run(wire.now + 5 * NS_PER_S)
    assert wire.masters() == [HIGH]


def test_two_deaf_owners_stay_what_they_are() -> None:
    """What the word means; who hears yields to the greater address."""
    for deaf, masters in ((True, [HIGH, LOW]), (False, [LOW])):
        wire = Heard([
            Rules(version=3, priority=255, own_ip=0x0A000001 + i, deaf=deaf) for i in range(2)
        ])  # fmt: skip
        for i in range(2):
            wire.start(i)
        wire.run(10 * NS_PER_S)
        assert wire.masters() == masters


def test_a_frozen_master_that_does_not_preempt_yields_to_who_has_taken_over() -> None:
    wire = two(preempt=False, rival_priority=254)
    wire.run(wire.now + 5 * NS_PER_S)
    wire.freeze(HIGH)
    wire.run(wire.now + 5 * NS_PER_S)
    assert wire.masters() == [LOW]
    wire.thaw(HIGH)
    wire.run(wire.now + 5 * NS_PER_S)
    assert wire.masters() == [LOW]
    assert [r.addresses for r in wire.routers] == [False, True]
