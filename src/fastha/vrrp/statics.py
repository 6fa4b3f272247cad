"""Addresses, routes and rules that are kept while the process runs, whoever is master (keepalived.md 1.4)."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from fastha.link import messages, rtnl
from fastha.link.addresses import Key, Operation
from fastha.model import Statics, VirtualAddress
from fastha.model.routes import Belonging
from fastha.vrrp.belongings import TELL_PER_S, Belongings

if TYPE_CHECKING:
    from fastha.vrrp.house import House

NAME = "static"


class StaticThings:
    """`change` says what is wanted; `survey` compares with the interfaces as they are, `repair` with what is there."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.value = Statics()
        self.repaired = 0
        self.keeps = False  # everything stays when it gives up
        self._belongings = Belongings(house, NAME, self.judge)
        self._wanted: dict[Key, VirtualAddress] = {}
        self._held: dict[Key, VirtualAddress] = {}  # there because of us
        self._refused: dict[VirtualAddress, str] = {}
        self._adding = 0
        self._lost: dict[str, list[str]] = {}  # instance -> what it misses
        self._told: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return self.value != Statics()

    def change(self, value: Statics) -> None:
        """What is equal is not touched."""
        self.value = value
        self.survey()
        self.publish()

    def survey(self) -> None:
        """The interfaces, or what is wanted, changed."""
        if not (self or self._held or self._belongings):
            return
        table = self.house.monitor.table
        self._wanted = {
            (link.index, a.ip, a.prefixlen): a for a in self.value.addresses if (link := table.link(a.dev)) is not None
        }
        self._refused = {a: why for a, why in self._refused.items() if a in self.value.addresses}
        dropped = [key for key, a in self._held.items() if self._wanted.get(key) != a]
        for key in dropped:
            self._drop(key)
        self._add([key for key in self._wanted if key not in self._held])
        self._belongings.build(self.value.belongings)
        if not self._belongings.up:
            self._belongings.adopt()
        self._belongings.add()
        self.judge()

    def _add(self, keys: list[Key]) -> None:
        """What is there already stays as it is: who put it there keeps it."""
        table, queue = self.house.monitor.table, self.house.addresses
        missing = [key for key in keys if queue.busy(key) or not table.has(*key)]
        self._adding += len(missing)
        queue.submit(
            Operation(
                key, messages.add(key[0], self._wanted[key], static=True), partial(self._added, key, self._wanted[key])
            )
            for key in missing
        )

    def _added(self, key: Key, address: VirtualAddress, error: int) -> None:
        self._adding -= 1
        if not error:
            self._held[key] = address
            self._refused.pop(address, None)
            self.house.monitor.table.add(*key)
        else:
            self._refused[address] = os.strerror(error)
            text = f"{NAME}: {address} dev {address.dev} cannot be added: {os.strerror(error)}"
            self.house.child.limited(f"{NAME} {address}", TELL_PER_S, text, logging.ERROR)
        self.judge()

    def adopt(self, owned: frozenset[str]) -> None:
        """Addresses that an earlier daemon put there are ours to remove. `owned`: `eth0 10.0.0.1/24`."""
        for key, address in self._wanted.items():
            if f"{address.dev} {address}" in owned and self.house.monitor.table.has(*key):
                self._held[key] = address

    def _drop(self, key: Key) -> None:
        address = self._held.pop(key)
        self.house.addresses.submit([Operation(key, messages.delete(key[0], address), partial(self._dropped, key))])

    def _dropped(self, key: Key, error: int) -> None:
        if not error:
            self.house.monitor.table.apply(rtnl.Gone(rtnl.Address(*key)))

    def repair(self) -> None:
        """What somebody took away comes back; what could not be there is tried again."""
        if not self:
            return
        if not self._adding:
            table = self.house.monitor.table
            stolen = [k for k, a in self._held.items() if a.tracked and not table.has(*k)]
            self.repaired += len(stolen)
            if stolen:
                text = f"{NAME}: {', '.join(ip for _, ip, _ in stolen[:3])} was gone; added again"
                self.house.child.limited(f"{NAME} lost", 1.0, text)
            for key in stolen:
                del self._held[key]
            self._add([k for k, a in self._wanted.items() if k in stolen or a in self._refused])
        self._belongings.look()
        self.judge()
        self.publish()

    @property
    def uneasy(self) -> bool:
        """Something that could be there is not: worth another try."""
        return bool(self._refused) or self._belongings.uneasy

    # -- instances that need them --

    def faults(self, instance: str) -> list[str]:
        """Why this instance has to be in FAULT."""
        return self._lost.get(instance, [])

    def judge(self) -> None:
        """Which instances miss something; those for which that changed are to look again."""
        members = {group.name: group.members for group in self.value.groups}
        lost: dict[str, list[str]] = {}
        for group, text in self._missing() if members else ():
            for instance in members.get(group, ()):
                lost.setdefault(instance, []).append(text)
        before, self._lost = self._lost, lost
        if other := {name for name in {*before, *lost} if before.get(name) != lost.get(name)}:
            self.house.resurvey(other)

    def _missing(self) -> list[tuple[str, str]]:
        """(track_group, what is wrong) of everything static that names one."""
        out = []
        some: tuple[VirtualAddress | Belonging, ...] = (*self.value.addresses, *self.value.belongings)
        for one in some:
            if not one.track_group:
                continue
            devs = [one.dev] if isinstance(one, VirtualAddress) else [*one.devs, *one.watched_devs]
            links = [(dev, self.house.link(dev)) for dev in dict.fromkeys(devs)]
            running = self.house.settling.running
            why = next((f"interface {dev} is down" for dev, link in links if link is None or not running(link)), "")
            refused = self._refused.get(one) if isinstance(one, VirtualAddress) else self._belongings.refused.get(one)
            if why := why or refused or "":
                out.append((one.track_group, f"static {one} is lost: {why}"))
        return out

    # -- facts and the end --

    def publish(self) -> None:
        refused = [*self._refused.items(), *self._belongings.refused.items()]
        facts = {
            "addresses": [f"{a} dev {a.dev}" for a in self.value.addresses],
            "routes": [str(r) for r in self.value.routes],
            "rules": [str(r) for r in self.value.rules],
            "refused": sorted(f"{one}: {why}" for one, why in refused),
            "repaired": self.repaired + self._belongings.repaired,
        }
        if facts != self._told and (self or self._told):
            self._told = facts
            self.house.child.facts({"static": facts})

    def give_up(self) -> None:
        """What is there because of us goes, unless it is to stay."""
        if self.keeps:
            return
        self._belongings.remove()
        for key in list(self._held):
            self._drop(key)
