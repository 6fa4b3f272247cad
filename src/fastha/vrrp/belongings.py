"""Routes and rules of an instance, or static ones: prebuilt, added, looked after, removed."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from fastha.link import routes
from fastha.link.addresses import BELONGING, Operation
from fastha.link.routes import Messages
from fastha.model.routes import Belonging

if TYPE_CHECKING:
    from fastha.vrrp.house import House

TELL_PER_S = 1 / 60
NOTHING: dict[Belonging, Any] = {}  # of thousands that have neither routes nor rules; `build` gives others their own
# Removing what went with its interface or was removed by somebody.
GONE = frozenset((errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL))


class Belongings:
    """`up`: they are wanted in the kernel. `refused`: what is not there, and why. `repaired` counts what somebody
    removed and came back."""

    __slots__ = (
        "_answered", "_built", "_held", "_looked", "_messages", "_pending", "_wanted", "house", "name", "refused",
        "repaired", "up",
    )  # fmt: skip

    def __init__(self, house: House, name: str, answered: Callable[[], object] = bool) -> None:
        self.house = house
        self.name = name
        self._answered = answered  # called after each answer of the kernel
        self.up = False
        self.repaired = 0
        self.refused: dict[Belonging, str] = NOTHING
        self._wanted: tuple[Belonging, ...] = ()
        self._built: object = None
        self._messages: dict[Belonging, Messages] = NOTHING
        self._held: dict[Belonging, Messages] = {}  # in the kernel because of us, in the order they came
        self._pending: dict[Belonging, Messages] = {}  # asked for, not answered yet
        self._looked = 0  # looks before this one say nothing

    def __bool__(self) -> bool:
        return bool(self._wanted or self._held)

    @property
    def uneasy(self) -> bool:
        """Something that could be there is not: worth another try."""
        return self.up and any(one in self._messages for one in self.refused)

    @property
    def holds(self) -> bool:
        return bool(self._held)

    @property
    def devs(self) -> set[str]:
        """Interfaces whose coming and going concerns them."""
        return {dev for one in self._wanted for dev in (*one.devs, *one.watched_devs)}

    def build(self, wanted: Iterable[Belonging]) -> None:
        """Messages for the interfaces as they are now. Those that are up are brought up to date."""
        wanted = tuple(wanted)
        if not wanted and not self:
            return
        table = self.house.monitor.table
        devs = {dev for one in wanted for dev in one.devs}
        links = {dev: link.index for dev in devs if (link := table.link(dev)) is not None}
        built = (wanted, links)
        if built == self._built:
            return
        self._built, self._wanted = built, wanted
        vrfs = self.house.upkeep.vrf_tables() if any(getattr(one, "vrf", "") for one in wanted) else {}
        self._messages, self.refused = {}, {}
        for one in wanted:
            try:
                self._messages[one] = routes.messages(one, links, vrfs)
            except routes.Missing as missing:
                self.refused[one] = f"interface {missing} does not exist"
        if self.up:
            self._remove([one for one, old in self._held.items() if self._messages.get(one) != old])
            self.add()

    def adopt(self) -> None:
        """Those that a predecessor left are ours."""
        for one, messages in self._messages.items():
            if self.house.upkeep.has(messages.seen):
                self._held[one] = messages

    def add(self) -> None:
        """Ask for all that is not there; what is there and the same is not touched."""
        self.up = True
        self._submit([one for one, m in self._messages.items() if not (one in self._held and self._same(m))])

    def remove(self) -> None:
        """Rules before the routes they lead to: the reverse of how they came."""
        self.up = False
        self.refused = {one: why for one, why in self.refused.items() if one not in self._messages}
        self._remove(list(self._held))

    def look(self) -> None:
        """After a look at the kernel: what is not there any more, or never could be, is added."""
        upkeep = self.house.upkeep
        if not self.up or self._pending or upkeep.looks <= self._looked:
            return
        self._looked = upkeep.looks
        missing = [one for one, m in self._messages.items() if not (one.tracked and upkeep.has(m.seen))]
        missing = [one for one in missing if one.tracked or one not in self._held]
        stolen = [one for one in missing if one in self._held]
        for one in stolen:
            del self._held[one]
        if stolen:
            self.repaired += len(stolen)
            lost = ", ".join(map(str, stolen[:3])) + (", ..." if len(stolen) > 3 else "")
            self.house.child.limited(f"{self.name} lost route", 1.0, f"{self.name}: {lost} was gone; added again")
        self._submit(missing)

    def _same(self, messages: Messages) -> bool:
        return self.house.upkeep.has(messages.seen, exact=True)

    def _submit(self, some: list[Belonging]) -> None:
        fresh = [one for one in some if self._pending.get(one) != self._messages[one]]
        self._pending |= {one: self._messages[one] for one in fresh}
        self.house.addresses.submit(
            Operation(BELONGING, self._messages[one].add, partial(self._added, one, self._messages[one]), ())
            for one in fresh
        )

    def _added(self, one: Belonging, messages: Messages, error: int) -> None:
        if self._pending.get(one) == messages:
            del self._pending[one]
        self._looked = self.house.upkeep.looks  # it saw what was before
        self.refused.pop(one, None)
        if not error:
            self._held[one] = messages
            if not self.up or self._messages.get(one) != messages:  # not wanted any more meanwhile
                self._remove([one])
        elif error != errno.EEXIST:  # somebody else's: it serves, and stays when we go
            self.refused[one] = os.strerror(error)
            text = f"{self.name}: {one} cannot be added: {os.strerror(error)}"
            self.house.child.limited(f"{self.name} {one}", TELL_PER_S, text, logging.ERROR)
        self._answered()

    def _remove(self, some: list[Belonging]) -> None:
        self.house.addresses.submit(
            Operation(BELONGING, self._held.pop(one).delete, partial(self._removed, one), GONE)
            for one in reversed(some)
        )

    def _removed(self, one: Belonging, error: int) -> None:
        if error:
            text = f"{self.name}: {one} cannot be removed: {os.strerror(error)}"
            self.house.child.limited(f"{self.name} {one}", TELL_PER_S, text, logging.ERROR)
