"""The cases every dataplane backend passes (dataplane.backend.Backend). Imported by the test files of each backend:
unit/test_none_contract.py, netns/test_nft_contract.py, vm/inside/contract.py. Each gives the fixture `kit`.

`everywhere` needs nothing but the backend; `in_a_kernel` needs rows that outlive it and others who change them.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from contextlib import suppress
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP
from typing import Protocol

import pytest

from fastha.dataplane.backend import Backend, Piecewise
from fastha.dataplane.reconcile import reconcile, same_service
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, ServiceRow, Table, Verb
from fastha.model import RealServer, VirtualServer
from oracles.ipvs_kernel import KernelModel

WEB = ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 80)
DNS = ServiceKey(AF_INET, IPPROTO_UDP, "10.1.0.100", 53)
WEB6 = ServiceKey(AF_INET6, IPPROTO_TCP, "fd01::100", 443)
KEYS = (WEB, DNS, WEB6)
SCHEDULERS = ("rr", "wrr", "sh", "mh", "wlc")


class Kit(Protocol):
    """One backend, open over an empty table."""

    backend: Backend

    def another(self) -> Backend:
        """A second opener of the same kernel's table; closed by the kit."""

    def damage(self) -> None:
        """With a tool, behind the backend: take away the first destination of WEB, and the whole service DNS."""


def live(weight: int = 1) -> Dest:
    return Dest(Forward.NAT, weight)


def to(i: int, key: ServiceKey = WEB) -> DestKey:
    return DestKey(f"fd02::{i}" if key.family == AF_INET6 else f"10.2.0.{i}", 8080)


def some() -> Table:
    return {
        WEB: ServiceRow(Service("wrr"), {to(1): live(2), to(2): live(0), to(3): live(7)}),
        DNS: ServiceRow(Service("rr"), {to(1): live()}),
        WEB6: ServiceRow(Service("sh", netmask=128), {to(i, WEB6): live(i) for i in (1, 2)}),
    }


def fill(backend: Backend, wanted: Table) -> list[Op]:
    """Everything there is counts as owned; every operation succeeds."""
    have = backend.dump()
    ops = reconcile(wanted, have, have.keys())
    assert backend.apply(ops) == [0] * len(ops)
    return ops


def assert_holds(backend: Backend, wanted: Table) -> None:
    """The dump is `wanted`, row by row, as far as IPVS itself remembers what it was told (same_service)."""
    have = backend.dump()
    assert have.keys() == wanted.keys()
    for key, row in wanted.items():
        assert same_service(row.service, have[key].service), key
        assert have[key].dests == row.dests, key


def fresh_is_empty(kit: Kit) -> None:
    assert kit.backend.dump() == {}
    assert kit.backend.counters() == {}
    assert kit.backend.apply([]) == []


def dump_is_what_was_applied(kit: Kit) -> None:
    assert fill(kit.backend, some())
    assert_holds(kit.backend, some())
    assert fill(kit.backend, some()) == []
    fill(kit.backend, {})
    assert kit.backend.dump() == {}


def the_pieces_are_the_dump(kit: Kit) -> None:
    """Of a backend that can be read in pieces; what is taken later is as it was at the first."""
    if not isinstance(kit.backend, Piecewise):
        return
    fill(kit.backend, some())
    services = kit.backend.services()
    first = next(services)
    pieces = {key: ServiceRow(service, kit.backend.dests(key)) for key, service in (first, *services)}
    assert pieces == kit.backend.dump()
    services = kit.backend.services()
    first = next(services)
    fill(kit.backend, {})
    assert kit.backend.dump() == {}
    assert dict((first, *services)).keys() == some().keys()
    with suppress(OSError):
        assert kit.backend.dests(WEB) == {}


def dump_is_a_copy(kit: Kit) -> None:
    fill(kit.backend, some())
    for row in kit.backend.dump().values():
        row.dests.clear()
    kit.backend.dump().clear()
    assert_holds(kit.backend, some())


def every_verb(kit: Kit) -> None:
    """One apply for each, so that each is seen to do its own work and nothing else."""
    wanted = some()

    def does(op: Op) -> None:
        assert kit.backend.apply([op]) == [0]
        assert_holds(kit.backend, wanted)

    fill(kit.backend, wanted)
    wanted[WEB].dests[to(4)] = live(5)
    does(Op(Verb.NEW_DEST, WEB, dest_key=to(4), dest=live(5)))
    wanted[WEB].dests[to(1)] = live(9)
    does(Op(Verb.SET_DEST, WEB, dest_key=to(1), dest=live(9)))
    del wanted[WEB].dests[to(3)]
    does(Op(Verb.DEL_DEST, WEB, dest_key=to(3)))
    wanted[WEB].service = Service("sh")
    does(Op(Verb.SET_SERVICE, WEB, Service("sh")))
    del wanted[DNS]
    does(Op(Verb.DEL_SERVICE, DNS))
    wanted[DNS] = ServiceRow(Service("wrr"), {})
    does(Op(Verb.NEW_SERVICE, DNS, Service("wrr")))


def wrong_operations_get_their_errno(kit: Kit) -> None:
    """EEXIST, ENOENT, ESRCH as IPVS gives them; what stands beside them is done."""
    missing = ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.99", 80)
    ops = {
        Op(Verb.NEW_DEST, WEB, dest_key=to(1), dest=live()): errno.ESRCH,
        Op(Verb.SET_SERVICE, WEB, Service("rr")): errno.ESRCH,
        Op(Verb.NEW_SERVICE, WEB, Service("rr")): 0,
        Op(Verb.NEW_SERVICE, WEB, Service("wrr")): errno.EEXIST,
        Op(Verb.SET_DEST, WEB, dest_key=to(1), dest=live()): errno.ENOENT,
        Op(Verb.DEL_DEST, WEB, dest_key=to(1)): errno.ENOENT,
        Op(Verb.NEW_DEST, WEB, dest_key=to(1), dest=live(3)): 0,
        Op(Verb.NEW_DEST, WEB, dest_key=to(1), dest=live(4)): errno.EEXIST,
        Op(Verb.DEL_SERVICE, missing): errno.ESRCH,
        Op(Verb.DEL_DEST, missing, dest_key=to(1)): errno.ESRCH,
        Op(Verb.NEW_DEST, WEB, dest_key=to(2), dest=Dest(Forward.NAT, 1, 1, 2)): errno.ERANGE,
        Op(Verb.NEW_DEST, WEB, dest_key=to(3), dest=live(6)): 0,
    }
    assert kit.backend.apply(list(ops)) == list(ops.values())
    assert_holds(kit.backend, {WEB: ServiceRow(Service("rr"), {to(1): live(3), to(3): live(6)})})


def operations_count_in_their_order(kit: Kit) -> None:
    add, take = Op(Verb.NEW_DEST, WEB, dest_key=to(1), dest=live()), Op(Verb.DEL_DEST, WEB, dest_key=to(1))
    begin, end = Op(Verb.NEW_SERVICE, WEB, Service("rr")), Op(Verb.DEL_SERVICE, WEB)
    heavier = Op(Verb.SET_DEST, WEB, dest_key=to(1), dest=live(4))
    ops = [begin, add, take, take, add, heavier, end, end, add, begin, heavier, add]
    wrong = {3: errno.ENOENT, 7: errno.ESRCH, 8: errno.ESRCH, 10: errno.ENOENT}
    assert kit.backend.apply(ops) == [wrong.get(i, 0) for i in range(len(ops))]
    assert_holds(kit.backend, {WEB: ServiceRow(Service("rr"), {to(1): live()})})


def walks_like_the_model(kit: Kit) -> None:
    """Random operations, most of them wrong, in applies of random length: result by result the kernel's model."""
    seed = 20
    print("seed", seed)
    rng, model = random.Random(seed), KernelModel()
    for _ in range(12):
        ops = [_any_op(rng) for _ in range(rng.choice((1, 5, 40)))]
        assert kit.backend.apply(ops) == [model.play(op) for op in ops]
        assert_holds(kit.backend, model.table())


def _any_op(rng: random.Random) -> Op:
    verb, key = rng.choice([*Verb, Verb.NEW_DEST, Verb.NEW_SERVICE]), rng.choice(KEYS)
    if verb in (Verb.NEW_SERVICE, Verb.SET_SERVICE):
        return Op(verb, key, Service(rng.choice(SCHEDULERS), netmask=128 if key.family == AF_INET6 else 32))
    if verb is Verb.DEL_SERVICE:
        return Op(verb, key)
    dest = None if verb is Verb.DEL_DEST else live(rng.choice((0, 1, 2, 5, 300)))
    return Op(verb, key, dest_key=to(rng.randint(1, 4), key), dest=dest)


def new_rows_have_counted_nothing(kit: Kit) -> None:
    fill(kit.backend, some())
    places = {(key, str(d)) for key, row in some().items() for d in row.dests} | {(key, "") for key in some()}
    counted = kit.backend.counters()
    assert counted.keys() <= places
    assert all(n == 0 for one in counted.values() for n in one.values())


def an_ordinary_server_is_not_refused(kit: Kit) -> None:
    real = RealServer(ip="10.2.0.1", port=80)
    assert kit.backend.refuse(VirtualServer(ip="10.1.0.100", port=80, scheduler="rr", real_servers=(real,))) == ""


def closing_twice_is_once(kit: Kit) -> None:
    kit.backend.close()
    kit.backend.close()


def closing_leaves_the_rows(kit: Kit) -> None:
    fill(kit.backend, some())
    kit.backend.close()
    assert_holds(kit.another(), some())


def a_second_opener_adopts(kit: Kit) -> None:
    """It finds nothing to do; what it changes, the first one sees."""
    fill(kit.backend, some())
    successor = kit.another()
    assert fill(successor, some()) == []
    wanted = some()
    wanted[WEB] = ServiceRow(Service("wrr"), {to(9): live(9)})
    del wanted[DNS]
    fill(successor, wanted)
    assert_holds(kit.backend, wanted)


def rows_of_others_show_and_stay(kit: Kit) -> None:
    """What a second opener added is foreign to the first one's wanted rows: it is dumped, and left alone."""
    foreign = some()
    fill(kit.another(), {DNS: foreign[DNS]})
    wanted = {WEB: some()[WEB]}
    ops = reconcile(wanted, kit.backend.dump(), ())
    assert {op.key for op in ops} == {WEB}
    assert kit.backend.apply(ops) == [0] * len(ops)
    assert_holds(kit.backend, wanted | {DNS: foreign[DNS]})


def damage_is_seen_and_repaired(kit: Kit) -> None:
    fill(kit.backend, some())
    kit.damage()
    ops = reconcile(some(), kit.backend.dump(), some().keys())
    assert {WEB, DNS} <= {op.key for op in ops}
    assert kit.backend.apply(ops) == [0] * len(ops)
    assert_holds(kit.backend, some())
    assert reconcile(some(), kit.backend.dump(), ()) == []


Case = Callable[[Kit], None]
EVERYWHERE: tuple[Case, ...] = (
    fresh_is_empty, dump_is_what_was_applied, the_pieces_are_the_dump, dump_is_a_copy, every_verb,
    wrong_operations_get_their_errno, operations_count_in_their_order, walks_like_the_model,
    new_rows_have_counted_nothing, an_ordinary_server_is_not_refused, closing_twice_is_once,
)  # fmt: skip
IN_A_KERNEL: tuple[Case, ...] = (
    closing_leaves_the_rows, a_second_opener_adopts, rows_of_others_show_and_stay, damage_is_seen_and_repaired,
)  # fmt: skip
everywhere = pytest.mark.parametrize("case", EVERYWHERE, ids=lambda case: case.__name__)
in_a_kernel = pytest.mark.parametrize("case", IN_A_KERNEL, ids=lambda case: case.__name__)
