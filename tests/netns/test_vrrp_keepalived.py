"""Debian's keepalived as peer, each in turn master and backup: versions 2 and 3, IPv4 and IPv6, multicast and unicast,
PASS.

The cells run side by side, each in namespaces of its own: version 2 counts in whole seconds.
"""

from __future__ import annotations

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import Auth, VirtualAddress, VrrpInstance
from fastha.model.units import NS_PER_S
from netns.vrrp_director import VIP, Director, Keepalived, has_vip, instance, keepalived_conf

pytestmark = [pytest.mark.root, pytest.mark.interop]


@dataclass(frozen=True)
class Cell:
    name: str
    version: int
    unicast: bool = False
    password: str = ""
    six: bool = False

    @property
    def vip(self) -> str:
        return "fe80::100" if self.six else VIP

    @property
    def ends(self) -> tuple[str, str]:
        return ("fd00:9::1", "fd00:9::2") if self.six else ("10.9.0.1", "10.9.0.2")

    @property
    def interval_s(self) -> float:
        return 1.0 if self.version == 2 else 0.5  # a busy machine takes part of it

    def ours(self, priority: int) -> VrrpInstance:
        return instance(
            priority=priority,
            version=self.version,
            advert_int_ns=int(self.interval_s * NS_PER_S),
            unicast_src=self.ends[0] if self.unicast else "",
            unicast_peers=self.ends[1:] if self.unicast else (),
            addresses=(VirtualAddress(self.vip, 128 if self.six else 32),),
            family=6 if self.six else 4,
            auth=Auth("pass", self.password) if self.password else Auth(),
        )

    def theirs(self, priority: int) -> str:
        ours, theirs = self.ends
        more = f"unicast_src_ip {theirs}\n unicast_peer {{\n {ours}\n }}" if self.unicast else ""
        return keepalived_conf(
            priority, version=self.version, advert_int=str(self.interval_s), auth=self.password, more=more
        ).replace(f"{VIP}/32", f"{self.vip}/128" if self.six else f"{VIP}/32")

    def held(self, namespace: Namespace) -> bool:
        if not self.six:
            return has_vip(namespace)
        return f" {self.vip}/128 " in namespace.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0"]).stdout

    def source(self, namespace: Namespace) -> str:
        """Where the other one hears it from."""
        if self.unicast or not self.six:
            return self.ends[1]
        text = namespace.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]).stdout
        return next(ip for line in text.splitlines() if (ip := line.split()[3].partition("/")[0]) != self.vip)


CELLS = [
    Cell("v2 multicast", 2),
    Cell("v2 unicast", 2, unicast=True),
    Cell("v2 PASS", 2, password="secret"),
    Cell("v3 multicast", 3),
    Cell("v3 unicast", 3, unicast=True),
    Cell("v3 IPv6 multicast", 3, six=True),
    Cell("v3 IPv6 unicast", 3, six=True, unicast=True),
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
    slack = 5.0  # a busy machine
    said = []

    def has() -> bool:
        return cell.held(b)

    with Network() as net:
        a, b = net.namespace("a"), net.namespace("b")
        net.attach("lan", a, "eth0", "10.9.0.1/24")
        net.attach("lan", b, "eth0", "10.9.0.2/24")
        if cell.six:
            for namespace, ip in zip((a, b), cell.ends, strict=True):
                namespace.ip(f"addr add {ip}/64 dev eth0 nodad")
                sure = ["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link", "-tentative"]
                within(lambda n=namespace, s=sure: n.run(s).stdout, 15, "a link-local address")

        # keepalived is the backup
        with Director.start(a, cell.ours(150)) as us:
            them = Keepalived(b, net.folder, cell.theirs(100))
            us.until_role("master", deadline_s=2 * down + slack)
            within(lambda: cell.held(a) and not has(), down + slack, "only we hold the address")
            us.kill()
            said.append(f"takes over from us {within(has, down + slack, 'keepalived takes over'):.2f}")
        with Director.start(a, cell.ours(150)) as us:
            us.until_role("master", deadline_s=2 * down + slack)
            within(lambda: cell.held(a) and not has(), interval + slack, "keepalived yields to us")
            need.wait_until(lambda: (us.poll(), us.router()["sent"] >= 3)[1], down + slack, "we speak")
            assert not has(), "and stays away"
            assert us.stop() == 0
            took = within(has, down + slack, "keepalived hears our priority 0")
            said.append(f"after our priority 0 {took:.2f}")
            assert took < down - 0.5 * interval, f"{took:.2f} s is no reaction to priority 0"
        them.stop()
        within(lambda: not has(), slack, "keepalived has gone")

        # keepalived is the master
        them = Keepalived(b, net.folder, cell.theirs(200))
        within(has, 2 * down + slack, "keepalived is master")
        with Director.start(a, cell.ours(100)) as us:
            us.until(lambda: us.router().get("received", 0) >= 2, "we hear it", 4 * interval + 3)
            assert us.router()["state"] == "backup"
            assert us.router()["master"] == cell.source(b)
            assert us.router()["discarded"] == {}
            assert us.router()["addresses_differ"] == 0
            them.kill()
            start = time.monotonic()
            us.until_role("master", deadline_s=down + slack)
            said.append(f"we take over {time.monotonic() - start:.2f}")
            b.ip(f"addr del {cell.vip}/{128 if cell.six else 32} dev eth0")
            them = Keepalived(b, net.folder, cell.theirs(200))
            try:
                us.until_role("backup", deadline_s=2 * down + slack)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{them.log.read_text()}") from None
            within(lambda: has() and not cell.held(a), interval + slack, "we yield to keepalived")
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
