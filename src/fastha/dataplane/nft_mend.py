"""Mending single services of a table whose hooks, sets and maps are sound (core).

Deleting what is not there would be refused, so what is left of a damaged service is taken away piece by piece, and the
service is written anew: in the same transaction as all other changes. The others keep their rules, turns and counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastha.dataplane.nft_rules import WORDS, chain_name, change_lines, dest_text, elements, service_text
from fastha.dataplane.rows import DestKey, ServiceKey, Table


@dataclass(frozen=True, slots=True)
class Remains:
    """What the kernel holds of one service: its elements in `services` and `addresses`, its chain, its `dests`."""

    way: bool
    address: bool
    chain: bool
    dests: frozenset[DestKey]


def mend_family(family: int, before: Table, after: Table, remains: Mapping[ServiceKey, Remains]) -> str:
    """Commands that turn `before` into `after`; of the services in `remains` the kernel holds that instead."""
    words = WORDS[family]
    t = words.table
    lines = [
        *elements("delete", t, "services", (service_text(key) for key, left in remains.items() if left.way)),
        *elements("delete", t, "addresses", (service_text(key) for key, left in remains.items() if left.address)),
        *elements(
            "delete", t, "dests", (dest_text(key, d) for key, left in remains.items() for d in sorted(left.dests))
        ),
    ]
    for key, left in remains.items():
        if left.chain:
            lines += [f"flush chain {t} {chain_name(key)}"]
            lines += [f"delete chain {t} {chain_name(key)}"] if key not in after else []
    whole = {key: row for key, row in before.items() if key not in remains}
    return "\n".join([*lines, *change_lines(words, whole, after)]) + "\n"
