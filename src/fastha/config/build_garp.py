"""`garp_group` -> GarpGroup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastha.config import values
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, Marks, Statement, shown
from fastha.config.twice import twice
from fastha.lean import replace
from fastha.model import GarpGroup

FIELDS = {"garp_interval": "interval_ns", "gna_interval": "gna_interval_ns"}
NOBODY = "garp_group has no interface"


def build_garp_groups(
    blocks: Iterable[Item], interval_ns: int, gna_interval_ns: int, faults: Faults
) -> tuple[GarpGroup, ...]:
    """What a group does not say it takes from `vrrp_garp_interval` and `vrrp_gna_interval`."""
    given = {"interval_ns": interval_ns, "gna_interval_ns": gna_interval_ns}
    marks = Marks()
    found: list[GarpGroup] = []
    for item in blocks:
        intervals = given.copy()
        members = tuple(name for name, _, _ in _members(item.statement, intervals, faults))
        if members:
            found.append(GarpGroup(members, **intervals))
            marks.add(item.statement)
        else:
            faults.warning(item.statement.place(), NOBODY)
    common = twice(name for group in found for name in group.interfaces)
    return tuple(_once(found, marks, common, faults) if common else found)


def _members(statement: Statement, intervals: dict[str, int], faults: Faults) -> Iterator[tuple[str, Statement, int]]:
    """(name, line, word index) of a group's interfaces; what it says besides goes into `intervals`."""
    for inner in items(statement.block or [], "garp_group", faults):
        said = inner.statement
        if inner.name in FIELDS:
            intervals[FIELDS[inner.name]] = values.seconds_ns(inner, faults) or 0
            continue
        for line in said.block or [said] if inner.name == "interfaces" else [said]:
            for index in range(1 if line is said else 0, len(line.words)):
                if (name := values.interface(line, index, faults)) is not None:
                    yield name, line, index


def _once(found: list[GarpGroup], marks: Marks, common: set[str], faults: Faults) -> Iterator[GarpGroup]:
    """The groups without the interfaces that are in one before; `common`: those that are there more than once."""
    taken: set[str] = set()
    for group, statement in zip(found, marks, strict=True):
        members: list[str] = []
        for name, line, index in _members(statement, {}, Faults()):
            if name in taken:
                faults.error(line.place(index), f"{shown(name)} is in a garp_group already")
                continue
            if name in common:
                taken.add(name)
            members.append(name)
        if members:
            yield replace(group, interfaces=tuple(members))
        else:
            faults.warning(statement.place(), NOBODY)
