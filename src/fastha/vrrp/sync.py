"""Shell of the sync groups: routers that vrrp/group.py moves together, what is told of it, and who belongs to which."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastha.child.told import Told
from fastha.model import SyncGroup
from fastha.scripts import letters, lines
from fastha.vrrp import group, machine, notify
from fastha.vrrp.machine import Event, Role, State

if TYPE_CHECKING:
    from fastha.child import Child
    from fastha.vrrp.router import Router


class Sync:
    """One group. `place` and `remove` say who is in it, `happen` plays an event of a member."""

    def __init__(self, child: Child, config: SyncGroup) -> None:
        self.config = config
        self.members: list[Router] = []  # in the order of the configuration
        self.role = Role.INIT
        self.since, self.why = time.time(), "started"
        self.last = notify.STOP  # what the end is called
        self._child = child
        self._blocker: Router | None = None  # a member that was not ready: most likely it is not yet
        self._told = Told(child, "groups")

    def place(self, router: Router) -> None:
        router.sync = self
        rank = {name: number for number, name in enumerate(self.config.members)}
        self.members = sorted(
            {*self.members, router}, key=lambda r: rank.get(r.instance.name, len(rank))
        )  # fmt: skip

    def remove(self, router: Router, now_ns: int) -> None:
        """It stands for itself from now on."""
        router.sync = None
        self.members.remove(router)
        self._blocker = None
        old = router.present()
        new, effects = group.alone(old, now_ns, router.rules)
        router.take(old, new)
        for effect in effects:
            router.perform(effect)

    @property
    def complete(self) -> bool:
        return len(self.members) == len(self.config.members)

    def happen(self, router: Router, event: Event, now_ns: int) -> None:
        """Play one event of a member; the others are looked at only if it concerns them."""
        old = router.present()
        new, effects = machine.step(router.rules, old, event, now_ns)
        leads = new.role is Role.MASTER and old.role is Role.BACKUP
        if leads and self._blocked(router):
            new, effects = machine.step(router.rules, old, machine.GroupWaits(), now_ns)
        elif group.concerns(old, new):
            olds = [member.present() for member in self.members]
            rules = [member.rules for member in self.members]
            states, moves = group.step(rules, olds, self.members.index(router), event, now_ns, self.complete)
            self._apply(olds, states, moves)
            return
        router.take(old, new)
        for effect in effects:
            router.perform(effect)

    def settle(self, now_ns: int) -> None:
        """After members came or went."""
        olds = [member.present() for member in self.members]
        rules = [member.rules for member in self.members]
        self._apply(olds, *group.settle(rules, olds, now_ns, self.complete))
        self.role = group.role_of(member.state for member in self.members)
        self.publish()

    def _blocked(self, router: Router) -> bool:
        """Is there a member that cannot lead? Of a thousand members each asks, and one answer serves most of them."""
        if not self.complete:
            return True
        before = self._blocker
        if before is not None and before is not router and not group.ready(before.present()):
            return True
        self._blocker = next((m for m in self.members if m is not router and not group.ready(m.present())), None)
        return self._blocker is not None

    def _apply(self, olds: list[State], states: list[State], moves: group.Moves) -> None:
        members = list(self.members)
        for member, old, new in zip(members, olds, states, strict=True):
            if new is not old:
                member.take(old, new)
        for number, effect in moves:
            if isinstance(effect, group.GroupNotify):
                self._tell(effect)
            else:
                members[number].perform(effect)
                if isinstance(effect, machine.AddAddresses | machine.RemoveAddresses):
                    members[number].house.lane.breathe()  # thousands of addresses: others' adverts do not wait for all

    def _tell(self, change: group.GroupNotify) -> None:
        """Log, scripts and FIFOs, in their order."""
        self.role, self.since, self.why = change.new, time.time(), change.why
        name, child = self.config.name, self._child
        level = logging.WARNING if change.new is Role.FAULT else logging.INFO
        child.event("group", name, f"{change.old} -> {change.new}: {change.why}", level, change.why)
        state = self.last if change.new is Role.INIT else str(change.new).upper()
        scripts, line = notify.group_told(self.config, state)
        for script in scripts:
            child.script(script, f"group {name}")
        child.send("notify", line=line)
        if self.config.smtp_alert:
            child.post(letters.group(name, state, change.why))
        self.publish()

    def repeat(self) -> None:
        """The state once more for the FIFOs."""
        if self.role is not Role.INIT:
            self._child.send("notify", line=lines.group(self.config.name, str(self.role).upper()))

    def publish(self) -> None:
        """Tell the parent what differs from what it was told."""
        facts: dict[str, Any] = {"state": str(self.role), "since": self.since, "why": self.why}
        self._told.publish(self.config.name, {**facts, "members": list(self.config.members)})


class Syncs:
    """All groups of the process."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._groups: dict[str, Sync] = {}
        self._of: dict[str, Sync] = {}  # instance -> its group

    def configure(self, groups: Iterable[SyncGroup]) -> None:
        """The groups of a configuration; who is not in one of them any more is told by `place`."""
        wanted = {one.name: one for one in groups}
        for name in self._groups.keys() - wanted.keys():
            del self._groups[name]
            self._child.facts({"groups": {name: None}})
        for name, config in wanted.items():
            if name in self._groups:
                self._groups[name].config = config
            else:
                self._groups[name] = Sync(self._child, config)
        self._of = {member: self._groups[name] for name, config in wanted.items() for member in config.members}

    def place(self, router: Router, now_ns: int, name: str) -> None:
        """Into the group that instance `name` has now, out of the one it had."""
        wanted = self._of.get(name)
        if router.sync is not None and router.sync is not wanted:
            router.sync.remove(router, now_ns)
        if wanted is not None:
            wanted.place(router)

    def repeat(self) -> None:
        """The states of all groups once more for the FIFOs."""
        for sync in self._groups.values():
            sync.repeat()

    def settle(self, routers: Iterable[Router], now_ns: int) -> None:
        """Everybody where it belongs, and every group of one mind."""
        for router in routers:
            if router.sync is not self._of.get(router.instance.name):
                self.place(router, now_ns, router.instance.name)
        for sync in self._groups.values():
            sync.settle(now_ns)
