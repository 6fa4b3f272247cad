"""Receive buffers of sockets, as the kernel tells of those of another process."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.lab.wait import wait_until
from fastha.model import AdvertBuffers, Buffers, Config, GlobalDefs, RealServer, ReceiveBuffer, VirtualServer
from fastha.vrrp.sockets import BUFFER
from netns.vrrp_director import Director, Keepalived, directors, instance

pytestmark = pytest.mark.root

PIDFD_GETFD = 438  # asm-generic/unistd.h
SO_PROTOCOL, SO_DOMAIN = 38, 39
KERNELS = 2304  # SOCK_MIN_RCVBUF of a 64-bit kernel: what it gives who asks for less
ADVERTS = (socket.AF_INET, 112)
NETLINK = (socket.AF_NETLINK, socket.NETLINK_ROUTE)


def buffers(pid: int, kind: tuple[int, int]) -> list[int]:
    """SO_RCVBUF (twice what was asked for) of the sockets of this family and protocol."""
    libc, out = ctypes.CDLL(None, use_errno=True), []
    process = os.pidfd_open(pid)
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
                    continue
            except FileNotFoundError:  # closed meanwhile
                continue
            got = libc.syscall(PIDFD_GETFD, process, int(fd), 0)
            if got < 0 and ctypes.get_errno() == errno.EBADF:
                continue
            assert got >= 0, os.strerror(ctypes.get_errno())
            with socket.socket(fileno=got) as sock:
                said = [sock.getsockopt(socket.SOL_SOCKET, option) for option in (SO_DOMAIN, SO_PROTOCOL)]
                if tuple(said) == kind:
                    out.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
    finally:
        os.close(process)
    return sorted(out)


class Sized(Director):
    buffers = Buffers()
    servers: tuple[VirtualServer, ...] = ()

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(GlobalDefs(buffers=self.buffers), instances=values, virtual_servers=self.servers)


class SizedChecker(Sized):
    module = "fastha.checker"


CONF = """
global_defs {{
  {globals}
}}
vrrp_instance a {{
  interface eth0
  virtual_router_id 1
  version 3
  {first}
  virtual_ipaddress {{
    10.9.0.101
  }}
}}
vrrp_instance b {{
  interface eth0
  virtual_router_id 2
  version 3
  virtual_ipaddress {{
    10.9.0.102
  }}
}}
"""


def of_keepalived(namespace: Namespace, folder: Path, text: str) -> int:
    """What keepalived gives the socket that hears; the other one of its two has next to nothing."""
    keepalived = Keepalived(namespace, folder, text)
    try:
        pid = folder / f"ka-{namespace.name}" / "vrrp.pid"
        wait_until(lambda: pid.exists() and pid.read_text().strip(), 20, "its process")
        child = int(pid.read_text())
        wait_until(lambda: len(buffers(child, ADVERTS)) == 2, 20, "its sockets")
        return max(buffers(child, ADVERTS))
    finally:
        keepalived.stop()


@pytest.mark.parametrize(
    ("policy", "first", "wanted"),
    [
        (AdvertBuffers("mtu"), 0, 2 * 3 * 1500),
        (AdvertBuffers("mtu", 0, 7), 3000, 7 * 1500 + 3000),
        (AdvertBuffers("size", 5000), 0, 2 * 5000),
    ],
)
def test_adverts_have_the_room_that_keepalived_gives_them(
    network: Network, tmp_path: Path, policy: AdvertBuffers, first: int, wanted: int
) -> None:
    need.tool("keepalived")
    a, b = directors(network)
    word = policy.size or policy.policy.upper()
    text = CONF.format(
        globals=f"vrrp_rx_bufs_policy {word}\n  vrrp_rx_bufs_multiplier {policy.multiplier}",
        first=f"kernel_rx_buf_size {first}" if first else "",
    )
    with Sized(a) as us:
        us.buffers = Buffers(adverts=policy)
        us.configure(instance(name="x", vrid=1, kernel_rx_buf_size=first), instance(name="y", vrid=2, addresses=()))
        us.until_role("master", "x", 20)
        assert buffers(us.process.pid, ADVERTS) == [2 * wanted]
        assert of_keepalived(b, tmp_path, text) == 2 * wanted
        assert us.stop() == 0


def test_a_reload_resizes_and_what_is_not_said_is_ours(network: Network) -> None:
    a, _ = directors(network)
    with Sized(a) as us:
        us.configure(instance())
        us.until_role("master", deadline_s=20)
        assert buffers(us.process.pid, ADVERTS) == [2 * BUFFER]
        us.buffers = Buffers(
            vrrp_netlink_cmd=ReceiveBuffer(100_000),
            vrrp_netlink_monitor=ReceiveBuffer(16 << 20, force=True),
            adverts=AdvertBuffers("advert"),
        )
        us.configure(instance())
        # Three adverts as the kernel counts them, not three times their 32 bytes, of which it holds one or two.
        assert buffers(us.process.pid, ADVERTS) == [2 * 3 * 1280]
        # The addresses' and the question for routes; the monitor's and what is told of routes.
        assert buffers(us.process.pid, NETLINK) == [200_000, 200_000, 32 << 20, 32 << 20]
        us.buffers = Buffers(vrrp_netlink_cmd=ReceiveBuffer(1), vrrp_netlink_monitor=ReceiveBuffer(1))
        us.configure(instance())
        assert buffers(us.process.pid, ADVERTS) == [2 * BUFFER]
        assert buffers(us.process.pid, NETLINK) == [KERNELS, KERNELS, 2 << 16, 2 << 16]
        a.ip("link set eth0 down")
        us.until_role("fault", deadline_s=20)  # what it cannot be told it looks for
        a.ip("link set eth0 up")
        us.until_role("master", deadline_s=20)
        assert us.stop() == 0


def test_the_checker_has_its_own(network: Network) -> None:
    a, _ = directors(network)
    with SizedChecker(a) as us:
        us.buffers = Buffers(lvs_netlink_monitor=ReceiveBuffer(50_000))
        us.servers = (
            VirtualServer(ip="10.9.0.5", port=80, ha_suspend=True, real_servers=(RealServer(ip="10.9.0.6", port=80),)),
        )
        us.configure()
        assert buffers(us.process.pid, NETLINK) == [100_000]
        us.buffers = Buffers(lvs_netlink_monitor=ReceiveBuffer(70_000))
        us.configure()
        assert buffers(us.process.pid, NETLINK) == [140_000]
