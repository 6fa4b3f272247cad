"""What a reading process says to the parent: lines of JSON, and after the line of a part its bytes. Pure.

{"part": [kind, name, count, [size of head, sizes of chunks ...], [owns ...]]}\\n head chunk chunk ...
{"faults": [[severity, file, line, column, message, hint], ...]}\\n
{"end": {"ok": bool, "errors": n, "warnings": n, "files": [...], "read_ns": n}}\\n
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from fastha.errors import Fault, Severity
from fastha.model.parts import Part

MAX_LINE = 1 << 24  # the owned addresses of one instance
MAX_BLOB = 1 << 28
NEWLINE = b"\n"


@dataclass(frozen=True, slots=True)
class End:
    """The last item. `ok`: no errors; without it there are no parts. `faults` are told only up to a number, these are
    all of them: `errors`, `warnings`. `read_ns`: how long reading took."""

    ok: bool
    errors: int
    warnings: int
    files: tuple[str, ...]
    read_ns: int = 0


Item = Part | tuple[Fault, ...] | End


def encode(item: Item) -> bytes:
    if isinstance(item, Part):
        sizes = [len(item.head), *map(len, item.chunks)]
        line = orjson.dumps({"part": [*item.key, item.count, sizes, item.owns]})
        return b"".join((line, NEWLINE, item.head, *item.chunks))
    if isinstance(item, End):
        return orjson.dumps({"end": item}, option=orjson.OPT_APPEND_NEWLINE)
    rows = [[f.severity, f.file, f.line, f.column, f.message, f.hint] for f in item]
    return orjson.dumps({"faults": rows}, option=orjson.OPT_APPEND_NEWLINE)


class Decoder:
    """`feed` what arrives, then take `items()`: each is worked out when asked for, so that its owner can pause between
    two. ValueError for bytes that no reading process of ours writes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        self._searched = 0  # no newline between _start and here

    def feed(self, data: bytes) -> None:
        if self._start:
            del self._buffer[: self._start]
            self._searched -= self._start
            self._start = 0
        self._buffer += data

    @property
    def left(self) -> bool:
        """Whether it holds bytes of an item that is not complete."""
        return self._start < len(self._buffer)

    def items(self) -> Iterator[Item]:
        """All that is complete."""
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> Item | None:
        buffer, start = self._buffer, self._start
        end = buffer.find(NEWLINE, max(start, self._searched))
        if end < 0:
            self._searched = len(buffer)
            if len(buffer) - start > MAX_LINE:
                raise ValueError("a line without an end")
            return None
        self._searched = end
        line = orjson.loads(memoryview(buffer)[start:end])
        if "part" not in line:
            self._start = self._searched = end + 1
            return _faults(line["faults"]) if "faults" in line else _end(line["end"])
        kind, name, count, sizes, owns = line["part"]
        if sum(sizes) > MAX_BLOB:
            raise ValueError(f"a part of {sum(sizes)} bytes")
        if len(buffer) - end - 1 < sum(sizes):
            return None
        at, blobs = end + 1, []
        for size in sizes:
            blobs.append(bytes(buffer[at : at + size]))
            at += size
        self._start = self._searched = at
        return Part((kind, name), blobs[0], tuple(blobs[1:]), count, tuple(owns))


def _faults(rows: Iterable[Any]) -> tuple[Fault, ...]:
    return tuple(Fault(Severity(severity), *place) for severity, *place in rows)


def _end(plain: dict[str, Any]) -> End:
    return End(**{**plain, "files": tuple(plain["files"])})
