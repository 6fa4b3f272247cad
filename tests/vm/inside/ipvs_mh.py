"""The limit of mh in a real kernel: why a virtual server beyond it is refused, and that fastha knows the number."""

from __future__ import annotations

import errno
import itertools
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastha.dataplane import ipvs, ipvs_mh
from fastha.dataplane.ipvs import IpvsBackend
from fastha.dataplane.ipvs_mh import USUAL, asked_slots, configured_slots
from fastha.dataplane.reconcile import reconcile
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, ServiceRow, Verb
from fastha.model import RealServer, VirtualServer
from vm import guest

guest.only_inside()

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_UDP, "10.0.0.1", 53)
PORTS = itertools.count(20000)  # of clients: each flow is new
RR, MH_PORT = Service("rr"), Service("mh", 0x10)


@pytest.fixture
def backend() -> Iterator[IpvsBackend]:
    opened = IpvsBackend()
    opened.flush()
    yield opened
    opened.flush()
    opened.close()


def names(count: int) -> list[DestKey]:
    return [DestKey(f"10.3.{i >> 8}.{i & 255}", 53) for i in range(count)]


def add(backend: IpvsBackend, keys: list[DestKey], weight: int = 1) -> None:
    ops = [Op(Verb.NEW_DEST, KEY, None, key, Dest(Forward.NAT, weight)) for key in keys]
    assert not any(backend.apply(ops))


@pytest.mark.parametrize(
    ("count", "weight", "result"), [(4093, 1, 0), (4094, 1, errno.EINVAL), (4094, 0, errno.EINVAL)]
)
def test_what_the_kernel_says_to_mh(backend: IpvsBackend, count: int, weight: int, result: int) -> None:
    assert backend.apply([Op(Verb.NEW_SERVICE, KEY, RR)]) == [0]
    add(backend, names(count)[:1])
    add(backend, names(count)[1:], weight)
    assert backend.apply([Op(Verb.SET_SERVICE, KEY, Service("mh"))]) == [result]
    assert backend.dump()[KEY].service.scheduler == ("rr" if result else "mh")


def send(count: int) -> Counter[str]:
    """So many new flows. How many there are now, by destination."""
    subprocess.run(["ip", "address", "replace", "10.0.0.1/32", "dev", "lo"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for _ in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("", next(PORTS)))
            client.sendto(b"x", ("10.0.0.1", 53))
    table = Path("/proc/net/ip_vs_conn").read_text().splitlines()[1:]
    rows = [line.split() for line in table]
    return Counter(socket.inet_ntoa(bytes.fromhex(row[5])) for row in rows if row[0] == "UDP")


def test_beyond_its_slots_the_kernel_does_not_do_what_it_says(backend: IpvsBackend) -> None:
    """The only live destination is removed and keeps its traffic; one that is new and heavier gets none."""
    old, newcomer = DestKey("10.4.0.1", 53), DestKey("10.4.0.2", 53)
    subprocess.run(["ip", "route", "replace", "10.0.0.0/8", "dev", "lo"], check=True)
    assert backend.apply([Op(Verb.NEW_SERVICE, KEY, RR)]) == [0]
    add(backend, [old])
    add(backend, names(4092), 0)  # weight 0 counts as well
    assert backend.apply([Op(Verb.SET_SERVICE, KEY, MH_PORT)]) == [0]
    before = send(20)
    assert before.keys() == {old.ip}
    add(backend, [newcomer], 100)
    add(backend, [DestKey("10.4.0.3", 53)], 0)
    assert backend.apply([Op(Verb.DEL_DEST, KEY, None, old)]) == [0]
    there = backend.dump()[KEY]
    assert len(there.dests) == 4094
    assert old not in there.dests
    subprocess.run(["sysctl", "-q", "-w", "net.ipv4.vs.expire_nodest_conn=0"], check=True)
    after = send(50)
    assert after.keys() == {old.ip}
    assert after[old.ip] == before[old.ip] + 50
    assert backend.apply([Op(Verb.DEL_DEST, KEY, None, key) for key in names(1)]) == [0]  # 4093: it is built anew
    assert newcomer.ip in send(50)


def server(count: int) -> VirtualServer:
    reals = tuple(RealServer(ip=key.ip, port=53) for key in names(count))
    return VirtualServer(ip="10.0.0.1", port=53, protocol="UDP", scheduler="mh", real_servers=reals)


def test_refused_with_the_number_of_this_kernel(backend: IpvsBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.refuse(server(4093)) == ""
    mine = {KEY: ServiceRow(RR, {DestKey("10.2.0.1", 53): Dest(Forward.NAT, 1)})}
    assert not any(backend.apply(reconcile(mine, {}, ())))
    assert configured_slots() in (0, USUAL)
    assert asked_slots(backend.apply) == USUAL
    monkeypatch.setattr(ipvs, "configured_slots", lambda: 0)
    assert backend.refuse(server(4094)) == "mh: this kernel's table has 4093 slots, too few for 4094 destinations"
    assert backend.dump().keys() == mine.keys()  # nothing of the asking is left
    assert reconcile(mine, backend.dump(), ()) == []
    assert ipvs_mh.USUAL == 4093
