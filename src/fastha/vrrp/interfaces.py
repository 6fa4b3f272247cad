"""The interfaces that instances make for themselves: VMACs and ipvlans. Made, kept true, removed (shell).

What we made says so in its alias, with the settings of its base as they were before: `fastha eth0 arp_ignore 0
arp_filter 0 rp_filter 1`. The note is in the kernel, so it outlives every crash; an interface without it was there
before, is used and stays.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastha.link import links, rtnl, sysctl
from fastha.link.monitor import UNSAID
from fastha.link.rtnl import Link
from fastha.model import Device, ReceiveBuffer

if TYPE_CHECKING:
    from fastha.child import Child
    from fastha.link.monitor import Monitor

OURS = "fastha"
SETTINGS = ("arp_ignore", "arp_filter")  # of the base: it must not answer for addresses of a VMAC
# A VMAC answers for its own addresses only, and takes packets whose senders are behind the base or are ourselves.
VMAC_SETTINGS = {"arp_ignore": 1, "rp_filter": 0, "accept_local": 1, "promote_secondaries": 1}
FEW = 4  # so many are removed one by one
DOOMED = 0x46415354  # link group of what is removed at once

Former = dict[str, int]  # settings of a base as they were, and rp_filter of `all`


class Interfaces:
    """`refused`: why one is not there. Names are unique in a configuration."""

    def __init__(self, child: Child, monitor: Monitor, buffer: ReceiveBuffer = UNSAID) -> None:
        self._buffer = buffer
        self._child = child
        self._monitor = monitor
        self._talk: links.Talk | None = None
        self._former: dict[int, Former] = {}  # by index of the base
        self._spread = False  # rp_filter of `all` is in each interface
        self.wanted: dict[str, Device] = {}
        self.refused: dict[str, str] = {}

    @property
    def talk(self) -> links.Talk:
        if self._talk is None:
            self._talk = links.Talk(self._buffer)
        return self._talk

    def resize(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        if self._talk is not None:
            self._talk.resize(buffer)

    def want(self, device: Device) -> None:
        """It is there from now on, if the kernel and its base let it."""
        self.wanted[device.name] = device
        self._make_true(device)

    def mend(self) -> None:
        """After news of interfaces, and now and then: those somebody deleted or changed are as they should be."""
        for device in self.wanted.values():
            self._make_true(device)

    def forget(self, device: Device) -> None:
        """Nobody wants it any more."""
        self.wanted.pop(device.name, None)
        self.refused.pop(device.name, None)
        self._remove([device.name])

    def remove_leftovers(self) -> None:
        """What an earlier daemon made and the configuration does not have."""
        names = [one.name for one in self._monitor.table.links.values() if ours(one) and one.name not in self.wanted]
        for name in names:
            self._child.event("leftover", name, "an earlier daemon's interface, configured no more: removed")
        self._remove(names)

    def remove_all(self) -> None:
        """At the end; what was there before us stays."""
        names = list(self.wanted)
        self.wanted.clear()
        self._remove(names)

    def close(self) -> None:
        if self._talk is not None:
            self._talk.close()

    # -- one interface --

    def _make_true(self, device: Device) -> None:
        table = self._monitor.table
        base, link = table.link(device.base), table.link(device.name)
        if base is None:
            return  # the fault of its instance says so
        kind = kind_of(device)
        if link is not None and (link.kind != kind or link.parent != base.index):
            if not ours(link):
                self.refused[device.name] = f"interface {device.name} is there and no {kind} of {device.base}"
                return
            self._remove([device.name])
            link = None
        if link is None:
            self._make(device, base)
        elif not _right(device, link):
            self._change(device, base, _correction(device, base, link.index))
        elif base.index not in self._former:
            self._settings(device, base)
            self.refused.pop(device.name, None)
        self._give_own(device)
        for _ in range(2):  # one that was on its way out is made anew, and is down then
            link = table.link(device.name)
            if link is not None and not link.up and not device.staged:
                self._change(device, base, links.set_up(link.index))

    def _change(self, device: Device, base: Link, request: bytes) -> None:
        """Change the one that is there. The kernel sets an interface down before it deletes it, and tells of both: what
        looks as if it needed to be set up again may be gone."""
        error = self.talk.ask([request])[0]
        if error == errno.ENODEV and (link := self._monitor.table.link(device.name)) is not None:
            self._monitor.table.apply(rtnl.Gone(link))
            self._make(device, base)
        else:
            self._refresh(device, error)

    def _make(self, device: Device, base: Link) -> None:
        """In the order that lets no packet see it half made: settings before it is up."""
        master = self._monitor.table.links.get(base.master)
        note = self._note(base)
        made, described = self.talk.ask(
            [
                _making(device, base),
                links.describe(device.name, note, base.master if master is not None and master.kind == "vrf" else 0),
            ]
        )
        if made not in (0, errno.EEXIST):
            self._refresh(device, made)
            return
        self._settings(device, base)
        self._refresh(device, described)

    def _refresh(self, device: Device, error: int) -> None:
        """The picture is true ahead of the notification."""
        if (link := self.talk.look(device.name)) is not None:
            self._monitor.table.apply(link)
        elif error == errno.ENODEV:
            return  # somebody has just deleted it: the news of that is on its way, and makes it anew
        if error:
            text = f"interface {device.name} cannot be made or changed: {_why(device, error)}"
            if self.refused.get(device.name) != text:
                self._child.log.error("%s", text)
            self.refused[device.name] = text
        else:
            self.refused.pop(device.name, None)

    def _give_own(self, device: Device) -> None:
        """The address of an ipvlan from which adverts come."""
        link = self._monitor.table.link(device.name)
        if link is None or not device.own:
            return
        ip, _, length = device.own.partition("/")
        if self._monitor.table.has(link.index, ip, int(length)):
            return
        flags = ("nodad",) if ":" in ip else ()
        error = self.talk.ask([rtnl.add_address(link.index, ip, int(length), flags=flags)])[0]
        if error in (0, errno.EEXIST):
            self._monitor.table.apply(rtnl.Address(link.index, ip, int(length)))
        else:
            self._refresh(device, error)

    def _settings(self, device: Device, base: Link) -> None:
        for name, value in VMAC_SETTINGS.items():
            self._write("ipv4", device.name, name, value)
        if sysctl.read("ipv6", device.name, "disable_ipv6") is not None:
            self._write("ipv6", device.name, "disable_ipv6", 0 if device.ipv6 else 1)
        if base.index in self._former:
            return
        self._former[base.index] = self._former_of(base)
        for name in SETTINGS:
            self._write("ipv4", base.name, name, 1)
        if not self._spread:
            self._spread = True
            self._spread_rp_filter()

    def _write(self, family: str, interface: str, name: str, value: int) -> None:
        if error := sysctl.write(family, interface, name, value):
            text = f"{interface}: {name} cannot be set to {value}: {os.strerror(error)}"
            self._child.limited(f"{interface} {name}", 1 / 60, text)

    def _spread_rp_filter(self) -> None:
        """The stricter of `all` and an interface's own counts, so 0 on a VMAC means something only without `all`."""
        everywhere = sysctl.read("ipv4", "all", "rp_filter") or 0
        if everywhere:
            vmacs = self.wanted.keys()
            for name in sysctl.interfaces("ipv4"):
                if name not in vmacs and (sysctl.read("ipv4", name, "rp_filter") or 0) < everywhere:
                    self._write("ipv4", name, "rp_filter", everywhere)
            self._write("ipv4", "all", "rp_filter", 0)

    # -- what was before --

    def _note(self, base: Link) -> str:
        former = self._former.get(base.index) or self._former_of(base)
        return " ".join([OURS, base.name, *(f"{name} {value}" for name, value in former.items())])

    def _former_of(self, base: Link) -> Former:
        """From a note of ours if there is one, for then the present settings are ours too."""
        for link in self._monitor.table.links.values():
            if link.parent == base.index and ours(link):
                words = link.alias.split()[2:]
                if len(words) % 2 == 0 and all(word.isdigit() for word in words[1::2]):
                    return dict(zip(words[::2], map(int, words[1::2]), strict=True))
        former = {name: sysctl.read("ipv4", base.name, name) or 0 for name in SETTINGS}
        everywhere = sysctl.read("ipv4", "all", "rp_filter") or 0
        return former | {"rp_filter": max([everywhere, *(f.get("rp_filter", 0) for f in self._former.values())])}

    def _remove(self, names: Iterable[str]) -> None:
        table = self._monitor.table
        doomed = [link for name in names if (link := table.link(name)) is not None and ours(link)]
        bases = {link.parent: self._former_of(base) for link in doomed if (base := table.links.get(link.parent))}
        if len(doomed) <= FEW:
            requests = [links.remove(link.index) for link in doomed]
        else:
            requests = [links.set_group(link.index, DOOMED) for link in doomed] + [links.remove_group(DOOMED)]
        for i in range(0, len(requests), 64):
            for error in self.talk.ask(requests[i : i + 64]):
                if error not in (0, errno.ENODEV):
                    self._child.log.error("a VMAC cannot be removed: %s", os.strerror(error))
        for link in doomed:
            table.apply(rtnl.Gone(link))
        used = {device.base for device in self.wanted.values()}
        for index, former in bases.items():
            base = table.links.get(index)
            if base is None or base.name in used:
                continue
            self._former.pop(base.index, None)
            for name in SETTINGS:
                self._write("ipv4", base.name, name, former.get(name, 0))
            if not self.wanted and former.get("rp_filter"):
                self._write("ipv4", "all", "rp_filter", former["rp_filter"])
                self._spread = False


def ours(link: Link) -> bool:
    return link.alias.partition(" ")[0] == OURS


def kind_of(device: Device) -> str:
    """The kernel's word."""
    return links.IPVLAN if device.ipvlan else links.MACVLAN


def _right(device: Device, link: Link) -> bool:
    if device.ipvlan:
        return link.mode == links.IPVLAN_FLAGS[device.ipvlan]
    return (link.mac, link.mode) == (mac_bytes(device.mac), links.PRIVATE)


def _making(device: Device, base: Link) -> bytes:
    group = group_of(device, base)
    if device.ipvlan:
        return links.make_ipvlan(device.name, base.index, links.IPVLAN_FLAGS[device.ipvlan], group)
    return links.make_macvlan(device.name, base.index, mac_bytes(device.mac), group)


def _correction(device: Device, base: Link, index: int) -> bytes:
    group = group_of(device, base)
    if device.ipvlan:
        return links.correct_ipvlan(index, links.IPVLAN_FLAGS[device.ipvlan], group)
    return links.correct(index, mac_bytes(device.mac), group)


def _why(device: Device, error: int) -> str:
    if error == errno.EOPNOTSUPP:
        return f"the kernel has no {kind_of(device)}"
    if error == errno.EBUSY:
        return f"{device.base} has interfaces of another kind on it, or is a port of a bridge or bond"
    return os.strerror(error)


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def group_of(device: Device, base: Link) -> int:
    return base.group if device.group < 0 else device.group
