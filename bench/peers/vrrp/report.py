"""Figures -> a table of medians and ratios, and the targets: met or missed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

Figures = dict[str, dict[str, dict[str, list[float]]]]  # measurement -> program -> figure -> one for each round

# (measurement, figure, what it is, unit, target for ours / theirs or None, target for ours alone or None)
ROWS: tuple[tuple[str, str, str, str, float | None, float | None], ...] = (
    ("master", "cpu_us", "CPU as master of {routers} routers, advert_int 0.1, for each advert", "us", 0.40, None),
    ("backup", "cpu_us", "CPU as backup of {routers} routers of keepalived, for each advert", "us", 0.45, None),
    (
        "backup",
        "cpu_us_behind_fastha",
        "CPU as backup of {routers} routers of fastha, for each advert",
        "us",
        None,
        None,
    ),
    ("master", "adverts_per_s", "adverts sent", "/s", None, None),
    ("backup", "adverts_per_s", "adverts heard", "/s", None, None),
    ("takeover", "span_s", "{addresses} addresses taken over, first to last", "ms", 0.60, None),
    ("staged", "span_s", "{burst} staged addresses, first to last, and keepalived's as they are", "ms", 0.05, None),
    (
        "punctual",
        "gap_max_s",
        "another router's 100 ms adverts meanwhile ({burst} addresses), longest gap",
        "ms",
        None,
        0.110,
    ),
    ("punctual", "gap_p999_s", "the same, p99.9", "ms", None, 0.110),
    ("punctual", "span_s", "{burst} addresses taken over, first to last", "ms", None, None),
    ("quick", "failover_s", "failover at advert_int 0.01, last advert to address", "ms", None, 0.036),
    ("master", "rss_kb", "RSS of the VRRP process with {routers} routers", "MB", None, 40_000),
)
SCALE = {"us": 1.0, "/s": 1.0, "ms": 1000.0, "MB": 1 / 1000}


@dataclass(frozen=True)
class Verdict:
    """One target. `value` was measured, `most` is allowed."""

    text: str
    value: float
    most: float

    @property
    def met(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        return f"{'met   ' if self.met else 'MISSED'} {self.text}: {self.value:.3g}, target <= {self.most:g}"


def table(figures: Figures, sizes: dict[str, Any]) -> str:
    """In Markdown, one line for each figure."""
    lines = [["", "fastha", "keepalived", "ratio", "target"], ["---", "--:", "--:", "--:", "--:"]]
    for measurement, figure, text, unit, relative, absolute in ROWS:
        if measurement not in figures:
            continue
        ours, theirs = (median(figures[measurement][program][figure]) for program in ("fastha", "keepalived"))
        scale = SCALE[unit]
        target = f"{relative:.2f}" if relative else f"{absolute * scale:g} {unit}" if absolute else ""
        cells = [f"{value * scale:.3g} {unit}" for value in (ours, theirs)]
        lines.append([text.format(**sizes), *cells, f"{ours / theirs:.2f}" if theirs else "", target])
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    return "\n".join(f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines)


def verdicts(figures: Figures, sizes: dict[str, Any]) -> list[Verdict]:
    found = []
    for measurement, figure, text, unit, relative, absolute in ROWS:
        if measurement not in figures:
            continue
        ours, theirs = (median(figures[measurement][program][figure]) for program in ("fastha", "keepalived"))
        words = text.format(**sizes)
        if relative:
            found.append(Verdict(f"{words}, ours / theirs", ours / theirs, relative))
        if absolute:
            found.append(Verdict(f"{words}, {unit}", ours * SCALE[unit], absolute * SCALE[unit]))
    return found
