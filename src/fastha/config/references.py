"""What blocks say about one another, and what goes together in one of them; sync groups and their members.

Works on statements, not on built values: what a block says twice, or in vain, is in no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastha.config.near import meant
from fastha.config.tree import Faults, Marks, Spot, Statement, shown

# block -> what it cannot do without
REQUIRED = {"vrrp_script": "script", "vrrp_track_process": "process"}
# keyword of vrrp_instance -> without one of these it means nothing
NEEDS = {
    "vmac_xmit_base": ("use_vmac",),
    "staged_addresses": ("use_vmac",),
    "unicast_ttl": ("unicast_peer",),
    "check_unicast_src": ("unicast_peer",),
    "old_unicast_checksum": ("unicast_peer",),
}


def check_references(statements: Sequence[Statement], faults: Faults) -> None:
    """Faults for the whole file; `statements` are those of the top level."""
    instances: dict[str, int] = {}  # name -> index of its mark
    marks = Marks()
    for statement in statements:
        words = statement.words
        if statement.has_block and words[0] == "vrrp_instance" and len(words) > 1 and words[1] not in instances:
            instances[words[1]] = len(marks)
            marks.add(statement)
    book = _Book(instances, marks, faults)
    for statement in statements:
        if statement.has_block:
            book.check(statement)
            statement.forget()
    book.check_members()


def inner(statement: Statement, word: str) -> Iterator[Statement]:
    """The statements of a block that begin with `word`."""
    return (s for s in statement.block or () if s.words[0] == word)


def entries(statement: Statement, word: str) -> Iterator[Statement]:
    """The lines of every list `word` of a block."""
    return (line for opened in inner(statement, word) for line in opened.block or ())


class _Book:
    """Instances by name, and the groups so far."""

    def __init__(self, instances: dict[str, int], marks: Marks, faults: Faults) -> None:
        self.instances = instances
        self.marks = marks
        self.faults = faults
        self.taken: set[str] = set()  # instances that are in a sync group
        self.groups: list[tuple[Spot, list[str]]] = []  # those that track, and who is in them and in none before

    def check(self, statement: Statement) -> None:
        word = statement.words[0]
        if word in REQUIRED:
            if not any(inner(statement, REQUIRED[word])):
                self.faults.error(statement.place(), f"{word} without {REQUIRED[word]}")
            if word == "vrrp_track_process":
                self._quorums(statement)
        elif word == "vrrp_sync_group":
            self._sync_group(statement)
        elif word == "vrrp_instance":
            self._needs(statement)
        elif word == "garp_group" and not any(
            True for w in ("garp_interval", "gna_interval") for _ in inner(statement, w)
        ):
            self.faults.warning(statement.place(), "garp_group without garp_interval or gna_interval does nothing")

    def _quorums(self, statement: Statement) -> None:
        said = {s.words[0]: s for s in statement.block or () if len(s.words) > 1 and s.words[1].isdigit()}
        least, most = said.get("quorum"), said.get("quorum_max")
        if least is not None and most is not None and int(most.words[1][:9]) < int(least.words[1][:9]):
            later = max(least, most, key=lambda s: s.line)
            self.faults.warning(later.place(1), f"quorum_max is below quorum: {later.words[0]} is ignored")

    def _needs(self, statement: Statement) -> None:
        said = {s.words[0]: s for s in statement.block or ()}
        for word, others in NEEDS.items():
            if word in said and not any(o in said for o in others):
                self.faults.warning(said[word].place(), f"{word} has no effect without {' or '.join(others)}")
        unicast = "unicast_peer" in said or "unicast_fault_no_peer" in said
        if "use_vmac" in said and unicast and "vmac_xmit_base" not in said:
            self.faults.warning(said["use_vmac"].place(), "with unicast, use_vmac sends from the interface itself")
        if "vrf" in said and "interface" in said:
            self.faults.warning(said["vrf"].place(), "vrf has no effect with interface")
        if "use_vmac" in said and "use_ipvlan" in said:
            both = "use_vmac and use_ipvlan exclude one another: the first one counts"
            self.faults.warning(said["use_ipvlan"].place(), both)

    def _members(self, statement: Statement) -> Iterator[tuple[str, Statement, int]]:
        """(name, line, word index) of a group's members."""
        groups = inner(statement, "group")
        first, second = next(groups, None), next(groups, None)
        if first is not None and second is not None:
            self.faults.error(second.place(), "group is there already", f"line {first.line}")
        if first is not None and not first.block:
            self.faults.warning(first.place(), "the group is empty")
        return ((name, line, i) for line in entries(statement, "group") for i, name in enumerate(line.words))

    def _sync_group(self, statement: Statement) -> None:
        members: list[str] = []
        for name, line, i in self._members(statement):
            if name not in self.instances:
                hint = meant(name[:40], self.instances, after=len(self.faults))
                self.faults.error(line.place(i), f"there is no vrrp_instance '{shown(name)}'", hint)
            elif name in self.taken:
                self.faults.error(line.place(i), f"vrrp_instance {shown(name)} is in a sync group already")
            else:
                self.taken.add(name)
                members.append(name)
        if any(inner(statement, "track_interface")):
            self.groups.append((statement.spot(), members))
        if len(members) < 2:
            many = "only one instance" if members else "no instance"
            self.faults.warning(statement.place(1), f"sync group {shown(statement.words[-1])} has {many}")

    def check_members(self) -> None:
        """What instances and their sync group both track."""
        for spot, members in self.groups:
            if members:
                self._tracked_twice(spot.statement(), members)

    def _tracked_twice(self, group: Statement, members: Sequence[str]) -> None:
        marks = Marks()
        shared: dict[str, int] = {}  # interface -> index of the mark of its line in the group
        for line in entries(group, "track_interface"):
            if line.words[0] not in shared:
                shared[line.words[0]] = len(shared)
                marks.add(line)
        for name in members if shared else ():
            instance = self.marks.statement(self.instances[name])
            twice = [line for line in entries(instance, "track_interface") if line.words[0] in shared]
            own = {s.words[1] for s in inner(instance, "interface") if len(s.words) > 1 and s.words[1] in shared}
            for line in (*twice, *(marks.statement(shared[interface]) for interface in own)):
                self.faults.warning(line.place(), f"{shown(name)} and its group both track {shown(line.words[0])}")
