"""The interoperation matrix: Debian's keepalived beside us, each in turn master and backup, in every cell of
{v2, v3} x {IPv4, IPv6} x {multicast, unicast} x {none, PASS, AH} x {plain, use_vmac} that can exist.

Each cell is a sync group of two on two links, in namespaces of its own, and plays one story: election, SIGKILL of the
master, preemption, a clean stop (priority 0), and a link that fails, with which both addresses move. Many cells run at
the same time: they mostly wait, as version 2 counts in whole seconds.
"""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

import need
from fastha.config.build_vmac import virtual_mac
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Auth, Config, Device, SyncGroup, VirtualAddress, VrrpInstance, codec
from fastha.model.units import NS_PER_S
from netns.vrrp_director import Director, Keepalived, instance

pytestmark = [pytest.mark.root, pytest.mark.interop]

SLACK = 20.0  # of a busy machine
AT_ONCE = 20
LINKS = (("outside", "eth0", 51, 9), ("inside", "eth1", 52, 8))
GROUP = SyncGroup("VG", ("outside", "inside"))
GOODBYE = "received priority 0 advertisement"  # in keepalived's log


C = TypeVar("C", bound="Cell")


@dataclass(frozen=True)
class Cell:
    version: int
    family: int
    unicast: bool
    auth: str
    vmac: bool

    def __str__(self) -> str:
        words = ("unicast" if self.unicast else "multicast", self.auth, "use_vmac" if self.vmac else "plain")
        return " ".join((f"v{self.version}", f"IPv{self.family}", *words))

    @property
    def absent(self) -> str:
        """Why there is no such cell; "": there is."""
        if self.version == 2 and self.family == 6:
            return "version 2 is IPv4 alone (RFC 3768)"
        if self.version == 3 and self.auth != "none":
            return "version 3 has no authentication (RFC 9568 section 9)"
        return ""

    @property
    def interval_s(self) -> float:
        return 1.0 if self.version == 2 else 0.3  # a busy machine takes part of it

    @property
    def down_s(self) -> float:
        """The longest master-down interval."""
        return 4 * self.interval_s

    @property
    def bits(self) -> int:
        return 128 if self.family == 6 else 32

    def end(self, net: int, number: int) -> str:
        """The address of a director on a link."""
        return f"fd00:{net}::{number}" if self.family == 6 else f"10.{net}.0.{number}"

    def vip(self, net: int) -> str:
        return f"fe80::{net}:100" if self.family == 6 else f"10.{net}.0.100"

    def place(self, dev: str, vrid: int) -> str:
        """The interface that has the address."""
        return f"vm{vrid}" if self.vmac else dev

    def ours(self, priority: int, number: int = 1) -> list[VrrpInstance]:
        """Of the director with that number; the other one is its peer."""
        return [
            instance(
                name=name, interface=dev, vrid=vrid, priority=priority, version=self.version, family=self.family,
                advert_int_ns=int(self.interval_s * NS_PER_S), addresses=(VirtualAddress(self.vip(net), self.bits),),
                unicast_src=self.end(net, number) if self.unicast else "",
                unicast_peers=(self.end(net, 3 - number),) if self.unicast else (),
                auth=Auth() if self.auth == "none" else Auth(self.auth.lower(), "secret"),
                vmac=Device(f"vm{vrid}", dev, virtual_mac(vrid, self.family == 6), ipv6=self.family == 6)
                if self.vmac else None,
            )
            for name, dev, vrid, net in LINKS
        ]  # fmt: skip

    def theirs(self, priority: int) -> str:
        text = "vrrp_sync_group VG {\n group {\n  outside\n  inside\n }\n}\n"
        for name, dev, vrid, net in LINKS:
            more = [f"use_vmac vm{vrid}"] if self.vmac else []
            if self.unicast:
                more += [f"unicast_src_ip {self.end(net, 2)}", "unicast_peer {", self.end(net, 1), "}"]
            if self.auth != "none":
                more += ["authentication {", f"auth_type {self.auth}", "auth_pass secret", "}"]
            text += f"vrrp_instance {name} {{\n" + "".join(
                f" {line}\n"
                for line in (
                    "state BACKUP", f"interface {dev}", f"virtual_router_id {vrid}", f"priority {priority}",
                    f"version {self.version}", f"advert_int {self.interval_s}", *more,
                    "virtual_ipaddress {", f"{self.vip(net)}/{self.bits}", "}",
                )
            ) + "}\n"  # fmt: skip
        return text


CELLS = [
    Cell(*values) for values in itertools.product((2, 3), (4, 6), (False, True), ("none", "PASS", "AH"), (False, True))
]


class Grouped(Director):
    """Both instances, in one group."""

    @classmethod
    def of(cls, namespace: Namespace, cell: Cell, priority: int, number: int = 1) -> Grouped:
        self = cls(namespace)
        self.groups = (GROUP,)
        self.configure(*cell.ours(priority, number))
        return self

    def both(self, state: str, deadline_s: float) -> None:
        self.until(
            lambda: all(self.router(name).get("state") == state for name, *_ in LINKS), f"both are {state}", deadline_s
        )

    def all(self, key: str) -> list[Any]:
        return [self.router(name).get(key) for name, *_ in LINKS]


class Story:
    """`a` is ours, `b` keepalived's."""

    def __init__(self, cell: Cell, net: Network) -> None:
        self.cell, self.net, self.folder = cell, net, Path(net.folder)
        self.a, self.b = net.namespace("a"), net.namespace("b")
        self.ports: dict[tuple[Namespace, str], str] = {}
        for number, namespace in ((1, self.a), (2, self.b)):
            for name, dev, _, link in LINKS:
                self.ports[namespace, dev] = net.attach(name, namespace, dev, f"10.{link}.0.{number}/24")
                if cell.family == 6:
                    namespace.ip(f"addr add {cell.end(link, number)}/64 dev {dev} nodad")
        if cell.family == 6:
            for namespace, dev in self.ports:
                sure = ["ip", "-6", "-o", "addr", "show", "dev", dev, "scope", "link", "-tentative"]
                need.wait_until(lambda n=namespace, s=sure: n.run(s).stdout, SLACK, "a link-local address")
        self.told: list[str] = []

    def holds(self, namespace: Namespace) -> list[bool]:
        lines = namespace.run(["ip", f"-{self.cell.family}", "-o", "addr", "show"]).stdout.splitlines()
        found = {(words[1], words[3]) for line in lines if (words := line.split())}
        return [
            (self.cell.place(dev, vrid), f"{self.cell.vip(net)}/{self.cell.bits}") in found
            for _, dev, vrid, net in LINKS
        ]

    def within(self, deadline_s: float, why: str, a: bool, b: bool) -> float:
        """Seconds until each holds both addresses or neither."""
        start = time.monotonic()
        need.wait_until(
            lambda: self.holds(self.a) == [a, a] and self.holds(self.b) == [b, b],
            deadline_s + SLACK, f"{self.cell}: {why}", 0.2,  # not more often: each look is two processes
        )  # fmt: skip
        took = time.monotonic() - start
        self.told.append(f"{why} {took:.2f}")
        return took

    def keepalived(self, priority: int) -> Keepalived:
        return Keepalived(self.b, self.folder, self.cell.theirs(priority))

    def clean(self, namespace: Namespace) -> None:
        """What the killed left behind."""
        for (_, dev, vrid, net), there in zip(LINKS, self.holds(namespace), strict=True):
            if self.cell.vmac:
                namespace.ip(f"link del vm{vrid}")
            elif there:
                namespace.ip(f"addr del {self.cell.vip(net)}/{self.cell.bits} dev {dev}")

    def fail(self, namespace: Namespace, dev: str) -> None:
        """Set down, or (IPv6: the kernel would forget the addresses) unplugged."""
        if self.cell.family == 6:
            self.net.unplug(self.ports[namespace, dev])
        else:
            namespace.ip(f"link set {dev} down")

    def mend(self, namespace: Namespace, dev: str) -> None:
        if self.cell.family == 6:
            self.net.plug(self.ports[namespace, dev])
        else:
            namespace.ip(f"link set {dev} up")

    def sources(self) -> list[set[str]]:
        """Where keepalived's adverts come from, for each link: IPv6 multicast has a link-local address, of either
        interface."""
        cell = self.cell
        if cell.unicast or cell.family == 4:
            return [{cell.end(net, 2)} for *_, net in LINKS]
        lines = self.b.run(["ip", "-6", "-o", "addr", "show", "scope", "link"]).stdout.splitlines()
        own = [(words[1], words[3].partition("/")[0]) for line in lines if (words := line.split())]
        return [
            {ip for at, ip in own if at in (dev, cell.place(dev, vrid)) and ip != cell.vip(net)}
            for _, dev, vrid, net in LINKS
        ]

    def as_master(self) -> None:
        cell, down = self.cell, self.cell.down_s
        with Grouped.of(self.a, cell, 150) as us:
            them = self.keepalived(100)
            self.within(2 * down, "we are elected", True, False)
            us.until(lambda: min(us.all("sent")) >= 5, "we speak", 2 * down + SLACK)
            assert self.holds(self.b) == [False, False], them.log.read_text()
            us.kill()
            self.clean(self.a)
            self.within(down, "keepalived takes over from the dead", False, True)
        with Grouped.of(self.a, cell, 150) as us:
            self.within(2 * down, "we preempt", True, False)
            self.fail(self.a, "eth1")
            self.within(2 * down, "our link fails", False, True)
            self.mend(self.a, "eth1")
            self.within(3 * down, "our link returns", True, False)
            us.both("master", SLACK)
            assert us.all("discarded") == [{}, {}]
            heard = them.log.read_text().count(GOODBYE)
            assert us.stop() == 0
            self.within(down, "keepalived takes over after our goodbye", False, True)
            need.wait_until(lambda: them.log.read_text().count(GOODBYE) > heard, SLACK, "it heard our goodbye")
        them.stop()
        self.within(down, "keepalived has gone", False, False)

    def as_backup(self) -> None:
        cell, down = self.cell, self.cell.down_s
        them = self.keepalived(200)
        self.within(2 * down, "keepalived is elected", False, True)
        with Grouped.of(self.a, cell, 100) as us:
            us.until(lambda: min(n or 0 for n in us.all("received")) >= 3, "we hear it", 2 * down + SLACK)
            assert us.all("state") == ["backup", "backup"]
            assert us.all("discarded") == [{}, {}]
            assert us.all("addresses_differ") == [0, 0]
            heard, sources = us.all("master"), self.sources()
            assert all(ip in those for ip, those in zip(heard, sources, strict=True)), f"{heard} not of {sources}"
            them.kill()
            self.clean(self.b)
            self.within(down, "we take over from the dead", True, False)
            them = self.keepalived(200)
            self.within(3 * down, "keepalived preempts", False, True)
            self.fail(self.b, "eth0")
            self.within(2 * down, "its link fails", True, False)
            self.mend(self.b, "eth0")
            self.within(4 * down, "its link returns", False, True)
            zeros = us.all("zero_received")
            them.process.terminate()
            self.within(down, "we hear its priority 0", True, False)
            us.until(
                lambda: any(now > before for now, before in zip(us.all("zero_received"), zeros, strict=True)),
                "it said goodbye", SLACK,
            )  # fmt: skip
            them.process.wait(15)
            assert us.stop() == 0


def play(cell: Cell) -> list[str]:
    with Network() as net:
        story = Story(cell, net)
        try:
            story.as_master()
            story.as_backup()
        except AssertionError as error:
            log = (story.folder / f"ka-{story.b.name}" / "log").read_text()
            raise AssertionError(f"{cell} after {story.told}: {error}\n{log[-3000:]}") from error
    return story.told


def play_all(cells: Iterable[C], play: Callable[[C], list[str]], at_once: int) -> None:
    """So many at a time; the failures of all are told together."""
    failed, cells = [], list(cells)
    for cell in cells:  # orjson 3.13.0 crashes when several threads are the first to write values of a class
        codec.dumps(Config(instances=tuple(cell.ours(150)), sync_groups=(GROUP,)))
    with ThreadPoolExecutor(at_once) as pool:
        runs = {cell: pool.submit(play, cell) for cell in cells}
        for cell, run in runs.items():
            try:
                print(f"{cell}: {'; '.join(run.result())}")
            except Exception:
                failed.append(f"-- {cell}\n{traceback.format_exc()}")
    assert not failed, "\n".join(failed)


def test_every_cell_in_both_roles() -> None:
    need.tool("keepalived")
    need.kernel("veth", "bridge")
    play_all((cell for cell in CELLS if not cell.absent), play, AT_ONCE)


def test_what_is_left_out_has_a_reason() -> None:
    assert len(CELLS) == 48
    assert sum(not cell.absent for cell in CELLS) == 20
