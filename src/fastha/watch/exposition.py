"""Families as text. prometheus_client defines the formats and is asked which one a scraper wants; the large families,
one sample for each real server, are written here, to the same bytes in a tenth of the time (bench/bench_metrics.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from fastha.watch.families import LATE_BOUNDS, Family, Labels, cumulative

LARGE = 64  # samples
EOF = b"# EOF\n"
Made = dict[int, tuple[Sequence[Labels], list[str]]]
PLAIN_TYPES = {"unknown": "untyped", "info": "gauge"}


class Watched(Collector):
    """Families as a collector of prometheus_client."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return map(metric, self._families())


def metric(family: Family) -> Metric:
    """One family as prometheus_client has it."""
    out = Metric(family.name, family.help, family.kind)
    for key, value in zip(family.keys, family.values, strict=True):
        labels = dict(zip(family.labels, key, strict=True))
        if family.kind == "histogram":
            counts = cumulative(value)
            out.samples += [
                Sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
                for bound, count in zip(LATE_BOUNDS, counts, strict=True)
            ]
            # No _sum: how late all of them were together is not known. OpenMetrics wants _count with _sum alone.
        else:
            out.samples.append(Sample(family.sample, labels, value))
    return out


def plain(families: Iterable[Family], accept: str = "") -> tuple[bytes, str]:
    """By prometheus_client alone: the text in the format that `accept` prefers, and its content type."""
    encoder, content_type = choose_encoder(accept)
    return encoder(_registry(families)), content_type


def text(families: Iterable[Family], accept: str = "") -> tuple[bytes, str]:
    """The same; large families are written here. Empty ones are left out."""
    encoder, content_type = choose_encoder(accept)
    open_metrics = content_type.startswith(CONTENT_TYPE_LATEST.partition(";")[0])
    parts: list[bytes] = []
    labels: Made = {}
    for family in families:
        if len(family.keys) >= LARGE and family.kind != "histogram":
            parts.append(_large(family, open_metrics, labels))
        elif family.keys:
            parts.append(encoder(_registry([family])).removesuffix(EOF))
    return b"".join(parts) + (EOF if open_metrics else b""), content_type


def _registry(families: Iterable[Family]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Watched(lambda: [family for family in families if family.keys]))
    return registry


def _large(family: Family, open_metrics: bool, labels: Made) -> bytes:
    """`labels`: those that were made already, by the identity of their keys, which live as long as that."""
    if id(family.keys) not in labels:
        labels[id(family.keys)] = family.keys, _label_texts(family.labels, family.keys)
    words = labels[id(family.keys)][1]
    name, kind, sample = family.name, str(family.kind), family.sample
    if not open_metrics:
        name, kind = sample, PLAIN_TYPES.get(kind, kind)
    head = f"# HELP {name} {family.help}\n# TYPE {name} {kind}\n"
    lines = [f"{sample}{word} {number(value)}\n" for word, value in zip(words, family.values, strict=True)]
    return (head + "".join(lines)).encode()


def _label_texts(names: Labels, keys: Sequence[Labels]) -> list[str]:
    """`{a="1",b="2"}` for each of them, by name as prometheus_client sorts them."""
    order = sorted(range(len(names)), key=lambda at: names[at])
    fill = "{{{{{}}}}}".format(",".join(f'{names[at]}="{{{at}}}"' for at in order)).format
    return [fill(*map(escape, key)) for key in keys]


@lru_cache(maxsize=1 << 17)
def escape(value: str) -> str:
    """Prometheus exposition formats: backslash, line feed and quote of a label's value."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@lru_cache(maxsize=1 << 16)
def number(value: float) -> str:
    """As prometheus_client writes it."""
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
