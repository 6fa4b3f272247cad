"""`garp_group` -> GarpGroup."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.config import values
from fastha.config.shape import Item, items
from fastha.config.tree import Faults, shown
from fastha.model import GarpGroup

FIELDS = {"garp_interval": "interval_ns", "gna_interval": "gna_interval_ns"}


def build_garp_groups(
    blocks: Iterable[Item], interval_ns: int, gna_interval_ns: int, faults: Faults
) -> tuple[GarpGroup, ...]:
    """What a group does not say it takes from `vrrp_garp_interval` and `vrrp_gna_interval`."""
    out = []
    taken: set[str] = set()
    for item in blocks:
        intervals = {"interval_ns": interval_ns, "gna_interval_ns": gna_interval_ns}
        members: list[str] = []
        for inner in items(item.statement.block or [], "garp_group", faults):
            statement = inner.statement
            if inner.name in FIELDS:
                intervals[FIELDS[inner.name]] = values.seconds_ns(inner, faults) or 0
                continue
            for line in statement.block or [statement] if inner.name == "interfaces" else [statement]:
                for index in range(1 if line is statement else 0, len(line.words)):
                    if (name := values.interface(line, index, faults)) is None:
                        continue
                    if name in taken:
                        faults.error(line.place(index), f"{shown(name)} is in a garp_group already")
                        continue
                    taken.add(name)
                    members.append(name)
        if members:
            out.append(GarpGroup(tuple(members), **intervals))
        else:
            faults.warning(item.statement.place(), "garp_group has no interface")
    return tuple(out)
