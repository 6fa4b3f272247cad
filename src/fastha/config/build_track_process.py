"""`vrrp_track_process` -> TrackProcess."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.config import values
from fastha.config.build_file import weight_word
from fastha.config.item import Item
from fastha.config.placed import named_once
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement
from fastha.config.words import check_words
from fastha.model import TrackProcess


def build_track_processes(blocks: Iterable[Item], faults: Faults) -> dict[str, TrackProcess]:
    """Every one by name; of two with one name the first stays, and it is an error. One without a process is found by
    config.references."""
    found = (
        (name, _process(name, statement, faults))
        for name, statement in named_once("vrrp_track_process", blocks, faults)
    )
    return {name: built for name, built in found if built is not None}


def _process(name: str, statement: Statement, faults: Faults) -> TrackProcess | None:
    argv: tuple[str, ...] = ()
    match, full_command = "", False
    quorum: int | None = None
    quorum_max: int | None = None
    terminate_ns, fork_ns = 0, 0
    weight, reverse = 0, False
    for item in items(statement.block or [], "vrrp_track_process", faults):
        words = item.statement.words
        match item.name:
            case "process":
                argv = tuple(words[1:])
            case "param_match":
                check_words(item, faults)
                match = words[1] if len(words) > 1 else "exact"
            case "weight":
                weight, reverse = weight_word(item, faults) or (0, False)
            case "quorum":
                number = values.number(item, faults)
                # Of two that exclude one another the later one is ignored, as in keepalived; a warning says so.
                quorum = number if number is None or quorum_max is None or number <= quorum_max else quorum
            case "quorum_max":
                number = values.number(item, faults)
                quorum_max = number if number is None or quorum is None or number >= quorum else quorum_max
            case "terminate_delay":
                terminate_ns = values.seconds_ns(item, faults) or 0
            case "fork_delay":
                fork_ns = values.seconds_ns(item, faults) or 0
            case "delay":
                terminate_ns = fork_ns = values.seconds_ns(item, faults) or 0
            case "full_command":
                full_command = True
    if not argv:
        return None
    return TrackProcess(
        name=name,
        argv=argv,
        match=match,
        full_command=full_command,
        quorum=quorum if quorum is not None else (0 if quorum_max == 0 else 1),  # quorum_max 0: it must not run
        quorum_max=quorum_max,
        terminate_delay_ns=terminate_ns,
        fork_delay_ns=fork_ns,
        weight=weight,
        reverse=reverse,
    )
