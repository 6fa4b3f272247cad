"""`track_file` -> TrackFile, FILE_CHECK -> FileCheck."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.config import values
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.near import meant
from fastha.config.placed import named_once
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.model import Check, FileCheck, TrackFile

INIT = 2**31


def build_track_files(blocks: Iterable[Item], faults: Faults) -> dict[str, TrackFile]:
    """Every `track_file` of the top level by name; of two with one name the first stays, and it is an error."""
    found = ((name, _track_file(name, block, faults)) for name, block in named_once("track_file", blocks, faults))
    return {name: built for name, built in found if built is not None}


def _track_file(name: str, statement: Statement, faults: Faults) -> TrackFile | None:
    path, weight, reverse = "", 0, False
    init: int | None = None
    overwrite = False
    for item in items(statement.block or [], "track_file", faults):
        match item.name:
            case "file":
                path = item.statement.words[1]
            case "weight":
                weight, reverse = weight_word(item, faults) or (0, False)
            case "init_file":
                init, overwrite = _init(item, faults)
    if not path:
        faults.error(statement.place(), f"track_file {shown(name)} without a file", "file /path")
        return None
    return TrackFile(name, path, weight, reverse, init, overwrite)


def weight_word(item: Item, faults: Faults) -> tuple[int, bool] | None:
    """`weight N [reverse]`; None after a fault."""
    words, statement = item.statement.words, item.statement
    value = values.number(item, faults)
    if len(words) > 2 and words[2] not in ("reverse", "noreverse"):
        faults.error(statement.place(2), f"'{shown(words[2])}' cannot follow a weight", "reverse")
        return None
    return None if value is None else (value, len(words) > 2 and words[2] == "reverse")


def _init(item: Item, faults: Faults) -> tuple[int, bool]:
    """`init_file [VALUE] [overwrite]`, in either order."""
    value, overwrite = 0, False
    for i, word in enumerate(item.statement.words[1:], 1):
        if word == "overwrite":
            overwrite = True
        else:
            value = values.number(item, faults, i, -INIT, INIT - 1) or 0
    return value, overwrite


def build_file(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    known = above.files or {}
    file: TrackFile | None = None
    weight: tuple[int, bool] | None = None
    statement = item.statement
    for inner in items(statement.block or [], item.name, faults):
        match inner.name:
            case "track_file":
                name, place = inner.statement.words[1], inner.statement.place(1)
                file = known.get(name)
                if file is None:
                    hint = meant(name, known, after=len(faults)) or f"track_file {shown(name)} {{ file /path }}"
                    faults.error(place, f"there is no track_file {shown(name)}", hint)
                    return None
            case "weight":
                weight = weight_word(inner, faults)
    if file is None:
        faults.error(statement.place(), "FILE_CHECK without a track_file", "track_file NAME")
        return None
    # keepalived.md 2.9: an omitted weight is that of the track_file
    number, reverse = weight if weight is not None else (file.weight, file.reverse)
    return FileCheck(
        track_file=file.name, path=file.path, weight=number, reverse=reverse,
        retry=0, warmup_ns=0,
    )  # fmt: skip
