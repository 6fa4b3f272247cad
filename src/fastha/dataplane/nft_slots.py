"""How new connections are spread over destinations: a scheduler's name becomes numbered slots (core).

nftables picks a slot number (`numgen inc mod N`: turn by turn; `jhash ... mod N`: by address) and looks it up in
a map of slot ranges. Everything here depends only on the values, never on the order in which destinations were added,
so two directors with the same configuration send the same client to the same server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from math import gcd

from fastha.dataplane.rows import Dest, DestKey, Service, ServiceFlag

RANGES_AT_MOST = 4096  # of one interleaved map, unless there are more destinations than that
MAGLEV_SLOTS = 4093  # prime; what IPVS' mh uses by default (CONFIG_IP_VS_MH_TAB_INDEX=12)


class Pick(StrEnum):
    """What chooses the slot."""

    TURN = "turn"
    SOURCE = "source address"
    SOURCE_PORT = "source address and port"
    DESTINATION = "destination address"


@dataclass(frozen=True, slots=True)
class Spread:
    """Slots 0 .. modulus-1 in ascending (first, last, destination) ranges. modulus 0: nobody takes connections."""

    pick: Pick
    modulus: int
    ranges: tuple[tuple[int, int, DestKey], ...]


EXACT = frozenset({"rr", "wrr", "sh", "dh", "mh", "fo"})
APPROXIMATED = {"lc": "rr", "wlc": "wrr", "sed": "wrr", "nq": "wrr"}  # nft cannot count live connections
WEIGHTLESS = frozenset({"rr", "lc"})  # every weight but 0 counts as 1, as in ip_vs_rr.c and ip_vs_lc.c
SCHEDULERS = EXACT | APPROXIMATED.keys()


def spread(service: Service, dests: Mapping[DestKey, Dest]) -> Spread:
    """The slots of one service. KeyError if its scheduler is not in SCHEDULERS."""
    scheduler = APPROXIMATED.get(service.scheduler, service.scheduler)
    if scheduler not in EXACT:
        raise KeyError(scheduler)
    live = [(key, dest.weight) for key, dest in dests.items() if dest.weight > 0]
    live.sort(key=lambda item: (item[0].ip, item[0].port))
    if service.scheduler in WEIGHTLESS:
        live = [(key, 1) for key, _ in live]
    by_source = Pick.SOURCE_PORT if service.flags & ServiceFlag.SCHED2 else Pick.SOURCE
    match scheduler:
        case "sh":  # one block of slots each: a hash scatters clients anyway
            return _spread(by_source, _reduced(live))
        case "dh":
            return _spread(Pick.DESTINATION, _reduced(live))
        case "mh":
            return _spread(by_source, [(key, 1) for key in maglev(tuple(live))])
        case "fo":  # all to the heaviest; ip_vs_fo.c keeps the first of equals
            return _spread(Pick.TURN, [(max(live, key=lambda item: item[1])[0], 1)] if live else [])
        case _:
            return _spread(Pick.TURN, interleave(_reduced(live)))


def interleave(live: list[tuple[DestKey, int]]) -> list[tuple[DestKey, int]]:
    """Weights as (destination, consecutive slots) in turn order: exact over a cycle, as even as RANGES_AT_MOST allows.

    A cycle has `rounds` rounds; after round r a destination has had floor(weight * r / rounds) slots.
    """
    if not live:
        return []
    rounds = min(max(weight for _, weight in live), max(1, RANGES_AT_MOST // len(live)))
    return [
        (key, count)
        for r in range(rounds)
        for key, weight in live
        if (count := (r + 1) * weight // rounds - r * weight // rounds)
    ]


@lru_cache(maxsize=64)  # 10 to 40 ms each, wanted again when the rule is compared with what the kernel holds
def maglev(live: tuple[tuple[DestKey, int], ...]) -> tuple[DestKey, ...]:
    """The lookup table of Maglev (Eisenbud et al., NSDI 2016, section 3.4) with weights: who owns each slot.

    A destination that goes or comes moves few slots of the others. With more than MAGLEV_SLOTS destinations
    the last ones get none, as in IPVS.
    """
    if not live:
        return ()
    size = MAGLEV_SLOTS
    heaviest = max(weight for _, weight in live)
    walkers = []
    for key, weight in live:
        digest = blake2b(str(key).encode(), digest_size=16).digest()
        offset = int.from_bytes(digest[:8]) % size
        skip = int.from_bytes(digest[8:]) % (size - 1) + 1
        walkers.append([offset, skip, weight, 0])
    table: list[DestKey | None] = [None] * size
    filled = 0
    while True:
        for (key, _), walker in zip(live, walkers, strict=True):
            position, skip, weight, credit = walker
            if credit + weight < heaviest:
                walker[3] = credit + weight
                continue
            walker[3] = credit + weight - heaviest
            while table[position] is not None:
                position = (position + skip) % size
            table[position] = key
            walker[0] = position
            filled += 1
            if filled == size:
                return tuple(key for key in table if key is not None)


def _reduced(live: list[tuple[DestKey, int]]) -> list[tuple[DestKey, int]]:
    divisor = gcd(*(weight for _, weight in live)) or 1
    return [(key, weight // divisor) for key, weight in live]


def _spread(pick: Pick, counts: list[tuple[DestKey, int]]) -> Spread:
    ranges: list[tuple[int, int, DestKey]] = []
    position = 0
    for key, count in counts:
        if ranges and ranges[-1][2] == key:
            ranges[-1] = (ranges[-1][0], position + count - 1, key)
        else:
            ranges.append((position, position + count - 1, key))
        position += count
    return Spread(pick, position, tuple(ranges))
