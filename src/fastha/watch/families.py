"""Metric families as plain values: what the documents say, before anybody's text format. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["gauge", "counter", "unknown", "histogram", "info"]
Labels = tuple[str, ...]

# Upper bounds in seconds of what loop/lateness.pxd counts; its sixth step has none.
LATE_BOUNDS = ("0.0001", "0.001", "0.01", "0.1", "1.0", "+Inf")


@dataclass(frozen=True, slots=True)
class Family:
    """One name with all its samples: `values[i]` has the label values `keys[i]` for the label names `labels`.

    `name` without the suffix (_total, _info, _bucket) that its kind adds. Families with the same samples share one
    `keys` object, so that their labels are made into text once. A histogram's value is a sequence of counts, one for
    each of LATE_BOUNDS, each without those below.
    """

    name: str
    kind: Kind
    help: str
    labels: Labels
    keys: Sequence[Labels]
    values: Sequence[Any]

    @property
    def sample(self) -> str:
        """What a line of it begins with (not of a histogram)."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


def single(name: str, kind: Kind, help_text: str, value: float) -> Family:
    """A family with one sample and no label."""
    return Family(name, kind, help_text, (), [()], [value])


def of(name: str, kind: Kind, help_text: str, labels: str, rows: Iterable[tuple[Labels, Any]]) -> Family:
    """From pairs of label values and value; pairs whose value is None are left out."""
    known = [(key, value) for key, value in rows if value is not None]
    return Family(name, kind, help_text, tuple(labels.split()), [k for k, _ in known], [v for _, v in known])


def cumulative(counts: Sequence[int]) -> list[int]:
    """Counts of single steps as those of everything up to each of them."""
    total, out = 0, []
    for count in counts:
        total += count
        out.append(total)
    return out


def section(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The mapping at `path`, {} if there is none."""
    inner: Any = document
    for word in path:
        inner = inner.get(word) if isinstance(inner, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}
