"""`track_interface`, `track_bfd`, `track_script`, `track_file` and `track_process` of an instance or group: lines of
`NAME [weight N [reverse|noreverse]]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from fastha.config import values
from fastha.config.build_bfd import unknown_bfd
from fastha.config.build_track import WEIGHT
from fastha.config.line import plain
from fastha.config.near import meant
from fastha.config.tree import Faults, Statement, shown
from fastha.config.twice import twice
from fastha.lean import dataclass
from fastha.model import BfdInstance, Tracker, TrackFile, TrackProcess, VrrpScript


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to follow, by name."""

    bfds: Mapping[str, BfdInstance]
    scripts: Mapping[str, VrrpScript]
    files: Mapping[str, TrackFile]
    processes: Mapping[str, TrackProcess]


NOTHING = Known({}, {}, {}, {})
LISTS = ("track_interface", "track_bfd", "track_script", "track_file", "track_process")
FILE_WEIGHT = 254  # of processes too


def build_trackers(word: str, block: Sequence[Statement], known: Known, faults: Faults) -> list[Tracker]:
    """The lines of one of LISTS."""
    if word == "track_interface":
        return build_track_interface(block, faults)
    if word == "track_bfd":
        return build_track_bfd(block, known.bfds, faults)
    if word == "track_script":
        return _build_named("script", "vrrp_script", WEIGHT, block, known.scripts, faults)
    if word == "track_process":
        return _build_named("process", "vrrp_track_process", FILE_WEIGHT, block, known.processes, faults)
    return _build_named("file", "track_file", FILE_WEIGHT, block, known.files, faults)


def _build_named(
    kind: str,
    what: str,
    most: int,
    block: Sequence[Statement],
    known: Mapping[str, VrrpScript] | Mapping[str, TrackFile] | Mapping[str, TrackProcess],
    faults: Faults,
) -> list[Tracker]:
    """One for each line; what it does not say about weight the definition does."""
    out = []
    for statement in plain(block, faults):
        name = statement.words[0]
        one = known.get(name)
        if one is None:
            hint = meant(name[:40], known, after=len(faults))
            faults.error(statement.place(), f"there is no {what} {shown(name)} that works", hint)
            continue
        weight, reverse, good = _weight(statement, one.weight, one.reverse, faults, most)
        if good:
            out.append(Tracker(kind, name, weight, reverse))
    return _unique(out, block, faults)


def build_track_interface(block: Sequence[Statement], faults: Faults) -> list[Tracker]:
    """One for each line; an interface that does not exist (yet) is down."""
    out = []
    for statement in plain(block, faults):
        name = values.interface(statement, 0, faults)
        weight, reverse, good = _weight(statement, 0, False, faults)
        if name is not None and good:
            out.append(Tracker("interface", name, weight, reverse))
    return _unique(out, block, faults)


def without_own(
    trackers: list[Tracker], own: str, blocks: Iterable[Sequence[Statement]], faults: Faults
) -> list[Tracker]:
    """An instance follows its own interface anyhow: without it there is FAULT, whatever a weight says (as in
    keepalived). `blocks`: those of track_interface."""
    for statement in chain.from_iterable(blocks) if own else ():
        if statement.words[0] == own:
            faults.warning(statement.place(), f"{shown(own)} is the instance's own interface, which it follows anyhow")
    if not any(t.name == own and t.kind == "interface" for t in trackers):
        return trackers
    return [t for t in trackers if (t.kind, t.name) != ("interface", own)]


def build_track_bfd(block: Sequence[Statement], bfds: Mapping[str, BfdInstance], faults: Faults) -> list[Tracker]:
    """One for each line; what it does not say about weight the session does."""
    out = []
    for statement in plain(block, faults):
        name = statement.words[0]
        bfd = bfds.get(name)
        if bfd is None or not bfd.vrrp:
            unknown_bfd(statement, name, bfds, "vrrp", faults, 0)
            continue
        weight, reverse, good = _weight(statement, bfd.weight, bfd.reverse, faults)
        if good:
            out.append(Tracker("bfd", name, weight, reverse))
    return _unique(out, block, faults)


def _weight(
    statement: Statement, weight: int, reverse: bool, faults: Faults, most: int = WEIGHT
) -> tuple[int, bool, bool]:
    """(weight, reverse, whether the line is good); the given ones if the line says nothing."""
    words = statement.words
    if len(words) == 1:
        return weight, reverse, True
    if (
        words[1] != "weight"
        or len(words) not in (3, 4)
        or (len(words) == 4 and words[3] not in ("reverse", "noreverse"))
    ):
        faults.error(statement.place(1), f"'{shown(' '.join(words[1:]))}': expected weight N [reverse|noreverse]")
        return 0, False, False
    word = words[2]
    if not values.INTEGER.fullmatch(word) or abs(int(word)) > WEIGHT + 1:
        faults.error(statement.place(2), f"'{shown(word)}' is not a weight (-{most} to {most})")
        return 0, False, False
    return min(max(int(word), -most), most), len(words) == 4 and words[3] == "reverse", True


def _unique(found: list[Tracker], block: Sequence[Statement], faults: Faults) -> list[Tracker]:
    """Of two lines about one thing the last one counts."""
    common = twice(t.name for t in found)
    if not common:
        return found
    out = {t.name: t for t in found}
    seen: set[str] = set()
    for statement in block:
        name = statement.words[0]
        if name in seen and name in out:
            faults.warning(statement.place(), f"{shown(name)} is tracked already; the last one counts")
        seen.add(name)
    return list(out.values())
