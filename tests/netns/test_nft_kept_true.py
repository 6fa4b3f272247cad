"""The nft dataplane's rows in a real kernel: exact, atomic, adopted, repaired, and gone without a trace."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP

import pytest

import need
from farm import Farm, say
from fastha.dataplane.choose import open_backend
from fastha.dataplane.nft import NftBackend
from fastha.dataplane.nft_library import Library
from fastha.dataplane.reconcile import reconcile
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceFlag, ServiceKey, ServiceRow, Table, Verb
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import RealServer, VirtualServer

SCHEDULERS = "rr wrr sh dh mh fo lc wlc sed nq".split()


@pytest.fixture
def space(network: Network) -> Namespace:
    need.kernel("nft")
    return network.namespace("nft")


@pytest.fixture
def backend(space: Namespace) -> Iterator[NftBackend]:
    backend = opened(space)
    yield backend
    backend.close()


def opened(space: Namespace) -> NftBackend:
    with space.entered():
        return NftBackend()


def make_true(backend: NftBackend, wanted: Table) -> list[Op]:
    """What reconcile found to do; all of it succeeds."""
    have = backend.dump()
    ops = reconcile(wanted, have, have.keys())
    assert backend.apply(ops) == [0] * len(ops)
    return ops


def row(family: int, scheduler: str, *weights: int, flags: int = 0) -> ServiceRow:
    ip = {AF_INET: "10.2.0.1{}", AF_INET6: "fd02::1{}"}[family]
    dests = {DestKey(ip.format(i), 8080): Dest(Forward.NAT, weight) for i, weight in enumerate(weights, 1)}
    return ServiceRow(Service(scheduler, flags), dests)


def colourful() -> Table:
    """Every scheduler, protocol and family; services that are empty, drained, with odd weights and flags."""
    table: Table = {}
    for port, scheduler in enumerate(SCHEDULERS, 1000):
        for family, ip in ((AF_INET, "10.1.0.100"), (AF_INET6, "fd01::100")):
            for protocol in (IPPROTO_TCP, IPPROTO_UDP):
                table[ServiceKey(family, protocol, ip, port)] = row(family, scheduler, 1, 0, 65535, 700)
                table[ServiceKey(family, protocol, ip, port + 1000)] = row(family, scheduler)
                table[ServiceKey(family, protocol, ip, port + 2000)] = row(family, scheduler, 0)
    table[ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.101", 80)] = row(AF_INET, "sh", 3, 4, flags=ServiceFlag.SCHED2)
    table[ServiceKey(AF_INET6, IPPROTO_UDP, "fd01::101", 80)] = row(AF_INET6, "mh", 3, 4, flags=ServiceFlag.SCHED2 | 8)
    table[ServiceKey(AF_INET, IPPROTO_UDP, "10.1.0.101", 80)] = ServiceRow(Service("rr", masquerade=False), {})
    table[ServiceKey(AF_INET6, IPPROTO_TCP, "::ffff:10.1.0.1", 65535)] = row(AF_INET6, "wrr", 5)
    return table


def test_dump_is_what_was_applied_and_another_process_adopts_it(space: Namespace, backend: NftBackend) -> None:
    wanted = colourful()
    assert make_true(backend, wanted)
    assert backend.dump() == wanted
    listed = space.run(["nft", "list", "ruleset"]).stdout
    successor = opened(space)
    assert successor.dump() == wanted
    assert make_true(successor, wanted) == []
    assert space.run(["nft", "list", "ruleset"]).stdout == listed
    # The successor changes a row: the first one sees it.
    key = next(iter(wanted))
    wanted[key] = row(AF_INET, "wrr", 8, 9)
    make_true(successor, wanted)
    successor.close()
    assert backend.dump() == wanted


def test_only_the_touched_service_is_rewritten(space: Namespace, backend: NftBackend) -> None:
    make_true(backend, colourful())

    def handles() -> dict[str, str]:
        text = space.run(["nft", "-a", "list", "table", "ip", "fastha"]).stdout
        chain, found = "", {}
        for line in text.splitlines():
            if line.startswith("\tchain "):
                chain = line.split()[1]
            elif "comment" in line and "svc_" in chain:
                found[chain] = line.rsplit(None, 1)[1]
        return found

    before = handles()
    key = ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 1001)
    to = next(iter(colourful()[key].dests))
    assert backend.apply([Op(Verb.SET_DEST, key, dest_key=to, dest=Dest(Forward.NAT, 77))]) == [0]
    after = handles()
    assert {name for name in before if before[name] != after[name]} == {"svc_tcp_10.1.0.100_1001"}


def test_foreign_tables_stay_and_nothing_of_ours_does(space: Namespace, backend: NftBackend) -> None:
    space.run(["nft", "add table inet other; add chain inet other c { type filter hook input priority 0; }"])
    space.run(["nft", "add table ip nat; add chain ip nat c { type nat hook prerouting priority -100; }"])
    before = space.run(["nft", "-a", "list", "ruleset"]).stdout
    make_true(backend, colourful())
    assert "fastha" in space.run(["nft", "list", "ruleset"]).stdout
    make_true(backend, {})
    assert space.run(["nft", "-a", "list", "ruleset"]).stdout == before
    assert backend.dump() == {}


def test_closing_leaves_the_rows(space: Namespace) -> None:
    backend = opened(space)
    make_true(backend, colourful())
    backend.close()
    successor = opened(space)
    assert successor.dump() == colourful()
    successor.close()


RULE = "add rule ip fastha"
CHAIN = "svc_tcp_10.1.0.100_80"
DNAT = f"flush chain ip fastha {CHAIN}; {RULE} {CHAIN} meta l4proto tcp dnat ip addr . port to"
TAMPERING = {
    "ruleset flushed": "flush ruleset",
    "table deleted": "delete table ip fastha",
    "service's rule deleted": f"flush chain ip fastha {CHAIN}",
    "service's rule doubled": f"{RULE} {CHAIN} meta l4proto tcp drop",
    "rule replaced, comment kept": f"{DNAT} "
    'numgen inc mod 2 map { 0 : 10.2.0.11 . 8080, 1 : 10.2.0.11 . 8080 } comment "COMMENT"',
    "port in rule wrong": f"{DNAT} "
    'numgen inc mod 3 map { 0 : 10.2.0.12 . 8080, 1 : 10.2.0.11 . 81, 2 : 10.2.0.12 . 8080 } comment "COMMENT"',
    "rule rejects": f'flush chain ip fastha {CHAIN}; {RULE} {CHAIN} reject with tcp reset comment "COMMENT"',
    "way to the service deleted": "delete element ip fastha services { 10.1.0.100 . tcp . 80 }",
    "way leads elsewhere": "delete element ip fastha services { 10.1.0.100 . tcp . 80 }; "
    "add element ip fastha services { 10.1.0.100 . tcp . 80 : goto svc_udp_10.1.0.100_80 }",
    "chain deleted": "delete element ip fastha services { 10.1.0.100 . tcp . 80 }; "
    f"flush chain ip fastha {CHAIN}; delete chain ip fastha {CHAIN}",
    "masquerade deleted": "delete element ip fastha addresses { 10.1.0.100 . tcp . 80 }",
    "masquerade added": "add element ip fastha addresses { 10.1.0.100 . tcp . 79 }",
    "destination's record deleted": "delete element ip fastha dests { 10.1.0.100 . tcp . 80 . 10.2.0.11 . 8080 }",
    "all records deleted": "flush set ip fastha dests",
    "a set of another type": "delete table ip fastha; add table ip fastha; "
    "add set ip fastha dests { type ipv4_addr; }; add element ip fastha dests { 10.1.0.100 }",
    "a rule we would never write": f"flush chain ip fastha {CHAIN}; {RULE} {CHAIN} dnat to "
    'symhash mod 2 map { 0 : 10.2.0.11, 1 : 10.2.0.12 } comment "COMMENT"',
    "record added": "add element ip fastha dests { 10.1.0.100 . tcp . 80 . 10.2.0.19 . 8080 "
    'comment "weight=1 uthreshold=0 lthreshold=0" }',
    "record without meaning": "add element ip fastha dests { 10.1.0.100 . tcp . 80 . 10.2.0.19 . 8080 }",
    "service of nobody": "add element ip fastha addresses { 10.1.0.100 . tcp . 443 }",
    "chain of nobody": "add chain ip fastha svc_tcp_10.1.0.100_443",
    "hook's rule deleted": "flush chain ip fastha prerouting",
    "output hook deleted": "flush chain ip fastha output; delete chain ip fastha output",
    "postrouting hook deleted": "flush chain ip fastha postrouting; delete chain ip fastha postrouting",
    "input hook deleted": "flush chain ip fastha input; delete chain ip fastha input",
    "rule before ours": "insert rule ip fastha prerouting tcp dport 80 accept",
    "other rule in a hook": "flush chain ip fastha prerouting; "
    "add rule ip fastha prerouting ip saddr . meta l4proto . th dport vmap @services",
    "hook of another priority": "flush chain ip fastha output; delete chain ip fastha output; "
    "add chain ip fastha output { type nat hook output priority -90; }; "
    "add rule ip fastha output ip daddr . meta l4proto . th dport vmap @services",
}


@pytest.mark.parametrize("commands", TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_seen_and_repaired(network: Network, commands: str) -> None:
    """Seen by the process that wrote the rows and by one that did not; repaired; and traffic flows again."""
    need.kernel("nft")
    with Farm(network) as farm:
        backend = opened(farm.director)
        wanted: Table = {
            ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 80): row(AF_INET, "wrr", 1, 2),
            ServiceKey(AF_INET, IPPROTO_UDP, "10.1.0.100", 80): row(AF_INET, "rr", 1),
            ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 79): ServiceRow(Service("rr", masquerade=False), {}),
            ServiceKey(AF_INET6, IPPROTO_TCP, "fd01::100", 80): row(AF_INET6, "rr", 1),
        }
        try:
            make_true(backend, wanted)
            sound = farm.director.run(["nft", "list", "ruleset"]).stdout
            comment = "scheduler=wrr flags=0 timeout=0 netmask=32 pe="
            farm.director.run(["nft", "-f", "-"], stdin=commands.replace("COMMENT", comment) + "\n")
            assert farm.director.run(["nft", "list", "ruleset"]).stdout != sound
            successor = opened(farm.director)
            seen = successor.dump()
            successor.close()
            assert backend.dump() == seen
            assert seen != wanted
            assert make_true(backend, wanted)
            assert backend.dump() == wanted
            assert make_true(backend, wanted) == []
            assert farm.ask(6) == {"s1": 2, "s2": 4}
            assert farm.ask_udp(2, port=80) == {"s1": 2}
            assert farm.ask(2, AF_INET6) == {"s1": 2}
            assert farm.from_director() in ("s1", "s2")
        finally:
            backend.close()


def test_repair_of_the_whole_table_keeps_established_connections(network: Network) -> None:
    need.kernel("nft")
    with Farm(network) as farm:
        backend = opened(farm.director)
        wanted: Table = {ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 80): row(AF_INET, "wrr", 1, 1)}
        make_true(backend, wanted)
        with farm.connect() as sock:
            name = say(sock)
            farm.director.run(["nft", "flush", "chain", "ip", "fastha", "output"])
            assert make_true(backend, wanted)
            assert say(sock) == name
        backend.close()


def test_one_refused_service_does_not_hold_up_the_others(space: Namespace, backend: NftBackend) -> None:
    keys = [ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", port) for port in (80, 81, 82, 83)]
    make_true(backend, {key: row(AF_INET, "rr", 1) for key in keys})
    space.run(["nft", "add chain ip fastha mine; add rule ip fastha mine jump svc_tcp_10.1.0.100_81"])
    assert backend.apply([Op(Verb.DEL_SERVICE, key) for key in keys[:3]]) == [0, errno.EBUSY, 0]
    assert backend.dump() == {key: row(AF_INET, "rr", 1) for key in (keys[1], keys[3])}
    space.run(["nft", "flush chain ip fastha mine"])
    assert backend.apply([Op(Verb.DEL_SERVICE, key) for key in (keys[1], keys[3])]) == [0, 0]
    assert "fastha" not in space.run(["nft", "list", "ruleset"]).stdout


def test_senseless_operations_get_their_errno_and_the_rest_is_done(backend: NftBackend) -> None:
    key, other = (ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", port) for port in (80, 81))
    to, live = DestKey("10.2.0.11", 80), Dest(Forward.NAT, 1)
    ops = {
        Op(Verb.NEW_DEST, key, dest_key=to, dest=live): errno.ESRCH,
        Op(Verb.NEW_SERVICE, key, Service("rr")): 0,
        Op(Verb.NEW_SERVICE, key, Service("wrr")): errno.EEXIST,
        Op(Verb.SET_DEST, key, dest_key=to, dest=live): errno.ENOENT,
        Op(Verb.NEW_DEST, key, dest_key=to, dest=Dest(Forward.DR, 1)): errno.EOPNOTSUPP,
        Op(Verb.SET_SERVICE, other, Service("rr")): errno.ESRCH,
        Op(Verb.NEW_SERVICE, other, Service("lblc")): errno.ENOENT,
    }
    assert backend.apply(list(ops)) == list(ops.values())
    assert backend.dump() == {key: ServiceRow(Service("rr"), {})}


def test_nothing_to_do_commits_nothing(space: Namespace, backend: NftBackend) -> None:
    key = ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 80)
    make_true(backend, {key: row(AF_INET, "rr", 1)})
    before = space.run(["nft", "-a", "list", "ruleset"]).stdout
    assert backend.apply([]) == []
    assert backend.apply([Op(Verb.SET_SERVICE, key, Service("rr"))]) == [0]
    assert space.run(["nft", "-a", "list", "ruleset"]).stdout == before


def test_a_change_of_others_costs_no_listing(
    space: Namespace, backend: NftBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who commits all day (containers come and go) must not make us list a large table each time."""
    wanted: Table = {ServiceKey(AF_INET, IPPROTO_TCP, "10.1.0.100", 80): row(AF_INET, "rr", 1, 1)}
    make_true(backend, wanted)
    lists = []
    run = Library.run
    monkeypatch.setattr(Library, "run", lambda self, text, **more: (lists.append(text), run(self, text, **more))[1])
    for name in ("one", "two"):
        space.run(["nft", f"add table inet {name}; add chain inet {name} c; add rule inet {name} c drop"])
    space.run(["nft", "add table ip fastha_not; add chain ip fastha_not c"])
    assert backend.dump() == wanted
    key = next(iter(wanted))
    wanted[key] = row(AF_INET, "wrr", 1, 1)
    assert backend.apply([Op(Verb.SET_SERVICE, key, Service("wrr"))]) == [0]
    assert backend.dump() == wanted
    assert not [text for text in lists if text.startswith("list")]
    # Ours among theirs is seen; so is one that went by while the queue was full.
    space.run(["nft", "add table inet three; delete element ip fastha addresses { 10.1.0.100 . tcp . 80 }"])
    space.run(["nft", "add table inet four"])
    assert backend.dump() != wanted
    make_true(backend, wanted)
    backend._generation._hearing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    space.run(["nft", "flush", "chain", "ip", "fastha", "output"])
    for i in range(40):
        space.run(["nft", f"add table inet many{i}"])
    assert backend.dump() != wanted
    make_true(backend, wanted)
    assert backend.dump() == wanted


def test_opening_leaves_no_trace(space: Namespace) -> None:
    before = space.run(["nft", "-a", "list", "ruleset"]).stdout
    with space.entered():
        backend = open_backend("nft")
    assert backend.name == "nft"
    assert backend.dump() == {}
    backend.close()
    assert space.run(["nft", "-a", "list", "ruleset"]).stdout == before == ""


def test_missing_privilege_is_one_line(space: Namespace) -> None:
    code = "import os; from fastha.dataplane.nft import NftBackend; os.setgroups([]); os.setuid(65534); NftBackend()"
    done = space.run([sys.executable, "-c", code], check=False)
    assert done.returncode
    last = done.stderr.splitlines()[-1]
    assert last == "fastha.errors.SystemFault: nft dataplane: needs CAP_NET_ADMIN (root): Operation not permitted"


def test_missing_forwarding_is_a_warning(space: Namespace, backend: NftBackend) -> None:
    real = RealServer(ip="10.2.0.11", port=80)
    server = VirtualServer(ip="10.1.0.100", port=80, real_servers=(real,))
    with space.entered():
        space.sysctl("net.ipv4.ip_forward", 0)
        assert [line.split()[0] for line in backend.warnings([server])] == ["net.ipv4.ip_forward"]
        assert backend.warnings() == []
        make_true(backend, {ServiceKey(AF_INET6, IPPROTO_TCP, "fd01::100", 80): row(AF_INET6, "rr", 1)})
        assert [line.split()[0] for line in backend.warnings()] == ["net.ipv6.conf.all.forwarding"]
        space.sysctl("net.ipv4.ip_forward", 1)
        space.sysctl("net.ipv6.conf.all.forwarding", 1)
        assert backend.warnings([server]) == []


@pytest.mark.parametrize(
    ("services", "dests", "scheduler"), [(1000, 5, "wrr"), (1, 5000, "wrr"), (1, 5000, "mh"), (1, 5000, "sh")]
)
def test_many(space: Namespace, backend: NftBackend, services: int, dests: int, scheduler: str) -> None:
    """Times are printed for people; what is asserted is that the kernel holds exactly the table."""

    def timed(what: str, begin: float) -> None:
        print(f"{services} x {dests} {scheduler}: {what} {time.perf_counter() - begin:.3f} s")

    wanted = {
        ServiceKey(AF_INET, IPPROTO_TCP, f"10.1.{i // 250}.{i % 250}", 80): ServiceRow(
            Service(scheduler),
            {DestKey(f"10.{2 + j // 60000}.{j // 250}.{j % 250}", 80): Dest(Forward.NAT, j % 7) for j in range(dests)},
        )
        for i in range(services)
    }
    begin = time.perf_counter()
    make_true(backend, wanted)
    timed("apply", begin)
    begin = time.perf_counter()
    successor = opened(space)
    assert successor.dump() == wanted
    timed("dump", begin)
    successor.close()
    key, to = next(iter(wanted)), DestKey("10.2.0.1", 80)
    wanted[key].dests[to] = Dest(Forward.NAT, 100)
    begin = time.perf_counter()
    assert backend.apply([Op(Verb.SET_DEST, key, dest_key=to, dest=Dest(Forward.NAT, 100))]) == [0]
    timed("one weight", begin)
    assert backend.dump() == wanted
    begin = time.perf_counter()
    make_true(backend, {})
    timed("remove all", begin)
    assert "fastha" not in space.run(["nft", "list", "ruleset"]).stdout
