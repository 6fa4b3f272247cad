"""`interface_up_down_delays` -> LinkDelay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastha.config.lines import read_lines
from fastha.config.placed import Built, first_at
from fastha.config.shape import Item
from fastha.config.tree import Faults, Statement, shown
from fastha.model import LinkDelay, VrrpInstance
from fastha.model.units import NS_PER_S


def build_link_delays(
    blocks: Iterable[Item], instances: Sequence[Built[VrrpInstance]], faults: Faults
) -> tuple[LinkDelay, ...]:
    """One for each interface: of several lines the last counts, as in keepalived."""
    out: dict[str, tuple[LinkDelay, Statement]] = {}
    for item in blocks:
        for line in item.statement.block or []:
            for delay in read_lines("interface_delays", [line], faults):
                if delay.interface in out:
                    before = out[delay.interface][1].place()
                    where = first_at(before, line.place())
                    faults.warning(line.place(), f"{shown(delay.interface)} has a delay already ({where}); this counts")
                out[delay.interface] = delay, line
    for delay, line in out.values():
        _cap(delay, line, instances, faults)
    return tuple(delay for delay, _ in out.values())


def _cap(delay: LinkDelay, line: Statement, instances: Sequence[Built[VrrpInstance]], faults: Faults) -> None:
    """The child obeys the shortest of those limits, with the intervals that are true then."""
    here = [i.value for i in instances if i.value.interface == delay.interface]
    shortest = min(here, key=lambda i: i.longest_down_ns(i.advert_int_ns), default=None)
    if shortest is None or delay.down_ns <= (limit_ns := shortest.longest_down_ns(shortest.advert_int_ns)):
        return
    faults.warning(
        line.place(min(1, len(line.words) - 1)),
        f"a link that is down counts as down after {limit_ns / NS_PER_S:.9g} s at the latest:"
        f" {shown(shortest.name)} would become master without hearing anybody",
    )
