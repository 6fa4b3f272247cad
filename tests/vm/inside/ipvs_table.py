"""The table of a real kernel: every attribute there and back, errno for errno the model, bulk, adoption, repair."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fastha.dataplane.choose import open_backend
from fastha.dataplane.ipvs import IpvsBackend
from fastha.dataplane.reconcile import describe, reconcile, same_service
from fastha.dataplane.rows import (
    OUR_FLAGS,
    Dest,
    DestKey,
    Forward,
    Op,
    Service,
    ServiceKey,
    ServiceRow,
    Table,
    TunnelType,
    Verb,
)
from fastha.errors import SystemFault
from fastha.setns import entered
from oracles import ipvs_random, ipvsadm
from oracles.ipvs_kernel import KernelModel
from vm import guest

guest.only_inside()

V4, V6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.IPPROTO_TCP, socket.IPPROTO_UDP
KEY = ServiceKey(V4, TCP, "10.0.0.1", 80)
FIRST = DestKey("10.2.0.1", 80)
NAT1 = Dest(Forward.NAT, 1)
SIP = ServiceKey(V4, UDP, "10.0.0.1", 5060)


def run(*words: str) -> None:
    subprocess.run(words, check=True)


@pytest.fixture
def backend() -> Iterator[IpvsBackend]:
    """Over an empty table."""
    opened = IpvsBackend()
    assert not any(opened.apply([Op(Verb.DEL_SERVICE, key) for key in opened.dump()]))
    yield opened
    opened.close()


def make_true(backend: IpvsBackend, wanted: Table, owned: tuple[ServiceKey, ...] = ()) -> list[Op]:
    """Reconcile; every operation must succeed, and nothing may be left to do. The operations."""
    ops = reconcile(wanted, backend.dump(), owned)
    for op, result in zip(ops, backend.apply(ops), strict=True):
        assert result == 0, f"{describe(op)}: {os.strerror(result)}"
    assert reconcile(wanted, backend.dump(), owned) == []
    return ops


def dests(count: int, forward: Forward = Forward.DR) -> dict[DestKey, Dest]:
    return {DestKey(f"10.3.{i >> 8}.{i & 255}", 80): Dest(forward, 1) for i in range(count)}


def in_child(code: str, **more: object) -> str:
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, **more)  # type: ignore[call-overload]
    return str(done.stdout + done.stderr).strip()


SAY = """
from fastha.dataplane.ipvs import IpvsBackend
from fastha.errors import SystemFault
from fastha.setns import entered
import os
{before}
try:
    IpvsBackend()
except SystemFault as fault:
    print(fault)
"""


def test_a_kernel_without_ipvs_is_one_clear_line() -> None:
    loaded = Path("/proc/modules").read_text()
    if "ip_vs" in loaded:
        run("modprobe", "-r", *[line.split()[0] for line in loaded.splitlines() if line.startswith("ip_vs")])
    helper = Path("/proc/sys/kernel/modprobe")  # the kernel loads a family's module by this; not now
    before = helper.read_text()
    helper.write_text("/bin/false")
    try:
        with pytest.raises(SystemFault) as fault:
            IpvsBackend()
    finally:
        helper.write_text(before)
    assert str(fault.value) == "ipvs: the kernel has no IPVS (module ip_vs), or not in this network namespace"
    chosen = open_backend("auto")
    assert isinstance(chosen, IpvsBackend)
    chosen.close()


def test_without_privilege_it_is_one_clear_line(backend: IpvsBackend) -> None:
    assert in_child(SAY.format(before="os.setresuid(65534, 65534, 65534)")) == "ipvs: needs root (CAP_NET_ADMIN)"


def test_a_namespace_has_its_own_table(backend: IpvsBackend) -> None:
    make_true(backend, {KEY: ServiceRow(Service("rr"), {FIRST: NAT1})})
    run("ip", "netns", "add", "other")
    try:
        code = "from fastha.dataplane.choose import open_backend; b = open_backend('auto'); print(b.name, b.dump())"
        done = subprocess.run(
            ["ip", "netns", "exec", "other", sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "ipvs {}"
    finally:
        run("ip", "netns", "del", "other")


ATTRIBUTES = {
    "tcp": (KEY, Service("wlc"), NAT1, "10.2.0.1"),
    "udp ops": (ServiceKey(V4, UDP, "10.0.0.1", 53), Service("rr", 0x4), NAT1, "10.2.0.1"),
    "sctp": (ServiceKey(V4, socket.IPPROTO_SCTP, "10.0.0.1", 9), Service("lc"), NAT1, "10.2.0.1"),
    "fwmark": (ServiceKey(V4, 0, fwmark=0x7FFFFFFE), Service("wrr"), Dest(Forward.DR, 65535), "10.2.0.1"),
    "fwmark inet6": (ServiceKey(V6, 0, fwmark=1), Service("wrr", netmask=128), NAT1, "2001:db8:2::1"),
    "inet6": (ServiceKey(V6, TCP, "2001:db8::1", 443), Service("sed", netmask=128), NAT1, "2001:db8:2::1"),
    "inet6 persistent": (ServiceKey(V6, TCP, "::1", 1), Service("nq", 0x1, 60, 64), NAT1, "2001:db8:2::1"),
    "persistent": (KEY, Service("dh", 0x1, 360, 24), NAT1, "10.2.0.1"),
    "sh flags": (KEY, Service("sh", 0x18), NAT1, "10.2.0.1"),
    "mh flags": (KEY, Service("mh", 0x18), NAT1, "10.2.0.1"),
    "flag 3": (KEY, Service("fo", 0x20), NAT1, "10.2.0.1"),
    "pe sip": (SIP, Service("rr", 0x1, 60, 32, "sip"), NAT1, "10.2.0.1"),
    "tunnel gue": (KEY, Service("rr"), Dest(Forward.TUN, 1, 0, 0, TunnelType.GUE, 6080, 0), "10.2.0.1"),
    "tunnel gue csum": (KEY, Service("rr"), Dest(Forward.TUN, 1, 0, 0, TunnelType.GUE, 65535, 1), "2001:db8:2::1"),
    "tunnel gue remcsum": (KEY, Service("rr"), Dest(Forward.TUN, 1, 9, 5, TunnelType.GUE, 1, 2), "10.2.0.1"),
    "tunnel gre": (KEY, Service("rr"), Dest(Forward.TUN, 1, 0, 0, TunnelType.GRE, 0, 0), "10.2.0.1"),
    "tunnel gre csum": (KEY, Service("rr"), Dest(Forward.TUN, 1, 0, 0, TunnelType.GRE, 0, 1), "10.2.0.1"),
    "tunnel to inet6": (KEY, Service("ovf"), Dest(Forward.TUN, 1), "2001:db8:2::1"),
    "thresholds": (KEY, Service("lblc"), Dest(Forward.TUN, 0, 1000, 900), "10.2.0.1"),
    "weight 0": (KEY, Service("lblcr"), Dest(Forward.DR, 0), "10.2.0.1"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_there_and_back(backend: IpvsBackend, name: str) -> None:
    key, service, dest, ip = ATTRIBUTES[name]
    dest_key = DestKey(ip, 0 if key.fwmark else 8080)
    wanted = {key: ServiceRow(service, {dest_key: dest})}
    make_true(backend, wanted)
    found = backend.dump()
    there = found[key].service
    assert (there.scheduler, there.pe_name, there.flags & OUR_FLAGS) == (
        service.scheduler,
        service.pe_name,
        service.flags,
    )
    assert (there.timeout_s, there.netmask) == (service.timeout_s, service.netmask)
    assert found.keys() == {key}
    assert found[key].dests == {dest_key: dest}
    assert ipvsadm.saved() == ipvsadm.lines(wanted)
    assert ipvsadm.saved_thresholds() == ipvsadm.thresholds(wanted)


def test_leaving_attributes_again(backend: IpvsBackend) -> None:
    """SET_SERVICE takes back a persistence engine, persistence and flags; SET_DEST thresholds."""
    gue = Dest(Forward.TUN, 1, 9, 5, TunnelType.GUE, 6080, 1)
    make_true(backend, {SIP: ServiceRow(Service("sh", 0x19, 60, 24, "sip"), {FIRST: gue})})
    wanted = {SIP: ServiceRow(Service("rr"), {FIRST: Dest(Forward.NAT, 2)})}
    assert [op.verb for op in make_true(backend, wanted)] == [Verb.SET_SERVICE, Verb.SET_DEST]
    assert ipvsadm.saved() == ipvsadm.lines(wanted)
    assert ipvsadm.saved_thresholds() == ipvsadm.thresholds(wanted)


def test_from_one_tunnel_to_another_and_back(backend: IpvsBackend) -> None:
    """What a message leaves out is 0 again: nothing of GUE stays behind IPIP, and nothing of any behind NAT."""
    gue = Dest(Forward.TUN, 1, tun_type=TunnelType.GUE, tun_port=6080, tun_flags=1)
    for dest in (gue, Dest(Forward.TUN, 1), gue, NAT1, Dest(Forward.TUN, 1)):
        wanted = {KEY: ServiceRow(Service("rr"), {FIRST: dest})}
        make_true(backend, wanted)
        assert backend.dump()[KEY].dests == {FIRST: dest}
        assert ipvsadm.saved() == ipvsadm.lines(wanted)


@pytest.mark.parametrize("seed", range(3))
def test_random_operations_answer_as_the_model_does(backend: IpvsBackend, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    model = KernelModel()
    ops = [ipvs_random.op(rng) for _ in range(1500)]
    expected = [model.play(op) for op in ops]
    for op, result, wanted in zip(ops, backend.apply(ops), expected, strict=True):
        assert result == wanted, describe(op)
    found, table = backend.dump(), model.table()
    assert found.keys() == table.keys()
    for key, row in table.items():
        assert same_service(row.service, found[key].service)
        assert found[key].dests == row.dests
    assert ipvsadm.saved() == ipvsadm.lines(table)


def test_wrong_operations_return_their_errno(backend: IpvsBackend) -> None:
    good = Op(Verb.NEW_SERVICE, KEY, Service("rr"))
    ops = [
        Op(Verb.SET_SERVICE, KEY, Service("rr")),
        Op(Verb.NEW_SERVICE, KEY, Service("nosuch")),
        good,
        good,
        Op(Verb.SET_DEST, KEY, dest_key=FIRST, dest=NAT1),
        Op(Verb.DEL_DEST, KEY, dest_key=FIRST),
        Op(Verb.NEW_DEST, KEY, dest_key=FIRST, dest=Dest(Forward.NAT, 1, 1, 2)),
        Op(Verb.NEW_DEST, KEY, dest_key=DestKey("2001:db8::1", 80), dest=NAT1),
        Op(Verb.NEW_DEST, KEY, dest_key=FIRST, dest=NAT1),
        Op(Verb.NEW_DEST, KEY, dest_key=FIRST, dest=NAT1),
        Op(Verb.DEL_SERVICE, KEY),
    ]
    assert [errno.errorcode.get(r, "0") for r in backend.apply(ops)] == [
        *("ESRCH", "ENOENT", "0", "EEXIST", "ENOENT", "ENOENT", "ERANGE", "EINVAL", "0", "EEXIST", "0")
    ]
    assert backend.apply([]) == []


def test_foreign_rows_stay(backend: IpvsBackend) -> None:
    run("ipvsadm", "-A", "-t", "192.0.2.1:80", "-s", "sh", "-p", "77", "-M", "255.0.255.0")
    run("ipvsadm", "-a", "-t", "192.0.2.1:80", "-r", "192.0.2.9:80", "-g", "-w", "3")
    foreign = ipvsadm.saved()
    rng = random.Random(1)
    for _ in range(6):
        wanted = ipvs_random.table(rng)
        make_true(backend, wanted, ipvs_random.KEYS)
        assert ipvsadm.saved() == sorted(ipvsadm.lines(wanted) + foreign)
    make_true(backend, {}, ipvs_random.KEYS)
    assert ipvsadm.saved() == foreign


@pytest.mark.parametrize("scheduler", ["rr", "mh", "wrr"])
def test_two_thousand_destinations(backend: IpvsBackend, scheduler: str) -> None:
    wanted = {KEY: ServiceRow(Service(scheduler), dests(2000))}
    make_true(backend, wanted)
    assert backend.dump()[KEY].service.scheduler == scheduler
    assert ipvsadm.saved() == ipvsadm.lines(wanted)
    make_true(backend, {KEY: ServiceRow(Service(scheduler), dests(1000))})
    assert [op.verb for op in make_true(backend, {}, (KEY,))] == [Verb.DEL_SERVICE]
    assert ipvsadm.saved() == []


def test_three_hundred_services(backend: IpvsBackend) -> None:
    """More services than the first dump has room for."""
    keys = [ServiceKey(V4, TCP, f"10.0.{i >> 8}.{i & 255}", 80) for i in range(300)]
    wanted = {key: ServiceRow(Service("wlc"), {FIRST: NAT1}) for key in keys}
    make_true(backend, wanted)
    assert len(backend.dump()) == 300
    assert len(backend.counters()) == 600


def test_adoption_finds_nothing_to_do(backend: IpvsBackend) -> None:
    wanted = ipvs_random.table(random.Random(3))
    make_true(backend, wanted)
    successor = IpvsBackend()
    assert reconcile(wanted, successor.dump(), ()) == []
    successor.close()


def test_somebody_elses_hand_is_repaired(backend: IpvsBackend) -> None:
    wanted = {KEY: ServiceRow(Service("mh"), dests(40))}
    make_true(backend, wanted)
    run("ipvsadm", "-e", "-t", "10.0.0.1:80", "-r", "10.3.0.7:80", "-g", "-w", "9")
    run("ipvsadm", "-d", "-t", "10.0.0.1:80", "-r", "10.3.0.8:80")
    assert [op.verb for op in make_true(backend, wanted)] == [Verb.NEW_DEST, Verb.SET_DEST]
    run("ipvsadm", "-C")
    make_true(backend, wanted)
    assert ipvsadm.saved() == ipvsadm.lines(wanted)


def test_lost_answers_are_an_error_and_the_next_reconcile_mends_it(backend: IpvsBackend) -> None:
    wanted = {KEY: ServiceRow(Service("rr"), dests(600))}
    ops = reconcile(wanted, {}, ())
    with socket.socket(fileno=os.dup(backend._socket.fd)) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # holds a handful of answers
    with pytest.raises(OSError, match="ipvs: No buffer space available"):
        backend.apply(ops)
    assert 0 < len(backend.dump()[KEY].dests) < 600  # it opened a socket of its own again
    make_true(backend, wanted)


def test_a_closed_backend_says_so_and_rows_stay(backend: IpvsBackend) -> None:
    wanted = {KEY: ServiceRow(Service("rr"), {FIRST: NAT1})}
    make_true(backend, wanted)
    backend.close()
    backend.close()
    with pytest.raises(OSError, match="closed"):
        backend.dump()
    assert ipvsadm.saved() == ipvsadm.lines(wanted)


def test_another_network_namespace_has_a_table_of_its_own(backend: IpvsBackend) -> None:
    """`net_namespace_ipvs`: opened there, and opened there again after an error."""
    wanted = {KEY: ServiceRow(Service("rr"), {FIRST: NAT1})}
    run("ip", "netns", "add", "elsewhere")
    run("ip", "-n", "elsewhere", "link", "set", "lo", "up")  # without, no address is one of a host there
    other = open_backend("ipvs", partial(entered, "/run/netns/elsewhere"))
    try:
        assert isinstance(other, IpvsBackend)
        make_true(other, wanted)
        assert backend.dump() == {}
        os.close(other._socket.fd)  # what is sent next fails, and it opens another socket
        with pytest.raises(OSError, match="ipvs"):
            other.dump()
        assert reconcile(wanted, other.dump(), ()) == []
        assert backend.dump() == {}
    finally:
        other.close()
        run("ip", "netns", "delete", "elsewhere")
