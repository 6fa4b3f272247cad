"""keepalived.stats: counters of every instance as text. Pure; layout as keepalived 2.2.7 writes it (observed)."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.standin.picture import COUNTERS, Seen


def text(instances: Iterable[Seen]) -> str:
    """The whole file."""
    lines: list[str] = []
    for seen in instances:
        lines.append(f"VRRP Instance: {seen.instance.name}")
        for section, counters in COUNTERS.items():
            indent = "  "
            if section is not None:
                lines.append(f"  {section}:")
                indent = "    "
            lines += (f"{indent}{counter.label}: {seen.counts[counter.name]}" for counter in counters)
    return "".join(f"{line}\n" for line in lines)
