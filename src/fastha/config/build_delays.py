"""`interface_up_down_delays` -> LinkDelay."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from fastha.config.item import Item
from fastha.config.lines import read_lines
from fastha.config.placed import Built, first_at
from fastha.config.tree import Faults, Marks, Spot, Statement, shown
from fastha.config.twice import twice
from fastha.model import LinkDelay, VrrpInstance
from fastha.model.units import NS_PER_S


def build_link_delays(
    blocks: Iterable[Item], instances: Sequence[Built[VrrpInstance]], faults: Faults
) -> tuple[LinkDelay, ...]:
    """One for each interface: of several lines the last counts, as in keepalived."""
    marks = Marks()
    found: list[LinkDelay] = []
    for item in blocks:
        marks.add(item.statement)
        found += read_lines("interface_delays", item.statement.block or [], faults)
    quickest: dict[str, VrrpInstance] = {}
    for built in instances:
        other = quickest.setdefault(built.value.interface, built.value)
        quickest[other.interface] = min(other, built.value, key=_limit_ns)
    said = {d.interface: None for d in found if d.interface in quickest}  # where these are may be asked
    said |= dict.fromkeys(twice(d.interface for d in found))
    spots: dict[str, Spot] = {}  # of the last line of each
    for line, delay in _again(marks, said) if said else ():
        if delay.interface in spots:
            where = first_at(spots[delay.interface].place(), line.place())
            faults.warning(line.place(), f"{shown(delay.interface)} has a delay already ({where}); this counts")
        spots[delay.interface] = line.spot()
    if said:
        found = list({d.interface: d for d in found}.values())
    for delay in found if quickest else ():
        if delay.interface in quickest:
            _cap(delay, spots[delay.interface], quickest[delay.interface], faults)
    return tuple(found)


def _again(marks: Marks, names: Container[str]) -> Iterator[tuple[Statement, LinkDelay]]:
    """The lines about these interfaces."""
    for block in marks:
        for line in block.block or []:
            for delay in read_lines("interface_delays", [line], Faults()):
                if delay.interface in names:
                    yield line, delay


def _limit_ns(instance: VrrpInstance) -> int:
    return instance.longest_down_ns(instance.advert_int_ns)


def _cap(delay: LinkDelay, spot: Spot, quickest: VrrpInstance, faults: Faults) -> None:
    """The child obeys the shortest of those limits, with the intervals that are true then."""
    if delay.down_ns <= (limit_ns := _limit_ns(quickest)):
        return
    line = spot.statement()
    faults.warning(
        line.place(min(1, len(line.words) - 1)),
        f"a link that is down counts as down after {limit_ns / NS_PER_S:.9g} s at the latest:"
        f" {shown(quickest.name)} would become master without hearing anybody",
    )
