"""Debian's keepalived as peer, each in turn master and backup: versions 2 and 3, multicast, unicast, PASS.

The cells run side by side, each in namespaces of its own: version 2 counts in whole seconds.
"""

from __future__ import annotations

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Auth, VrrpInstance
from fastha.model.units import NS_PER_S
from netns.vrrp_director import Director, Keepalived, has_vip, instance, keepalived_conf

pytestmark = [pytest.mark.root, pytest.mark.interop]


@dataclass(frozen=True)
class Cell:
    name: str
    version: int
    unicast: bool = False
    password: str = ""

    @property
    def interval_s(self) -> float:
        return 1.0 if self.version == 2 else 0.2

    def ours(self, priority: int) -> VrrpInstance:
        return instance(
            priority=priority,
            version=self.version,
            advert_int_ns=int(self.interval_s * NS_PER_S),
            unicast_src="10.9.0.1" if self.unicast else "",
            unicast_peers=("10.9.0.2",) if self.unicast else (),
            auth=Auth("pass", self.password) if self.password else Auth(),
        )

    def theirs(self, priority: int) -> str:
        more = "unicast_src_ip 10.9.0.2\n unicast_peer {\n 10.9.0.1\n }" if self.unicast else ""
        return keepalived_conf(
            priority, version=self.version, advert_int=str(self.interval_s), auth=self.password, more=more
        )


CELLS = [
    Cell("v2 multicast", 2),
    Cell("v2 unicast", 2, unicast=True),
    Cell("v2 PASS", 2, password="secret"),
    Cell("v3 multicast", 3),
    Cell("v3 unicast", 3, unicast=True),
]


def within(condition: object, deadline_s: float, why: str) -> float:
    """Seconds until it was true."""
    start = time.monotonic()
    need.wait_until(condition, deadline_s, why, 0.02)  # type: ignore[arg-type]
    return time.monotonic() - start


def play(cell: Cell) -> list[str]:
    """One cell from the first election to the last goodbye; what was measured."""
    interval = cell.interval_s
    down = 4 * interval if cell.version == 3 else 3 * interval + 1  # the longest master-down interval
    slack = 1.5  # a busy machine
    said = []
    with Network() as net:
        a, b = net.namespace("a"), net.namespace("b")
        net.attach("lan", a, "eth0", "10.9.0.1/24")
        net.attach("lan", b, "eth0", "10.9.0.2/24")

        # keepalived is the backup
        with Director.start(a, cell.ours(150)) as us:
            them = Keepalived(b, net.folder, cell.theirs(100))
            us.until_role("master", deadline_s=2 * down + slack)
            within(lambda: has_vip(a) and not them.has(), down + slack, "only we hold the address")
            us.kill()
            said.append(f"takes over from us {within(them.has, down + slack, 'keepalived takes over'):.2f}")
        with Director.start(a, cell.ours(150)) as us:
            us.until_role("master", deadline_s=2 * down + slack)
            within(lambda: has_vip(a) and not them.has(), interval + slack, "keepalived yields to us")
            need.wait_until(lambda: (us.poll(), us.router()["sent"] >= 3)[1], down + slack, "we speak")
            assert not them.has(), "and stays away"
            assert us.stop() == 0
            took = within(them.has, down + slack, "keepalived hears our priority 0")
            said.append(f"after our priority 0 {took:.2f}")
            assert took < down - 0.5 * interval, f"{took:.2f} s is no reaction to priority 0"
        them.stop()
        within(lambda: not them.has(), slack, "keepalived has gone")

        # keepalived is the master
        them = Keepalived(b, net.folder, cell.theirs(200))
        within(them.has, 2 * down + slack, "keepalived is master")
        with Director.start(a, cell.ours(100)) as us:
            us.until(lambda: us.router().get("received", 0) >= 2, "we hear it", 4 * interval + 3)
            assert us.router()["state"] == "backup"
            assert us.router()["master"] == "10.9.0.2"
            assert us.router()["discarded"] == {}
            assert us.router()["addresses_differ"] == 0
            them.kill()
            start = time.monotonic()
            us.until_role("master", deadline_s=down + slack)
            said.append(f"we take over {time.monotonic() - start:.2f}")
            b.ip("addr del 10.9.0.100/32 dev eth0")
            them = Keepalived(b, net.folder, cell.theirs(200))
            try:
                us.until_role("backup", deadline_s=2 * down + slack)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{them.log.read_text()}") from None
            within(lambda: them.has() and not has_vip(a), interval + slack, "we yield to keepalived")
            them.process.terminate()
            start = time.monotonic()
            us.until_role("master", deadline_s=down + slack)
            took = time.monotonic() - start
            said.append(f"after its priority 0 {took:.2f}")
            assert us.router()["zero_received"] >= 1
            assert took < down - 0.5 * interval, f"{took:.2f} s is no reaction to priority 0"
            them.process.wait(10)
            assert us.stop() == 0
    return said


def test_each_in_turn_master_and_backup() -> None:
    need.tool("keepalived")
    need.kernel("veth", "bridge")
    failed = []
    with ThreadPoolExecutor(len(CELLS)) as pool:
        runs = {cell: pool.submit(play, cell) for cell in CELLS}
        for cell, run in runs.items():
            try:
                print(f"{cell.name}: {'; '.join(run.result())}")
            except Exception:
                failed.append(f"-- {cell.name}\n{traceback.format_exc()}")
    assert not failed, "\n".join(failed)
