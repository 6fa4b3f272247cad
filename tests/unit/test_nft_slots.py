"""Slots: exact proportions over a cycle, an even spread within it, and who moves when a destination goes."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from fastha.dataplane.nft_slots import MAGLEV_SLOTS, RANGES_AT_MOST, SCHEDULERS, Pick, Spread, spread
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceFlag


def dests(*weights: int) -> dict[DestKey, Dest]:
    return {DestKey(f"10.0.{i // 250}.{i % 250}", 80): Dest(Forward.NAT, weight) for i, weight in enumerate(weights, 1)}


def owners(found: Spread) -> list[DestKey]:
    """Who has slot 0, 1, ...; the ranges must cover all slots without gap or overlap."""
    slots: list[DestKey] = []
    for first, last, key in found.ranges:
        assert first == len(slots) <= last
        slots += [key] * (last - first + 1)
    assert len(slots) == found.modulus
    return slots


def last_bytes(found: Spread) -> str:
    return "".join(key.ip[-1] for key in owners(found))


@pytest.mark.parametrize(
    ("scheduler", "weights", "order"),
    [
        ("rr", (1, 2, 3), "123"),
        ("rr", (5, 0, 3), "13"),
        ("lc", (5, 0, 3), "13"),
        ("wrr", (1, 2, 3), "323123"),
        ("wrr", (100, 100), "12"),
        ("wlc", (0, 7, 0), "2"),
        ("sed", (4, 2), "112"),
        ("sh", (1, 2, 3), "122333"),
        ("dh", (2, 2), "12"),
        ("fo", (1, 9, 9), "2"),
        ("fo", (0, 0), ""),
        ("nq", (), ""),
        ("mh", (0,), ""),
    ],
)
def test_order(scheduler: str, weights: tuple[int, ...], order: str) -> None:
    assert last_bytes(spread(Service(scheduler), dests(*weights))) == order


def test_what_chooses_the_slot() -> None:
    two = dests(1, 1)
    assert spread(Service("wrr"), two).pick is Pick.TURN
    assert spread(Service("dh"), two).pick is Pick.DESTINATION
    for scheduler in ("sh", "mh"):
        assert spread(Service(scheduler), two).pick is Pick.SOURCE
        assert spread(Service(scheduler, ServiceFlag.SCHED2), two).pick is Pick.SOURCE_PORT


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_order_of_adding_does_not_matter(scheduler: str, rng: random.Random) -> None:
    there = dests(*(rng.randrange(5) for _ in range(20)))
    shuffled = list(there.items())
    rng.shuffle(shuffled)
    assert spread(Service(scheduler), dict(shuffled)) == spread(Service(scheduler), there)


def test_weighted_round_robin_is_exact_and_even(rng: random.Random) -> None:
    """After any number of turns nobody is further than one round from its share; over a cycle all are exact."""
    for _ in range(50):
        weights = [rng.choice((0, 1, rng.randrange(1, 40))) for _ in range(rng.randrange(1, 12))]
        there = dests(*weights)
        slots = owners(spread(Service("wrr"), there))
        total, got = sum(weights), Counter(slots)
        assert all(got[key] * total == dest.weight * len(slots) for key, dest in there.items())
        running: Counter[DestKey] = Counter()
        for turn, key in enumerate(slots, 1):
            running[key] += 1
            assert abs(running[key] - turn * there[key].weight / total) <= len(weights)


def test_heavy_weights_stay_within_bounds_and_exact() -> None:
    there = dests(*range(65000, 65535))
    found = spread(Service("wrr"), there)
    assert len(found.ranges) <= RANGES_AT_MOST
    got = Counter[DestKey]()
    for first, last, key in found.ranges:
        got[key] += last - first + 1
    assert got == {key: dest.weight for key, dest in there.items()}
    assert len(spread(Service("wrr"), dests(*([3, 7] * 2500))).ranges) == 5000


def test_maglev_shares_by_weight() -> None:
    got = Counter(last_bytes(spread(Service("mh"), dests(1, 2, 3))))
    for name, weight in (("1", 1), ("2", 2), ("3", 3)):
        assert abs(got[name] - MAGLEV_SLOTS * weight / 6) < 10


def test_maglev_moves_few_of_the_others(rng: random.Random) -> None:
    there = dests(*[1] * 20)
    before = owners(spread(Service("mh"), there))
    for gone in rng.sample(sorted(there, key=str), 5):
        after = owners(spread(Service("mh"), {key: dest for key, dest in there.items() if key != gone}))
        assert gone not in after
        moved = sum(a != b for a, b in zip(before, after, strict=True) if a != gone)
        assert moved < MAGLEV_SLOTS * 0.1


def test_more_destinations_than_maglev_slots() -> None:
    assert len(set(owners(spread(Service("mh"), dests(*[1] * 5000))))) == MAGLEV_SLOTS


def test_unknown_scheduler() -> None:
    with pytest.raises(KeyError):
        spread(Service("lblc"), {})
