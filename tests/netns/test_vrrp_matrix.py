"""The interoperation matrix: Debian's keepalived beside us, each in turn master and backup, in every cell of
{v2, v3} x {IPv4, IPv6} x {multicast, unicast} x {none, PASS, AH} x {plain, use_vmac} that can exist.

Each cell is a sync group of two on two links, in namespaces of its own, and plays one story: election, SIGKILL of the
master, preemption, a clean stop (priority 0), and a link that fails, with which both addresses move. The cells run side
by side: they mostly wait, as version 2 counts in whole seconds.
"""

from __future__ import annotations

import itertools
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Auth, SyncGroup, VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_S
from netns.vrrp_director import Director, Keepalived, instance

pytestmark = [pytest.mark.root, pytest.mark.interop]

SLACK = 15.0  # of a busy machine
LINKS = (("outside", "eth0", 51, "10.9.0"), ("inside", "eth1", 52, "10.8.0"))


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
        if self.family == 6:
            return "IPv6: see test_vrrp_ipv6.py"
        return "use_vmac: see test_vrrp_vmac.py" if self.vmac else ""

    @property
    def interval_s(self) -> float:
        return 1.0 if self.version == 2 else 0.1

    @property
    def down_s(self) -> float:
        """The longest master-down interval."""
        return 4 * self.interval_s

    def ours(self, priority: int) -> list[VrrpInstance]:
        return [
            instance(
                name=name, interface=dev, vrid=vrid, priority=priority, version=self.version,
                advert_int_ns=int(self.interval_s * NS_PER_S), addresses=(VirtualAddress(f"{net}.100"),),
                unicast_src=f"{net}.1" if self.unicast else "", unicast_peers=(f"{net}.2",) if self.unicast else (),
                auth=Auth() if self.auth == "none" else Auth(self.auth.lower(), "secret"),
            )
            for name, dev, vrid, net in LINKS
        ]  # fmt: skip

    def theirs(self, priority: int) -> str:
        text = "vrrp_sync_group VG {\n group {\n  outside\n  inside\n }\n}\n"
        for name, dev, vrid, net in LINKS:
            more = [f"unicast_src_ip {net}.2", "unicast_peer {", f"{net}.1", "}"] if self.unicast else []
            if self.auth != "none":
                more += ["authentication {", f"auth_type {self.auth}", "auth_pass secret", "}"]
            text += f"vrrp_instance {name} {{\n" + "".join(
                f" {line}\n"
                for line in (
                    "state BACKUP", f"interface {dev}", f"virtual_router_id {vrid}", f"priority {priority}",
                    f"version {self.version}", f"advert_int {self.interval_s}", *more,
                    "virtual_ipaddress {", f"{net}.100/32", "}",
                )
            ) + "}\n"  # fmt: skip
        return text


CELLS = [
    Cell(*values) for values in itertools.product((2, 3), (4, 6), (False, True), ("none", "PASS", "AH"), (False, True))
]


class Grouped(Director):
    """Both instances, in one group."""

    @classmethod
    def of(cls, namespace: Namespace, cell: Cell, priority: int) -> Grouped:
        self = cls(namespace)
        self.groups = (SyncGroup("VG", ("outside", "inside")),)
        self.configure(*cell.ours(priority))
        return self

    def both(self, state: str, deadline_s: float) -> None:
        self.until(
            lambda: all(self.router(name).get("state") == state for name, *_ in LINKS), f"both are {state}", deadline_s
        )

    def all(self, key: str) -> list[Any]:
        return [self.router(name).get(key) for name, *_ in LINKS]


def holds(namespace: Namespace) -> list[bool]:
    return [
        f" {net}.100/32" in namespace.run(["ip", "-4", "-o", "addr", "show", "dev", dev]).stdout
        for _, dev, _, net in LINKS
    ]


class Story:
    """`a` is ours, `b` keepalived's."""

    def __init__(self, cell: Cell, net: Network) -> None:
        self.cell, self.folder = cell, Path(net.folder)
        self.a, self.b = net.namespace("a"), net.namespace("b")
        for number, namespace in ((1, self.a), (2, self.b)):
            for name, dev, _, prefix in LINKS:
                net.attach(name, namespace, dev, f"{prefix}.{number}/24")
        self.told: list[str] = []

    def within(self, deadline_s: float, why: str, a: bool, b: bool) -> float:
        """Seconds until each holds both addresses or neither."""
        start = time.monotonic()
        need.wait_until(
            lambda: holds(self.a) == [a, a] and holds(self.b) == [b, b], deadline_s + SLACK, f"{self.cell}: {why}", 0.02
        )
        took = time.monotonic() - start
        self.told.append(f"{why} {took:.2f}")
        return took

    def keepalived(self, priority: int) -> Keepalived:
        return Keepalived(self.b, self.folder, self.cell.theirs(priority))

    def clean(self, namespace: Namespace) -> None:
        """What the killed left behind."""
        for (_, dev, _, net), there in zip(LINKS, holds(namespace), strict=True):
            if there:
                namespace.ip(f"addr del {net}.100/32 dev {dev}")

    def as_master(self) -> None:
        cell, down = self.cell, self.cell.down_s
        with Grouped.of(self.a, cell, 150) as us:
            them = self.keepalived(100)
            self.within(2 * down, "we are elected", True, False)
            us.until(lambda: min(us.all("sent")) >= 5, "we speak", 2 * down + SLACK)
            assert holds(self.b) == [False, False], them.log.read_text()
            us.kill()
            self.clean(self.a)
            self.within(down, "keepalived takes over from the dead", False, True)
        with Grouped.of(self.a, cell, 150) as us:
            self.within(2 * down, "we preempt", True, False)
            self.a.ip("link set eth1 down")
            self.within(2 * down, "our link fails", False, True)
            self.a.ip("link set eth1 up")
            self.within(3 * down, "our link returns", True, False)
            us.both("master", SLACK)
            assert us.all("discarded") == [{}, {}]
            assert us.stop() == 0
            self.within(down, "keepalived takes over after our goodbye", False, True)
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
            them.kill()
            self.clean(self.b)
            self.within(down, "we take over from the dead", True, False)
            them = self.keepalived(200)
            self.within(3 * down, "keepalived preempts", False, True)
            self.b.ip("link set eth0 down")
            self.within(2 * down, "its link fails", True, False)
            self.b.ip("link set eth0 up")
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


def test_every_cell_in_both_roles() -> None:
    need.tool("keepalived")
    need.kernel("veth", "bridge")
    cells = [cell for cell in CELLS if not cell.absent]
    failed = []
    with ThreadPoolExecutor(len(cells)) as pool:
        runs = {cell: pool.submit(play, cell) for cell in cells}
        for cell, run in runs.items():
            try:
                print(f"{cell}: {'; '.join(run.result())}")
            except Exception:
                failed.append(f"-- {cell}\n{traceback.format_exc()}")
    assert not failed, "\n".join(failed)


def test_what_is_left_out_has_a_reason() -> None:
    assert len(CELLS) == 48
    assert sum(not cell.absent for cell in CELLS) == 8
