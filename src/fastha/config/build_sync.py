"""`vrrp_sync_group` -> SyncGroup, and what groups track -> `track` of their members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastha.config import values
from fastha.config.build_mail import Mail
from fastha.config.build_trackers import LISTS, Known, build_trackers, without_own
from fastha.config.build_vrrp import NOBODY, NOTIFY
from fastha.config.item import Item
from fastha.config.placed import Built, named_once
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.lean import dataclass, field, replace
from fastha.model import InstanceNotify, Script, SyncGroup, Tracker, VrrpInstance


@dataclass(slots=True)
class _Draft:
    """A group while its block is read."""

    members: list[str] = field(default_factory=list)
    weights: bool = False
    trackers: list[Tracker] = field(default_factory=list)
    interfaces: list[Sequence[Statement]] = field(default_factory=list)  # blocks of track_interface
    notify: dict[str, Script] = field(default_factory=dict)
    smtp_alert: bool | None = None
    notify_priority: bool | None = None  # of members that do not say it (as keepalived, observed)


def build_sync_groups(
    blocks: Iterable[Item], instances: list[Built[VrrpInstance]], things: Known, mail: Mail, faults: Faults
) -> tuple[SyncGroup, ...]:
    """The groups; instances are replaced by those with what they have from their group. Members that are not there, or
    in two groups, are found by config.references."""
    known = {built.value.name: index for index, built in enumerate(instances)}
    out: list[SyncGroup] = []
    taken: set[str] = set()
    for name, statement in named_once("vrrp_sync_group", blocks, faults):
        draft = _read(statement, things, faults)
        members = tuple(m for m in dict.fromkeys(draft.members) if m in known and m not in taken)
        taken.update(members)
        for member in members:
            built = instances[known[member]]
            instances[known[member]] = Built(_joined(built, draft, faults), built.spot)
        alert = mail.alerts(draft.smtp_alert, "vrrp")
        notify = InstanceNotify(**draft.notify, says_deleted=False) if draft.notify else NOBODY
        out.append(SyncGroup(name, members, draft.weights, notify, alert))
    for index, built in enumerate(instances):
        if known[built.value.name] != index:
            instances[index] = instances[known[built.value.name]]
    return tuple(out)


def _read(statement: Statement, known: Known, faults: Faults) -> _Draft:
    draft = _Draft()
    for item in items(statement.block or [], "vrrp_sync_group", faults):
        block = item.statement.block or []
        match item.name:
            case "group":
                draft.members += [word for line in block for word in line.words]
            case word if word in LISTS:
                draft.trackers += build_trackers(word, block, known, faults)
                draft.interfaces += [block] if word == "track_interface" else []
            case "notify_priority_changes":
                draft.notify_priority = values.boolean(item, faults)
            case "sync_group_tracking_weight":
                draft.weights = True
            case "smtp_alert":
                draft.smtp_alert = values.boolean(item, faults)
            case name:
                if (script := values.script(item, faults)) is not None:
                    draft.notify[NOTIFY[name]] = script
    return draft


def _joined(built: Built[VrrpInstance], draft: _Draft, faults: Faults) -> VrrpInstance:
    """An instance with the things its group tracks and says for it. A weighted thing counts only where the group says
    so; interfaces always (as in keepalived, observed, whatever it logs)."""
    instance = built.value
    shared = without_own(draft.trackers, instance.interface, draft.interfaces, faults)
    out: dict[tuple[str, str], Tracker] = {}
    for tracker in (*instance.track, *shared):
        if tracker.weight and tracker.kind != "interface" and not draft.weights:
            what = f"{tracker.kind} {shown(tracker.name)}"
            faults.warning(
                built.spot.place(1),
                f"{shown(instance.name)} is in a sync group: {what}, which has a weight, is ignored",
                "sync_group_tracking_weight",
            )
        else:
            out.setdefault((tracker.kind, tracker.name), tracker)
    notify_priority = instance.notify_priority
    if draft.notify_priority is not None and not any(
        s.words[0] == "notify_priority_changes" for s in built.statement.block or ()
    ):
        notify_priority = draft.notify_priority
    track = tuple(out.values())
    if track == instance.track and notify_priority == instance.notify_priority:
        return instance
    return replace(instance, track=track, notify_priority=notify_priority)
