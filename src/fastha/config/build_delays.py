"""`interface_up_down_delays` -> LinkDelay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastha.config.lines import read_lines
from fastha.config.placed import Built, first_at
from fastha.config.shape import Item
from fastha.config.tree import Faults, Spot, shown
from fastha.model import LinkDelay, VrrpInstance
from fastha.model.units import NS_PER_S


def build_link_delays(
    blocks: Iterable[Item], instances: Sequence[Built[VrrpInstance]], faults: Faults
) -> tuple[LinkDelay, ...]:
    """One for each interface: of several lines the last counts, as in keepalived."""
    out: dict[str, tuple[LinkDelay, Spot]] = {}
    for item in blocks:
        for line in item.statement.block or []:
            for delay in read_lines("interface_delays", [line], faults):
                if delay.interface in out:
                    before = out[delay.interface][1].place()
                    where = first_at(before, line.place())
                    faults.warning(line.place(), f"{shown(delay.interface)} has a delay already ({where}); this counts")
                out[delay.interface] = delay, line.spot()
    quickest: dict[str, VrrpInstance] = {}
    for built in instances:
        other = quickest.setdefault(built.value.interface, built.value)
        quickest[other.interface] = min(other, built.value, key=_limit_ns)
    for name, (delay, spot) in out.items():
        if name in quickest:
            _cap(delay, spot, quickest[name], faults)
    return tuple(delay for delay, _ in out.values())


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
