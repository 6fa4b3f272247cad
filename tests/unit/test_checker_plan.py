"""Rows and quorum of a virtual server."""

from __future__ import annotations

import socket
from dataclasses import replace

from fastha.checker import plan
from fastha.checker.adoption import Adopted, adopted, once_ours
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow
from fastha.model import RealServer, Script, SorryServer, VirtualServer

A = RealServer(ip="192.0.2.1", port=80, weight=3)
B = RealServer(ip="192.0.2.2", port=80, weight=1, inhibit_on_failure=True, forward="DR")
VS = VirtualServer(ip="203.0.113.1", port=80, real_servers=(A, B), scheduler="wrr")
KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "203.0.113.1", 80)


def weights(p: plan.Plan) -> dict[str, int]:
    return {key.ip: dest.weight for key, dest in plan.row(p).dests.items()}


def test_live_servers_with_their_weights_and_how_they_are_reached() -> None:
    row = plan.row(plan.start(replace(VS, real_servers=(A, replace(B, uthreshold=9, lthreshold=4))), [True, True]))
    assert row.dests == {
        DestKey("192.0.2.1", 80): Dest(Forward.NAT, 3),
        DestKey("192.0.2.2", 80): Dest(Forward.DR, 1, 9, 4),
    }


def test_a_failed_server_leaves_or_is_inhibited() -> None:
    assert weights(plan.start(VS, [False, False])) == {"192.0.2.2": 0}


def test_the_sorry_server_serves_while_there_is_no_quorum() -> None:
    vs = replace(VS, quorum=4, sorry_server=SorryServer(ip="192.0.2.9", port=80))
    p = plan.start(vs, [True, True])
    assert weights(p) == {"192.0.2.1": 3, "192.0.2.2": 1}
    p, _ = plan.step(p, {1: False})
    assert not p.quorum
    assert weights(p) == {"192.0.2.2": 0, "192.0.2.9": 1}
    p, _ = plan.step(p, {1: True})
    assert weights(p) == {"192.0.2.1": 3, "192.0.2.2": 1}


def test_without_a_sorry_server_those_that_live_go_on() -> None:
    p, _ = plan.step(plan.start(replace(VS, quorum=4), [True, True]), {1: False})
    assert not p.quorum
    assert weights(p) == {"192.0.2.1": 3, "192.0.2.2": 0}


def test_an_inhibited_sorry_server_stays_with_weight_0() -> None:
    vs = replace(VS, sorry_server=SorryServer(ip="192.0.2.9", port=80, inhibit=True))
    assert weights(plan.start(vs, [True, True]))["192.0.2.9"] == 0
    assert weights(plan.start(vs, [False, False]))["192.0.2.9"] == 1


def test_a_sorry_server_that_is_a_real_server_too() -> None:
    vs = replace(VS, sorry_server=SorryServer(ip=A.ip, port=A.port, inhibit=True))
    assert weights(plan.start(vs, [True, True]))[A.ip] == 3
    assert weights(plan.start(vs, [False, False]))[A.ip] == 1


def test_alpha_starts_without_quorum_and_must_gain_it() -> None:
    vs = replace(VS, alpha=True, quorum=2, hysteresis=1)
    p = plan.start(vs, [False, False])
    assert not p.quorum
    assert plan.step(p, {0: True})[0].quorum


def test_a_quorum_that_was_lost_can_come_back_even_if_hysteresis_asks_for_too_much() -> None:
    vs = replace(VS, quorum=4, hysteresis=3)
    p, _ = plan.step(plan.start(vs, [True, True]), {0: False, 1: False})
    assert not p.quorum
    assert plan.step(p, {0: True, 1: True})[0].quorum


def test_scheduler_flags_and_persistence() -> None:
    vs = replace(VS, scheduler="sh", scheduler_flags=("sh-port", "sh-fallback"), persistence_timeout_s=50)
    assert plan.service(vs) == Service("sh", flags=0x01 | 0x08 | 0x10, timeout_s=50, netmask=32)
    vs = replace(VS, scheduler_flags=("ops", "flag-3"), persistence_timeout_s=1, persistence_prefix=24)
    assert plan.service(replace(vs, persistence_engine="sip")) == Service("wrr", 0x25, 1, 24, "sip")
    assert plan.service(replace(VS, ip="2001:db8::1", family="inet6")).netmask == 128


def test_keys_are_written_like_the_virtual_server_itself() -> None:
    for vs in (
        VS,
        replace(VS, protocol="UDP"),
        replace(VS, protocol="SCTP"),
        replace(VS, ip="2001:db8::1", family="inet6"),
        VirtualServer(fwmark=7),
        VirtualServer(fwmark=7, family="inet6"),
    ):
        assert str(plan.key(vs)) == vs.key


def test_omega_says_farewell_for_what_was_up() -> None:
    down = Script(("down",))
    vs = replace(VS, omega=True, quorum_down=Script(("lost",)), real_servers=(replace(A, notify_down=down), B))
    said = [e.script.argv[0] for e in plan.farewell(plan.start(vs, [True, True]))]
    assert said == ["down", "lost"]
    assert plan.farewell(plan.start(replace(vs, omega=False), [True, True])) == ()
    assert plan.farewell(plan.start(vs, [False, False])) == ()


# -- adoption --


def test_health_of_the_predecessor_counts_before_the_kernels() -> None:
    servers = {A.key: {"health": "down"}, B.key: {"health": "unknown", "in_table": 1, "weight": 1}}
    facts = {"virtual_servers": {VS.key: {"up": False, "real_servers": servers}}}
    kernel = {KEY: ServiceRow(Service("wrr"), {DestKey(A.ip, 80): Dest(Forward.NAT, 3)})}
    assert adopted(VS, facts, kernel) == Adopted({A.key: False}, False)


def test_one_without_an_answer_that_was_kept_out_stays_out() -> None:
    for row, up in (({}, False), ({"in_table": 0, "weight": 3}, False)):
        facts = {"virtual_servers": {VS.key: {"up": True, "real_servers": {A.key: {"health": "unknown", **row}}}}}
        assert adopted(VS, facts, {}) == Adopted({A.key: up}, True)
    facts = {"virtual_servers": {VS.key: {"real_servers": {A.key: {"health": "unknown", "in_table": 0, "weight": 0}}}}}
    assert adopted(VS, facts, {}) == Adopted({}, None)


def test_the_kernels_rows_tell_health() -> None:
    zero = RealServer(ip="192.0.2.3", port=80, weight=0)
    vs = replace(VS, real_servers=(A, B, zero))
    row = {DestKey(B.ip, 80): Dest(Forward.DR, 0), DestKey(zero.ip, 80): Dest(Forward.NAT, 0)}
    assert adopted(vs, {}, {KEY: ServiceRow(Service("wrr"), row)}) == Adopted(
        {A.key: False, B.key: False, zero.key: True}, True
    )
    assert adopted(vs, {}, {}) == Adopted()


def test_a_sorry_server_in_the_kernel_means_no_quorum() -> None:
    vs = replace(VS, sorry_server=SorryServer(ip="192.0.2.9", port=80, inhibit=True))
    row = {DestKey("192.0.2.9", 80): Dest(Forward.NAT, 1)}
    assert adopted(vs, {}, {KEY: ServiceRow(Service("wrr"), row)}).quorum is False
    row[DestKey("192.0.2.9", 80)] = Dest(Forward.NAT, 0)
    assert adopted(vs, {}, {KEY: ServiceRow(Service("wrr"), row)}).quorum is True


def test_adopting_changes_no_row() -> None:
    vs = replace(VS, sorry_server=SorryServer(ip="192.0.2.9", port=80, inhibit=True), quorum=4)
    for up in ([True, True], [True, False], [False, True], [False, False]):
        row = plan.row(plan.start(vs, up))
        seen = adopted(vs, {}, {KEY: row})
        again = plan.start(vs, [seen.up[rs.key] for rs in vs.real_servers], seen.quorum)
        assert plan.row(again) == row


def test_services_of_a_predecessor_are_known_by_name() -> None:
    other = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "203.0.113.9", 80)
    kernel = {KEY: ServiceRow(Service("rr"), {}), other: ServiceRow(Service("rr"), {})}
    assert once_ours({"virtual_servers": {VS.key: {}}}, kernel) == {KEY}
