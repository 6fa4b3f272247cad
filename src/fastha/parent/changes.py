"""From one configuration to another: what is said to a child, and what is said to people. Pure.

`Part`s that did not change are the same objects where possible (parent/reading.py), so comparing them costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from fastha.model.parts import CLASSES, Key, Part, real_servers

SLICE_BYTES = 1 << 16  # of one message: about a millisecond of the child's decoding
SLICE_FACTS = 32  # virtual servers or instances of `previous` in one message

Parts = Mapping[Key, Part]
Entry = list[Any]  # a row of the message `parts`


def differing(old: Parts, new: Parts, kinds: Iterable[str]) -> tuple[list[Key], list[Part]]:
    """(keys that are gone, parts that are new or other) of these kinds."""
    wanted = frozenset(kinds)
    gone = [key for key in old if key[0] in wanted and key not in new]
    changed = [
        part
        for key, part in new.items()
        if key[0] in wanted and (before := old.get(key)) is not part and before != part
    ]
    return gone, changed


def messages(old: Parts, new: Parts, kinds: Iterable[str], generation: int, base: int) -> Iterator[dict[str, Any]]:
    """The `parts` messages that make what `base` is (`old`) into `new`; none if there is no difference."""
    gone, changed = differing(old, new, kinds)
    changed.sort(key=lambda part: _ORDER[part.key[0]])  # stable: in the order of the file
    rows: list[Entry] = []
    size = 0
    for row, weight in _rows(gone, changed, old):
        if rows and size + weight > SLICE_BYTES:
            yield {"type": "parts", "generation": generation, "base": base, "parts": rows}
            rows, size = [], 0
        rows.append(row)
        size += weight
    if rows:
        yield {"type": "parts", "generation": generation, "base": base, "parts": rows}


_ORDER = {kind: number for number, kind in enumerate(CLASSES)}


def _rows(gone: Iterable[Key], changed: Iterable[Part], old: Parts) -> Iterator[tuple[Entry, int]]:
    for kind, name in gone:
        yield [kind, name], 64
    for part in changed:
        kind, name = part.key
        before = old.get(part.key)
        had = {chunk: number for number, chunk in enumerate(before.chunks)} if before is not None else {}
        head: orjson.Fragment | None = orjson.Fragment(part.head)
        chunks: list[Any] = []
        size = len(part.head)
        for chunk in part.chunks:
            number = had.get(chunk)
            if chunks and size > SLICE_BYTES:
                yield [kind, name, head, chunks], size
                head, chunks, size = None, [], 0  # goes on with the row before
            chunks.append(orjson.Fragment(chunk) if number is None else number)
            size += len(chunk) if number is None else 6
        yield [kind, name, head, chunks], size


def previous_slices(facts: Mapping[str, Any], generation: int) -> Iterator[dict[str, Any]]:
    """What a predecessor reported, in messages `previous`."""
    for name, value in facts.items():
        if not isinstance(value, dict):
            yield {"type": "previous", "generation": generation, "facts": {name: value}}
            continue
        names = list(value)
        for start in range(0, max(1, len(names)), SLICE_FACTS):
            some = {key: value[key] for key in names[start : start + SLICE_FACTS]}
            yield {"type": "previous", "generation": generation, "facts": {name: some}}


@dataclass(slots=True)
class Count:
    """How many of a kind came, went, and are other than they were."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        numbers = {"added": self.added, "removed": self.removed, "changed": self.changed}
        return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


@dataclass(slots=True)
class Summary:
    """What a reload changed, for people. Real servers of virtual servers that come or go are counted too."""

    counts: dict[str, Count] = field(default_factory=dict)

    def plain(self) -> dict[str, dict[str, int]]:
        return {
            word: {"added": c.added, "removed": c.removed, "changed": c.changed} for word, c in self.counts.items() if c
        }

    def __str__(self) -> str:
        """`virtual servers: 1 added; real servers: 2 removed, 10 changed`."""
        return "; ".join(f"{word}: {count}" for word, count in self.counts.items() if count)


WORDS = {
    "globals": "global_defs",
    "instance": "instances",
    "sync_group": "sync groups",
    "virtual_server": "virtual servers",
    "track_file": "track files",
    "bfd": "BFD sessions",
    "vrrp_script": "VRRP scripts",
    "track_process": "tracked processes",
}
REAL_SERVERS = "real servers"


def summarize(old: Parts, new: Parts) -> Iterator[Summary]:
    """Counts step by step (there may be many): the last one that is given is complete."""
    summary = Summary({**{word: Count() for word in WORDS.values()}, REAL_SERVERS: Count()})
    gone, changed = differing(old, new, WORDS)
    for kind, name in gone:
        summary.counts[WORDS[kind]].removed += 1
        summary.counts[REAL_SERVERS].removed += old[kind, name].count
    for part in changed:
        before = old.get(part.key)
        count = summary.counts[WORDS[part.key[0]]]
        if before is None:
            count.added += 1
            summary.counts[REAL_SERVERS].added += part.count
            continue
        if before.head != part.head:
            count.changed += 1
        _count_real(before, part, summary.counts[REAL_SERVERS])
        yield summary
    yield summary


def _count_real(old: Part, new: Part, into: Count) -> None:
    if old.chunks == new.chunks:
        return
    both = set(old.chunks) & set(new.chunks)
    before = real_servers(old, (chunk for chunk in old.chunks if chunk not in both))
    after = real_servers(new, (chunk for chunk in new.chunks if chunk not in both))
    into.added += len(after.keys() - before.keys())
    into.removed += len(before.keys() - after.keys())
    into.changed += sum(before[key] != after[key] for key in before.keys() & after.keys())
