"""Groups of virtual servers: services, rows, quorum, adoption; and the checker child that runs them."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from fastha.checker import plan
from fastha.checker.adoption import adopted, marks, once_ours
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow, Table, TunnelType
from fastha.model import GroupMember, RealServer, SorryServer, Tunnel, VirtualServer

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
A = RealServer(ip="192.0.2.1", port=80, weight=3)
B = RealServer(ip="192.0.2.2", port=80, weight=1, inhibit_on_failure=True)
MEMBERS = (
    GroupMember("203.0.113.254", "203.0.114.1", 80),
    GroupMember("203.0.113.9", "203.0.113.9", 443),
    GroupMember(fwmark=7),
)
GROUP = VirtualServer(group="web", members=MEMBERS, scheduler="wrr", real_servers=(A, B))


def v4(ip: str, port: int) -> ServiceKey:
    return ServiceKey(socket.AF_INET, TCP, ip, port)


def wanted(p: plan.Plan, mark: int = 0) -> Table:
    return dict(plan.rows(p, plan.keys(p.server, mark)))


def test_every_member_is_a_service_and_a_range_one_for_each_address() -> None:
    assert plan.keys(GROUP) == (
        *(v4(ip, 80) for ip in ("203.0.113.254", "203.0.113.255", "203.0.114.0", "203.0.114.1")),
        v4("203.0.113.9", 443),
        ServiceKey(socket.AF_INET, 0, fwmark=7),
    )
    assert plan.key(GROUP) == v4("203.0.113.254", 80)
    udp = plan.keys(replace(GROUP, protocol="UDP"))
    assert {k.protocol for k in udp} == {UDP, 0}


def test_ipv6_ranges_and_overlapping_members() -> None:
    members = (
        GroupMember("2001:db8::fffe", "2001:db8::1:1", 53, family="inet6"),
        GroupMember("2001:db8::ffff", "2001:db8::ffff", 53, family="inet6"),
    )
    keys = plan.keys(replace(GROUP, members=members, family="inet6"))
    assert [k.ip for k in keys] == ["2001:db8::fffe", "2001:db8::ffff", "2001:db8::1:0", "2001:db8::1:1"]
    assert {k.family for k in keys} == {socket.AF_INET6}


def test_with_a_mark_all_addresses_of_a_family_are_one_service() -> None:
    six = GroupMember("2001:db8::1", "2001:db8::ffff", 80, family="inet6")
    keys = plan.keys(replace(GROUP, members=(*MEMBERS, six)), 1000)
    assert [str(k) for k in keys] == ["fwmark 1000/inet", "fwmark 7/inet", "fwmark 1000/inet6"]


def test_all_services_have_the_same_destinations_through_failure_and_recovery() -> None:
    vs = replace(GROUP, quorum=4, sorry_server=SorryServer(ip="192.0.2.9", port=0, inhibit=True))
    p = plan.start(vs, [True, True])
    a, b, sorry = DestKey(A.ip, 80), DestKey(B.ip, 80), DestKey("192.0.2.9", 0)
    good = {a: Dest(Forward.NAT, 3), b: Dest(Forward.NAT, 1), sorry: Dest(Forward.NAT, 0)}
    assert wanted(p) == dict.fromkeys(plan.keys(vs), ServiceRow(Service("wrr"), good))
    p, effects = plan.step(p, {1: False})
    assert [type(e).__name__ for e in effects] == ["ServerChanged", "QuorumChanged"]  # once, however many services
    # The quorum is lost: live servers leave, the one with inhibit_on_failure keeps its connections, sorry takes over.
    bad = {b: Dest(Forward.NAT, 0), sorry: Dest(Forward.NAT, 1)}
    assert wanted(p) == dict.fromkeys(plan.keys(vs), ServiceRow(Service("wrr"), bad))
    p, _ = plan.step(p, {1: True})
    assert wanted(p) == dict.fromkeys(plan.keys(vs), ServiceRow(Service("wrr"), good))


def test_hysteresis_and_alpha_count_for_the_group_as_a_whole() -> None:
    vs = replace(GROUP, alpha=True, quorum=3, hysteresis=1)
    p = plan.start(vs, [False, False])
    assert not p.quorum
    p, _ = plan.step(p, {0: True})
    assert not p.quorum  # 3 < 3 + 1
    p, _ = plan.step(p, {1: True})
    assert p.quorum
    p, _ = plan.step(p, {1: False})
    assert p.quorum  # 3 >= 3 - 1


def test_the_granularity_is_that_of_the_groups_own_family() -> None:
    six = GroupMember("2001:db8::1", "2001:db8::1", 80, family="inet6")
    vs = replace(GROUP, members=(MEMBERS[1], six), persistence_timeout_s=60, persistence_prefix=24)
    rows = wanted(plan.start(vs, [True, True]))
    assert [row.service.netmask for row in rows.values()] == [24, 128]


@pytest.mark.parametrize(
    ("tunnel", "expected"),
    [
        (Tunnel(), (TunnelType.IPIP, 0, 0)),
        (Tunnel("gue", 6080, "remcsum"), (TunnelType.GUE, 6080, 2)),
        (Tunnel("gre", 0, "csum"), (TunnelType.GRE, 0, 1)),
    ],
)
def test_tunnels(tunnel: Tunnel, expected: tuple[int, int, int]) -> None:
    real = replace(A, forward="TUN", tunnel=tunnel)
    sorry = SorryServer(ip="192.0.2.9", port=80, forward="TUN", tunnel=tunnel, inhibit=True)
    vs = replace(GROUP, real_servers=(real,), sorry_server=sorry)
    for dest in plan.row(plan.start(vs, [True])).dests.values():
        assert (dest.tun_type, dest.tun_port, dest.tun_flags) == expected
    # Where there is no tunnel, its settings must not make a row look different from the kernel's.
    plain = replace(vs, real_servers=(replace(real, forward="NAT"),), sorry_server=None)
    assert plan.row(plan.start(plain, [True])).dests == {DestKey(A.ip, 80): Dest(Forward.NAT, 3)}


# -- adoption --


def facts_of(vs: VirtualServer, mark: int = 0) -> dict[str, object]:
    members = [[m.first_ip, m.last_ip, m.port, m.fwmark, m.family] for m in vs.members]
    return {"members": members} | ({"mark": mark} if mark else {})


def test_services_of_a_predecessors_group_are_known_by_its_members() -> None:
    other = v4("203.0.113.77", 80)
    kernel = {key: ServiceRow(Service("rr"), {}) for key in (*plan.keys(GROUP), other)}
    assert once_ours({"virtual_servers": {GROUP.key: facts_of(GROUP)}}, kernel) == set(plan.keys(GROUP))
    marked = {key: ServiceRow(Service("rr"), {}) for key in (*plan.keys(GROUP, 1000), other)}
    previous = {"virtual_servers": {GROUP.key: facts_of(GROUP, 1000)}}
    assert once_ours(previous, marked) == set(plan.keys(GROUP, 1000))
    assert marks(previous) == {GROUP.key: 1000}


def test_any_service_of_the_group_tells_health() -> None:
    dests = {DestKey(A.ip, 80): Dest(Forward.NAT, 3)}
    for key in plan.keys(GROUP):
        seen = adopted(GROUP, {}, {key: ServiceRow(Service("wrr"), dests)})
        assert dict(seen.up) == {A.key: True, B.key: False}
    assert adopted(GROUP, {}, {ServiceKey(socket.AF_INET, 0, fwmark=1000): ServiceRow(Service("wrr"), dests)}).up == {}
    marked = {ServiceKey(socket.AF_INET, 0, fwmark=1000): ServiceRow(Service("wrr"), dests)}
    assert dict(adopted(GROUP, {}, marked, mark=1000).up) == {A.key: True, B.key: False}
