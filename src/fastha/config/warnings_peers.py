"""One file for several directors (`@id` lines): what it says to each of them, side by side. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import combinations

from fastha.config.advice import at, warn
from fastha.config.build_globals import Globals, build_globals
from fastha.config.build_trackers import NOTHING
from fastha.config.build_vrrp import build_instance
from fastha.config.placed import Built
from fastha.config.top import Top
from fastha.config.tree import EnoughFaults, Faults, Tree
from fastha.model import VrrpInstance

CONDITION = re.compile(r"^[ \t]*@\^?([^ \t\r\n]+)", re.M)
MOST = 8  # directors that are compared
ANOTHER = "another-director"  # for a file that names one director and means all others

Instances = list[Built[VrrpInstance]]


def directors(texts: Iterable[str]) -> list[str]:
    """The configuration ids that these texts tell apart; none if they do not."""
    names = list(dict.fromkeys(name for text in texts if "@" in text for name in CONDITION.findall(text)))
    return [*names, ANOTHER][: max(2, min(len(names), MOST))] if names else []


def instances_of(tree: Tree) -> Instances:
    """The instances of one director; what is wrong with them is told elsewhere."""
    faults, globals_ = Faults(), Globals()
    with suppress(EnoughFaults):
        top = Top(tree.statements, faults)
        for item in top.named("global_defs"):
            build_globals(item.statement.block or [], globals_, faults)
        built = (build_instance(item, globals_, {}, NOTHING, faults) for item in top.named("vrrp_instance"))
        return [b for b in built if b]
    return []


def advise(by_director: Mapping[str, Instances], faults: Faults) -> None:
    """Warnings about two directors that both want to be master, or have one priority."""
    for (one, theirs), (other, ours) in combinations(by_director.items(), 2):
        known = {(b.value.interface, b.value.vrid, b.value.family): b.value for b in theirs}
        for built in ours:
            instance = built.value
            peer = known.get((instance.interface, instance.vrid, instance.family))
            if peer is None or not {a.ip for a in peer.addresses} & {a.ip for a in instance.addresses}:
                continue
            if peer.wants_master and instance.wants_master:
                warn(
                    faults, "both-masters", at(built.statement, "state"),
                    f"{instance.name} begins as master on {one} and on {other}",
                )  # fmt: skip
            if peer.priority == instance.priority:
                warn(
                    faults, "same-priority", at(built.statement, "priority"),
                    f"{instance.name} has priority {instance.priority} on {one} and on {other}",
                )  # fmt: skip
