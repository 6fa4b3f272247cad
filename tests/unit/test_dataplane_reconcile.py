"""reconcile: result, order and idempotence in random walks against the kernel model; and the special cases."""

from __future__ import annotations

import random
import socket

import pytest

from fastha.dataplane.reconcile import BLOCK, HANDFUL, describe, reconcile, same_service
from fastha.dataplane.rows import (
    Dest,
    DestKey,
    Forward,
    Op,
    Service,
    ServiceFlag,
    ServiceKey,
    ServiceRow,
    TunnelType,
    Verb,
)
from oracles import ipvs_random
from oracles.ipvs_kernel import KernelModel

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.1", 80)
OTHER = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.9", 80)
NAT1 = Dest(Forward.NAT, 1)


def dests(*weights: int) -> dict[DestKey, Dest]:
    return {DestKey(f"10.2.{i >> 8}.{i & 255}", 80): Dest(Forward.NAT, w) for i, w in enumerate(weights)}


def alive(row: ServiceRow | None) -> bool:
    return row is not None and any(d.weight > 0 for d in row.dests.values())


@pytest.mark.parametrize("seed", range(60))
def test_walk(seed: int) -> None:
    """Wanted on owned keys, foreign rows untouched, never empty in between, nothing left to do."""
    print("seed", seed)
    rng = random.Random(seed)
    kernel = KernelModel()
    foreign_keys, ours = ipvs_random.KEYS[:2], ipvs_random.KEYS[2:]
    kernel.load(ipvs_random.table(rng, foreign_keys))
    foreign = kernel.table()
    for _ in range(12):
        if rng.random() < 0.3:  # somebody else's hand in our rows
            for key, row in ipvs_random.table(rng, ours, most=4).items():
                kernel.services[key] = row.service
                kernel.dests |= {(key, k): d for k, d in row.dests.items()}
        wanted, actual = ipvs_random.table(rng, ours), kernel.table()
        lasting = [key for key in wanted if alive(wanted[key]) and alive(actual.get(key))]
        ops = reconcile(wanted, actual, ours)
        for op in ops:
            assert kernel.play(op) == 0, describe(op)
            assert all(kernel.live(key) for key in lasting), describe(op)
            assert op.key not in foreign_keys
        now = kernel.table()
        assert now.keys() == wanted.keys() | foreign.keys()
        for key, row in wanted.items():
            assert same_service(row.service, now[key].service)
            assert now[key].dests == row.dests
        assert {key: now[key] for key in foreign} == foreign
        assert reconcile(wanted, now, ours) == []


@pytest.mark.parametrize("seed", range(40))
def test_large_services_in_any_order(seed: int) -> None:
    """Exactly what differs, whether the two are in one order (blocks are passed over then) or not."""
    print("seed", seed)
    rng = random.Random(seed)
    keys = [DestKey(f"10.2.{i >> 8}.{i & 255}", 80) for i in range(rng.choice([1, BLOCK, BLOCK + 1, 5 * BLOCK + 7]))]
    some = [Dest(Forward.NAT, weight) for weight in range(4)]
    actual = {key: rng.choice(some[:2]) for key in keys if rng.random() > 0.05}
    wanted = {key: actual.get(key, some[0]) for key in keys if key in actual or rng.random() < 0.5}
    for key in rng.sample(keys, rng.randint(0, min(9, len(keys)))):
        if wanted.pop(key, None) is None or rng.random() < 0.5:
            wanted[key] = rng.choice(some)  # at the end
    if rng.random() < 0.5:
        wanted = {key: wanted[key] for key in keys if key in wanted}
    ops = reconcile({KEY: ServiceRow(Service("rr"), wanted)}, {KEY: ServiceRow(Service("rr"), dict(actual))}, [KEY])
    for op in ops:
        assert op.dest_key is not None
        if op.verb is Verb.DEL_DEST:
            del actual[op.dest_key]
            continue
        assert op.dest is not None
        assert actual.get(op.dest_key) != op.dest
        assert (op.verb is Verb.NEW_DEST) is (op.dest_key not in actual)
        actual[op.dest_key] = op.dest
    assert actual == wanted


def test_equal_tables_need_nothing() -> None:
    table = {KEY: ServiceRow(Service("mh"), dests(*[1] * 100))}
    assert not reconcile(table, {KEY: ServiceRow(Service("mh"), dests(*[1] * 100))}, ())
    assert reconcile(table, {KEY: ServiceRow(Service("mh"), dests(*[1] * 99))}, ())


def test_only_what_changed_is_touched() -> None:
    actual = {KEY: ServiceRow(Service("rr"), dests(1, 1, 1)), OTHER: ServiceRow(Service("rr"), dests(1))}
    wanted = {KEY: ServiceRow(Service("rr"), dests(1, 3, 1)), OTHER: ServiceRow(Service("rr"), dests(1))}
    assert reconcile(wanted, actual, ()) == [
        Op(Verb.SET_DEST, KEY, dest_key=DestKey("10.2.0.1", 80), dest=Dest(Forward.NAT, 3))
    ]


def test_removing_a_service_is_one_operation_and_comes_last() -> None:
    actual = {OTHER: ServiceRow(Service("rr"), dests(*[1] * 500))}
    ops = reconcile({KEY: ServiceRow(Service("rr"), dests(1))}, actual, {OTHER})
    assert [op.verb for op in ops] == [Verb.NEW_SERVICE, Verb.NEW_DEST, Verb.DEL_SERVICE]


def test_foreign_service_stays_but_a_wanted_one_is_taken_over() -> None:
    actual = {KEY: ServiceRow(Service("rr"), dests(1)), OTHER: ServiceRow(Service("rr"), dests(1))}
    ops = reconcile({KEY: ServiceRow(Service("wlc"), dests(1))}, actual, owned=())
    assert ops == [Op(Verb.SET_SERVICE, KEY, Service("wlc"))]


@pytest.mark.parametrize("scheduler", ["mh", "wrr"])
def test_many_new_destinations_arrive_under_rr(scheduler: str) -> None:
    service = Service(scheduler, int(ServiceFlag.SCHED1))
    ops = reconcile({KEY: ServiceRow(service, dests(*[1] * 50))}, {}, ())
    assert ops[0] == Op(Verb.NEW_SERVICE, KEY, Service("rr", int(ServiceFlag.SCHED1)))
    assert ops[-1] == Op(Verb.SET_SERVICE, KEY, service)
    assert {op.verb for op in ops[1:-1]} == {Verb.NEW_DEST}
    assert len(ops) == 52


@pytest.mark.parametrize(("scheduler", "count"), [("mh", HANDFUL), ("wlc", 50), ("sh", 50)])
def test_no_detour_without_gain(scheduler: str, count: int) -> None:
    ops = reconcile({KEY: ServiceRow(Service(scheduler), dests(*[1] * count))}, {}, ())
    assert ops[0] == Op(Verb.NEW_SERVICE, KEY, Service(scheduler))
    assert len(ops) == count + 1


def test_a_service_with_traffic_never_detours() -> None:
    actual = {KEY: ServiceRow(Service("mh"), dests(1))}
    ops = reconcile({KEY: ServiceRow(Service("mh"), dests(*[1] * 50))}, actual, ())
    assert {op.verb for op in ops} == {Verb.NEW_DEST}


def test_a_costly_scheduler_is_set_last_and_left_first() -> None:
    rr, mh = ServiceRow(Service("rr"), dests(1)), ServiceRow(Service("mh"), dests(1, 1, 1))
    assert [op.verb for op in reconcile({KEY: mh}, {KEY: rr}, ())] == [Verb.NEW_DEST, Verb.NEW_DEST, Verb.SET_SERVICE]
    assert [op.verb for op in reconcile({KEY: rr}, {KEY: mh}, ())] == [Verb.SET_SERVICE, Verb.DEL_DEST, Verb.DEL_DEST]


def test_weight_moves_before_it_leaves() -> None:
    """One destination takes over from another: at no moment both are at 0."""
    ops = reconcile({KEY: ServiceRow(Service("rr"), dests(0, 1))}, {KEY: ServiceRow(Service("rr"), dests(1, 0))}, ())
    assert [op.dest.weight for op in ops if op.dest] == [1, 0]


@pytest.mark.parametrize(
    ("wanted", "actual", "same"),
    [
        (Service("rr"), Service("rr", flags=0x2), True),  # IP_VS_SVC_F_HASHED is the kernel's own
        (Service("rr"), Service("rr", flags=0x4), False),
        (Service("rr", netmask=32), Service("rr", netmask=24, timeout_s=9), True),  # not persistent: never read
        (Service("rr", 1, 300, 32), Service("rr", 3, 300, 32), True),
        (Service("rr", 1, 300, 32), Service("rr", 3, 300, 24), False),
        (Service("rr", 1, 300, 32), Service("rr", 3, 360, 32), False),
        (Service("rr", pe_name="sip"), Service("rr"), False),
        (Service("rr"), Service("wrr"), False),
    ],
)
def test_what_counts_in_a_service(wanted: Service, actual: Service, same: bool) -> None:
    assert same_service(wanted, actual) is same


def test_describe_names_the_row() -> None:
    first = DestKey("10.2.0.1", 80)
    assert describe(Op(Verb.NEW_DEST, KEY, dest_key=first, dest=NAT1)) == (
        "add destination 10.2.0.1:80 to 10.0.0.1:80/tcp (NAT, weight 1)"
    )
    assert describe(Op(Verb.DEL_DEST, KEY, dest_key=first)) == "remove destination 10.2.0.1:80 from 10.0.0.1:80/tcp"
    assert describe(Op(Verb.DEL_SERVICE, KEY)) == "remove service 10.0.0.1:80/tcp"
    assert describe(Op(Verb.NEW_SERVICE, KEY, Service("sh", 0x11, 300, 24, "sip"))) == (
        "add service 10.0.0.1:80/tcp (sh, persistent 300 s /24, flags 0x10, pe sip)"
    )


def test_a_tunnel_is_described() -> None:
    key = ServiceKey(2, 6, "10.0.0.1", 80)
    gue = Dest(Forward.TUN, 1, tun_type=TunnelType.GUE, tun_port=6080, tun_flags=1)
    op = Op(Verb.SET_DEST, key, None, DestKey("10.2.0.1", 80), gue)
    assert describe(op) == "change destination 10.2.0.1:80 of 10.0.0.1:80/tcp (TUN, weight 1, gue port 6080 flags 0x1)"
