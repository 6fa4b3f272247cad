"""What is told besides states: other priorities, masters of lower priority, states once more after a reload. Debian's
keepalived and ours have the same story and must write the same lines."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Config, GlobalDefs, InstanceNotify, Script, SyncGroup, Tracker
from netns.vrrp_director import VIP, Director, Keepalived, directors, has_vip, instance
from oracles import advert

pytestmark = [pytest.mark.root]


def lower(namespace: Namespace) -> None:
    """An advert of a master with priority 50."""
    packet = advert.encode("10.9.0.2", "224.0.0.18", 3, 51, 50, 20, [VIP])
    with namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.2"))
        sock.sendto(packet, ("224.0.0.18", 0))


def story(network: Network, us: Namespace, them: Namespace, lines: Callable[[], list[str]], port: str) -> None:
    """eth1 goes and comes, somebody else claims to be master."""

    def until(line: str) -> None:
        need.wait_until(lambda: line in lines(), 20, f"{line} in {lines()}", 0.05)

    until('INSTANCE "vi" MASTER 150')
    need.wait_until(lambda: has_vip(us), 20, "the address is there")
    network.unplug(port)
    until('INSTANCE "vi" MASTER_PRIORITY 130')
    network.plug(port)
    until('INSTANCE "vi" MASTER_PRIORITY 150')
    lower(them)
    until('INSTANCE "vi" MASTER_RX_LOWER_PRI 150')


def test_the_same_lines_as_keepalived(network: Network, tmp_path: Path) -> None:
    need.tool("keepalived")
    a, b = directors(network)
    port = network.attach("other", a, "eth1", "10.8.0.1/24")
    fifo, written = tmp_path / "fifo", tmp_path / "lines"
    os.mkfifo(fifo, 0o644)
    with written.open("wb") as out:
        reader = a.popen(["cat", fifo], stdout=out)
    try:
        them = Keepalived(a, tmp_path, CONF.replace("FIFO", str(fifo)))
        story(network, a, b, lambda: written.read_text().splitlines(), port)
        them.stop()
        need.wait_until(lambda: "STOP" in written.read_text(), 20, "it has said goodbye")
    finally:
        reader.kill()
        reader.wait(5)
    notify = InstanceNotify(rx_lower=Script(("/bin/lower", "a")), any=Script(("/bin/any",)))
    track = (Tracker("interface", "eth1", -20),)
    with Director.start(a, instance(priority=150, track=track, notify=notify, notify_priority=True)) as us:

        def said() -> list[str]:
            us.poll()
            return us.lines

        story(network, a, b, said, port)
        us.endpoint.send(type="stop")
        us.process.wait(10)
        us.until_end()
    assert us.lines == written.read_text().splitlines()
    # keepalived runs no script for a priority, and adds nothing to that of a lower one (observed).
    assert us.scripts == [
        ("vi", ["/bin/any", "INSTANCE", "vi", "BACKUP", "150"]),
        ("vi", ["/bin/any", "INSTANCE", "vi", "MASTER", "150"]),
        ("vi", ["/bin/lower", "a"]),
        ("vi", ["/bin/any", "INSTANCE", "vi", "STOP", "150"]),
    ]


CONF = f"""
global_defs {{
  vrrp_notify_fifo FIFO
}}
vrrp_instance vi {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 150
  version 3
  advert_int 0.1
  notify_priority_changes
  track_interface {{
    eth1 weight -20
  }}
  virtual_ipaddress {{
    {VIP}/32
  }}
}}
"""


class Repeating(Director):
    """With `fifo_write_vrrp_states_on_reload`, if `repeats`."""

    repeats = True

    def config(self, values: tuple[Any, ...]) -> Config:
        group = SyncGroup("VG", ("vi",))
        return Config(GlobalDefs(states_on_reload=self.repeats), instances=values, sync_groups=(group,))


def test_states_are_told_again_after_a_reload_if_that_is_wanted(network: Network) -> None:
    a, _ = directors(network)
    with Repeating.start(a, instance()) as us:
        us.until_role("master", deadline_s=20)
        marks = len(us.lines)
        us.configure(instance(priority=120))
        us.until(lambda: len(us.lines) >= marks + 2, "the states", 20)
        assert us.lines[marks:] == ['INSTANCE "vi" MASTER 120', 'GROUP "VG" MASTER 0']
        us.repeats = False
        us.configure(instance(priority=130))
        us.until(lambda: us.router()["priority"] == 130, "it is committed", 20)
        assert len(us.lines) == marks + 2
        assert us.stop() == 0
