"""What blocks say about one another by name, for keywords without effect yet: trackers, groups, what must come before.

Works on statements, not on built values: those keywords have none. Builders of keywords with an effect look after
their own references.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastha.config.keywords import TABLE, Status
from fastha.config.keywords.table import ROOT
from fastha.config.near import meant
from fastha.config.tree import Faults, Place, Spot, Statement, shown

# What keepalived reads in order: the definition must come before its use.
TRACKED = {
    "track_script": "vrrp_script",
    "track_process": "vrrp_track_process",
    "track_file": "track_file",
    "track_bfd": "bfd_instance",
}
# block -> what it cannot do without
REQUIRED = {"vrrp_script": "script", "vrrp_track_process": "process"}
# The weight +-254 that file and process trackers may have is one too many here.
NARROW = ("track_interface", "track_script", "track_bfd")
# keyword of vrrp_instance -> without one of these it means nothing
NEEDS = {
    "vmac_xmit_base": ("use_vmac",),
    "staged_addresses": ("use_vmac",),
    "unicast_ttl": ("unicast_peer",),
    "check_unicast_src": ("unicast_peer",),
    "old_unicast_checksum": ("unicast_peer",),
}


def noted(word: str, block: str = ROOT) -> bool:
    """Whether a keyword has no effect yet, so that nobody else looks at what it says."""
    return TABLE[block][word].status is not Status.SUPPORTED


def check_references(statements: Sequence[Statement], faults: Faults) -> None:
    """Faults for the whole file; `statements` are those of the top level."""
    names: dict[str, dict[str, Spot]] = {}
    for word, statement in _definitions(statements):
        if word in DEFINED and len(statement.words) > 1:
            name, known = statement.words[1], names.setdefault(word, {})
            if name not in known:
                known[name] = statement.spot()
            elif word != "vrrp_instance" and noted(word):
                report = faults.error if word == "vrrp_sync_group" else faults.warning
                report(statement.place(1), f"{word} {shown(name)} is there already", f"line {known[name].line}")
    book = _Book(names, faults)
    for _, statement in _definitions(statements):
        book.check(statement)
        statement.forget()
    book.check_members()


def _definitions(statements: Sequence[Statement]) -> Iterator[tuple[str, Statement]]:
    """Blocks that may refer to others: keyword, statement."""
    for statement in statements:
        keyword = TABLE[ROOT].get(statement.words[0])
        word = "" if keyword is None else keyword.alias_of or keyword.word
        if word and statement.has_block and word not in ("virtual_server", "virtual_server_group"):
            yield word, statement


DEFINED = (*TRACKED.values(), "vrrp_instance", "vrrp_sync_group")


def inner(statement: Statement, word: str) -> Iterator[Statement]:
    """The statements of a block that begin with `word`."""
    return (s for s in statement.block or () if s.words[0] == word)


def entries(statement: Statement, word: str) -> Iterator[Statement]:
    """The lines of every list `word` of a block."""
    return (line for opened in inner(statement, word) for line in opened.block or ())


class _Book:
    """Names that are defined, and where."""

    def __init__(self, names: dict[str, dict[str, Spot]], faults: Faults) -> None:
        self.names = names
        self.faults = faults
        self.taken: set[str] = set()  # instances that are in a sync group
        self.groups: list[tuple[Spot, list[str]]] = []  # the groups, and who is in them and in none before

    def check(self, statement: Statement) -> None:
        word = statement.words[0]
        if word in REQUIRED:
            if not any(inner(statement, REQUIRED[word])):
                self.faults.error(statement.place(), f"{word} without {REQUIRED[word]}")
            if word == "vrrp_track_process":
                self._quorums(statement)
        elif word in ("vrrp_instance", "vrrp_sync_group"):
            self._trackers(statement, word)
            if word == "vrrp_sync_group":
                self._sync_group(statement)
            else:
                self._needs(statement)
        elif word == "garp_group" and not any(
            True for w in ("garp_interval", "gna_interval") for _ in inner(statement, w)
        ):
            self.faults.warning(statement.place(), "garp_group without garp_interval or gna_interval does nothing")

    def _find(self, kind: str, line: Statement, index: int) -> None:
        """The name at word `index` must be that of a `kind`, defined before."""
        name = line.words[index]
        known = self.names.get(kind, {})
        if name not in known:
            self.faults.error(line.place(index), f"there is no {kind} '{shown(name)}'", meant(name[:40], known))
        elif known[name].at > line.spot().at:
            self.faults.warning(
                line.place(index),
                f"{kind} {shown(name)} is defined after its use: keepalived ignores it here",
                f"line {known[name].line}",
            )

    def _trackers(self, statement: Statement, block: str) -> None:
        said = {s.words[0]: s.words[1] for s in statement.block or () if len(s.words) > 1}
        own = said.get("interface", "")
        owner = said.get("priority", "255" if said.get("state") == "MASTER" else "") == "255"
        for word in ("track_interface", *TRACKED):
            if not noted(word, block):
                continue
            seen: set[str] = set()
            for line in entries(statement, word):
                name = line.words[0]
                if name in seen:
                    self.faults.warning(line.place(), f"{word} {shown(name)} is there already; this one is ignored")
                seen.add(name)
                if word in TRACKED:
                    self._find(TRACKED[word], line, 0)
                elif name == own:
                    self.faults.warning(line.place(), f"{shown(name)} is watched anyway, being the own interface")
                if owner and self._weighted(line, TRACKED.get(word, "")):
                    self.faults.warning(line.place(), f"the weight of {shown(name)} is ignored: 255 never changes")
                if word in NARROW and line.words[1:3] in (["weight", "254"], ["weight", "-254"]):
                    self.faults.warning(line.place(2), f"{word}: the weight is at most 253")

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
        groups = list(inner(statement, "group"))
        if len(groups) > 1:
            self.faults.error(groups[1].place(), "group is there already", f"line {groups[0].line}")
        if groups and not groups[0].block:
            self.faults.warning(groups[0].place(), "the group is empty")
        return ((name, line, i) for line in entries(statement, "group") for i, name in enumerate(line.words))

    def _sync_group(self, statement: Statement) -> None:
        known = self.names.get("vrrp_instance", {})
        members: list[str] = []
        for name, line, i in self._members(statement):
            if name not in known:
                self.faults.error(line.place(i), f"there is no vrrp_instance '{shown(name)}'", meant(name[:40], known))
            elif name in self.taken:
                self.faults.error(line.place(i), f"vrrp_instance {shown(name)} is in a sync group already")
            else:
                self.taken.add(name)
                members.append(name)
        self.groups.append((statement.spot(), members))
        if len(members) < 2:
            many = "only one instance" if members else "no instance"
            self.faults.warning(statement.place(1), f"sync group {shown(statement.words[-1])} has {many}")

    def check_members(self) -> None:
        """What an instance and its sync group say together."""
        for spot, members in self.groups:
            group = spot.statement()
            shared: dict[str, list[Place]] = {}  # interface -> where the group tracks it
            for line in entries(group, "track_interface"):
                shared.setdefault(line.words[0], []).append(line.place())
            counted = any(s.words[0] in ("sync_group_tracking_weight", "global_tracking") for s in group.block or ())
            for name in members:
                instance = self.names["vrrp_instance"][name].statement()
                self._both(name, instance, shared)
                if not counted:
                    self._without_weight(instance)

    def _both(self, name: str, instance: Statement, shared: dict[str, list[Place]]) -> None:
        """What an instance and its group both track."""
        twice = [(line.place(), line.words[0]) for line in entries(instance, "track_interface") if line.words[0] in shared]
        own = dict.fromkeys(s.words[1] for s in inner(instance, "interface") if len(s.words) > 1)
        twice += [(place, interface) for interface in own for place in shared.get(interface, ())]
        for place, interface in twice:
            self.faults.warning(place, f"{shown(name)} and its group both track {shown(interface)}")

    def _without_weight(self, instance: Statement) -> None:
        for word, kind in [*TRACKED.items(), ("track_interface", "")]:
            for line in entries(instance, word) if noted(word, "vrrp_instance") else ():
                if self._weighted(line, kind):
                    self.faults.warning(
                        line.place(), f"the weight of {shown(line.words[0])} is ignored in a sync group",
                        "sync_group_tracking_weight",
                    )  # fmt: skip

    def _weighted(self, line: Statement, kind: str) -> bool:
        if line.words[1:2] == ["weight"]:
            return line.words[2:3] != ["0"]
        definition = self.names.get(kind, {}).get(line.words[0])
        if definition is None:
            return False
        return any(s.words[1:2] not in ([], ["0"]) for s in inner(definition.statement(), "weight"))
