"""Interfaces that share one limit on gratuitous ARP."""

from __future__ import annotations

from fastha.lean import dataclass


@dataclass(frozen=True, slots=True)
class GarpGroup:
    """`garp_group`: least times between two gratuitous ARPs, and two neighbour advertisements, on all of `interfaces`
    and their VMACs together. 0: no limit."""

    interfaces: tuple[str, ...]
    interval_ns: int = 0
    gna_interval_ns: int = 0
