"""Sync groups of two on two links: Debian's keepalived as peer in both roles, and two of ours."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import InstanceNotify, Script, SyncGroup, VirtualAddress, VrrpInstance
from fastha.vrrp.group import DRAGGED
from netns.vrrp_director import Director, Keepalived, has_vip, instance

pytestmark = [pytest.mark.root]

VIPS = {"eth0": "10.9.0.100", "eth1": "10.8.0.100"}
GROUP = SyncGroup("VG", ("outside", "inside"))


class Grouped(Director):
    """Both instances, in one group."""

    @classmethod
    def of(cls, namespace: Namespace, priority: int, group: SyncGroup = GROUP, **values: Any) -> Grouped:
        self = cls(namespace)
        self.groups = (group,)
        self.configure(*members(priority, **values))
        return self

    def until_group(self, state: str, deadline_s: float = 20) -> None:
        def there() -> bool:
            group = self.facts.get("groups", {}).get("VG", {})
            both = {self.router(name).get("state") for name in GROUP.members}
            return bool(group.get("state") == state and both == {state})

        self.until(there, f"the group is {state}", deadline_s)


def members(priority: int, **values: Any) -> list[VrrpInstance]:
    return [
        instance(
            name=name, interface=dev, vrid=vrid, priority=priority, addresses=(VirtualAddress(VIPS[dev]),),
            advert_int_ns=200_000_000, **values,
        )
        for name, dev, vrid in (("outside", "eth0", 51), ("inside", "eth1", 52))
    ]  # fmt: skip


def pair(network: Network) -> tuple[Namespace, Namespace]:
    """Two namespaces on two switches."""
    a, b = network.namespace("a"), network.namespace("b")
    for number, namespace in enumerate((a, b), 1):
        network.attach("lan", namespace, "eth0", f"10.9.0.{number}/24")
        network.attach("other", namespace, "eth1", f"10.8.0.{number}/24")
    return a, b


def holds(namespace: Namespace) -> list[bool]:
    return [
        f"{vip}/32" in namespace.run(["ip", "-4", "-o", "addr", "show", "dev", dev]).stdout for dev, vip in VIPS.items()
    ]


def keepalived(namespace: Namespace, folder: Path, priority: int) -> Keepalived:
    blocks = [
        f"""vrrp_instance {name} {{
  state BACKUP
  interface {dev}
  virtual_router_id {vrid}
  priority {priority}
  version 3
  advert_int 0.2
  virtual_ipaddress {{
    {VIPS[dev]}/32
  }}
}}
"""
        for name, dev, vrid in (("outside", "eth0", 51), ("inside", "eth1", 52))
    ]
    fifo = folder / f"fifo-{namespace.name}"
    defs = f"global_defs {{\n vrrp_notify_fifo {fifo}\n}}\n"
    group = "vrrp_sync_group VG {\n group {\n outside\n inside\n }\n}\n"
    return Keepalived(namespace, folder, defs + group + "".join(blocks))


def eventually(condition: Any, why: str) -> None:
    need.wait_until(condition, 20, why, 0.05)


def test_with_keepalived_as_backup_and_as_master(network: Network, tmp_path: Path) -> None:
    need.tool("keepalived")
    a, b = pair(network)
    with Grouped.of(a, 150) as us:
        them = keepalived(b, tmp_path, 100)
        us.until_group("master")
        eventually(lambda: holds(a) == [True, True] and holds(b) == [False, False], "we hold both")
        # One link of ours fails: both addresses move.
        a.ip("link set eth1 down")
        us.until_group("fault")
        assert us.router("outside")["faults"] == [DRAGGED]
        eventually(lambda: holds(b) == [True, True] and holds(a) == [False, False], "keepalived has both")
        a.ip("link set eth1 up")
        us.until_group("master")
        eventually(lambda: holds(a) == [True, True] and holds(b) == [False, False], "we preempt with both")
        us.kill()
        eventually(lambda: holds(b) == [True, True], "keepalived takes over both from the dead")
        them.stop()
    for dev, vip in VIPS.items():
        a.run(["ip", "addr", "del", f"{vip}/32", "dev", dev])
    them = keepalived(b, tmp_path, 200)
    eventually(lambda: holds(b) == [True, True], "keepalived is master")
    with Grouped.of(a, 100) as us:
        us.until_group("backup")
        us.until(lambda: all(us.router(n).get("received", 0) > 2 for n in GROUP.members), "it is heard", 20)
        b.ip("link set eth0 down")
        us.until_group("master")
        eventually(lambda: holds(a) == [True, True] and holds(b) == [False, False], "we take both")
        b.ip("link set eth0 up")
        us.until_group("backup", 40)
        eventually(lambda: holds(b) == [True, True] and holds(a) == [False, False], "keepalived preempts with both")
        them.stop()
        us.until_group("master")
        assert us.stop() == 0
        assert (
            us.facts["instances"]["inside"]["became_master"] == us.facts["instances"]["outside"]["became_master"] == 2
        )


def test_lines_and_scripts_in_keepaliveds_order(network: Network, tmp_path: Path) -> None:
    """What Debian's keepalived writes into its FIFO in the same story."""
    need.tool("keepalived")
    a, b = pair(network)
    fifo, written = tmp_path / f"fifo-{b.name}", tmp_path / "lines"
    os.mkfifo(fifo, 0o644)
    with written.open("wb") as out:
        reader = b.popen(["cat", fifo], stdout=out)
    try:
        them = keepalived(b, tmp_path, 150)
        eventually(lambda: holds(b) == [True, True], "keepalived is master")
        b.ip("link set eth1 down")
        eventually(lambda: written.read_text().count("FAULT") == 3, "it is in FAULT")
        b.ip("link set eth1 up")
        eventually(lambda: written.read_text().count("MASTER") == 6, "it is master again")
        them.stop()
        eventually(lambda: written.read_text().count("STOP") == 3, "it has said goodbye")
    finally:
        reader.kill()
        reader.wait(5)
    theirs = written.read_text().splitlines()

    with Grouped.of(a, 150) as us:
        us.until_group("master")
        a.ip("link set eth1 down")
        us.until_group("fault")
        a.ip("link set eth1 up")
        us.until_group("master")
        us.endpoint.send(type="stop")
        us.process.wait(10)
        us.until_end()
    assert phases(us.lines) == phases(theirs), (us.lines, theirs)


def phases(lines: list[str]) -> list[list[str]]:
    """The lines of each change of the group: those of instances come in any order (whose timer fired first)."""
    out: list[list[str]] = [[]]
    for line in lines:
        if out[-1] and line.split()[2] != out[-1][-1].split()[2]:
            out.append([])
        out[-1].append(line)
    return [
        [*p[:1], *sorted(p[1:])] if p[0].startswith("GROUP") else [*sorted(p[:-1]), p[-1]] for p in out
    ]  # fmt: skip


def test_scripts_of_a_group(network: Network) -> None:
    a, _ = pair(network)
    group = SyncGroup(
        "VG", GROUP.members, notify=InstanceNotify(master=Script(("/bin/m",)), any=Script(("/bin/any", "x")))
    )
    with Grouped.of(a, 150, group) as us:
        us.until_group("master")
        us.until(lambda: len(us.scripts) >= 3, "scripts were asked for", 20)
        assert us.scripts == [
            ("group VG", ["/bin/any", "x", "GROUP", "VG", "BACKUP", "0"]),
            ("group VG", ["/bin/m"]),
            ("group VG", ["/bin/any", "x", "GROUP", "VG", "MASTER", "0"]),
        ]
        assert us.stop() == 0


def test_a_reload_changes_who_belongs_together(network: Network) -> None:
    a, _ = pair(network)
    with Grouped.of(a, 150, SyncGroup("VG", ("outside",))) as us:
        us.until_role("master", "outside", 20)
        us.until_role("master", "inside", 20)
        marks = len(us.lines)
        us.groups = (GROUP,)
        us.configure(*members(150))
        us.until_group("master")
        us.poll()
        assert us.lines[marks:] == [], "all are master already: nothing changes"
        a.ip("link set eth1 down")
        us.until_group("fault")
        us.groups = ()
        us.configure(*members(150))
        us.until_role("master", "outside", 20)
        assert us.router("inside")["state"] == "fault"
        assert us.facts["groups"] == {}
        assert has_vip(a)
        assert us.stop() == 0


def test_a_replacement_takes_the_whole_group_over_at_once(network: Network) -> None:
    a, b = pair(network)
    with Grouped.of(a, 150) as us, Grouped.of(b, 100) as them:
        us.until_group("master")
        them.until_group("backup")
        marks = len(them.lines)
        us.kill()
        age_ns = time.monotonic_ns() - us.heard_ns
        heir = Grouped(a, {**us.facts, "died_ago_ns": age_ns})
        heir.groups = (GROUP,)
        with heir:
            heir.configure(*members(150))
            heir.until_group("master")
            assert holds(a) == [True, True]
            assert heir.stop() == 0
        them.until_group("master")
        roles = [line for line in them.lines[marks:] if line.startswith("GROUP")]
        assert roles[-1] == 'GROUP "VG" MASTER 0'
