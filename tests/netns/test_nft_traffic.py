"""Real connections through the nft dataplane: how they spread, drain, stick, and survive changes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM

import pytest

import need
from farm import CLIENTS, PORT, REAL, VIP, Farm, say
from fastha.dataplane.nft import NftBackend
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceFlag, ServiceKey, Verb
from fastha.lab.network import Network

BOTH = pytest.mark.parametrize("family", [AF_INET, AF_INET6], ids=["ip", "ip6"])


@pytest.fixture
def farm(network: Network) -> Iterator[Farm]:
    need.kernel("nft")
    with Farm(network) as farm:
        yield farm


@pytest.fixture
def backend(farm: Farm) -> Iterator[NftBackend]:
    with farm.director.entered():
        backend = NftBackend()
    yield backend
    backend.close()


def tcp(family: int = AF_INET) -> ServiceKey:
    return ServiceKey(family, IPPROTO_TCP, VIP[family], 80)


def dest(verb: Verb, key: ServiceKey, i: int, weight: int = 1) -> Op:
    to = DestKey(REAL[key.family].format(i), PORT)
    return Op(verb, key, dest_key=to, dest=None if verb is Verb.DEL_DEST else Dest(Forward.NAT, weight))


def carry(backend: NftBackend, key: ServiceKey, scheduler: str, weights: Sequence[int], flags: int = 0) -> None:
    """A service with s1, s2, ... of these weights."""
    ops = [Op(Verb.NEW_SERVICE, key, Service(scheduler, flags))]
    ops += [dest(Verb.NEW_DEST, key, i, weight) for i, weight in enumerate(weights, 1)]
    assert backend.apply(ops) == [0] * len(ops)


@BOTH
@pytest.mark.parametrize("scheduler", ["wrr", "wlc"])
def test_weights_give_exactly_proportionate_counts(
    farm: Farm, backend: NftBackend, family: int, scheduler: str
) -> None:
    carry(backend, tcp(family), scheduler, [1, 2, 3])
    assert farm.ask(60, family) == {"s1": 10, "s2": 20, "s3": 30}
    counted = {dest: n["connections"] for (_, dest), n in backend.counters().items()}
    assert counted == {str(DestKey(REAL[family].format(i), PORT)): 10 * i for i in (1, 2, 3)}


@BOTH
def test_real_servers_see_the_directors_address(farm: Farm, backend: NftBackend, family: int) -> None:
    """They have no route to the client: without masquerade there would be no answer."""
    carry(backend, tcp(family), "rr", [1])
    assert farm.answer(SOCK_STREAM, family, 80, CLIENTS[0])[1] == {AF_INET: "10.2.0.1", AF_INET6: "fd02::1"}[family]


@BOTH
def test_without_masquerade_real_servers_see_the_client(farm: Farm, backend: NftBackend, family: int) -> None:
    """They route back through the director, as with IPVS-NAT. Turned on and off while a connection stays."""
    for server in farm.servers:
        net, gate = {AF_INET: ("10.1.0.0/24", "10.2.0.1"), AF_INET6: ("fd01::/64", "fd02::1")}[family]
        server.run(["ip", "route", "add", net, "via", gate])
    client = {AF_INET: "10.1.0.10", AF_INET6: "fd01::10"}[family]
    director = {AF_INET: "10.2.0.1", AF_INET6: "fd02::1"}[family]
    ops = [Op(Verb.NEW_SERVICE, tcp(family), Service("rr", masquerade=False)), dest(Verb.NEW_DEST, tcp(family), 1)]
    assert backend.apply(ops) == [0, 0]
    assert backend.dump()[tcp(family)].service == Service("rr", masquerade=False)
    other = ServiceKey(family, IPPROTO_TCP, VIP[family], 81)
    carry(backend, other, "rr", [1])
    assert farm.answer(SOCK_STREAM, family, 80, CLIENTS[0])[1] == client
    assert farm.answer(SOCK_STREAM, family, 81, CLIENTS[0])[1] == director
    with farm.connect(family) as established:
        assert say(established)[1] == client
        assert backend.apply([Op(Verb.SET_SERVICE, tcp(family), Service("rr"))]) == [0]
        assert farm.answer(SOCK_STREAM, family, 80, CLIENTS[0])[1] == director
        assert say(established)[1] == client
        assert backend.apply([Op(Verb.SET_SERVICE, tcp(family), Service("rr", masquerade=False))]) == [0]
        assert farm.answer(SOCK_STREAM, family, 80, CLIENTS[0])[1] == client
    assert farm.from_director(family) == "s1"
    assert backend.counters()[tcp(family), str(DestKey(REAL[family].format(1), PORT))]["connections"] == 5


def test_round_robin_ignores_weights_but_zero(farm: Farm, backend: NftBackend) -> None:
    carry(backend, tcp(), "rr", [1, 5, 0])
    assert farm.ask(20) == {"s1": 10, "s2": 10}


@BOTH
def test_datagrams_spread_by_weight(farm: Farm, backend: NftBackend, family: int) -> None:
    carry(backend, ServiceKey(family, IPPROTO_UDP, VIP[family], 53), "wrr", [1, 2, 3])
    assert farm.ask_udp(30, family) == {"s1": 5, "s2": 10, "s3": 15}


@BOTH
@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_source_hash_keeps_a_client_on_its_server(farm: Farm, backend: NftBackend, family: int, scheduler: str) -> None:
    carry(backend, tcp(family), scheduler, [1, 1, 1])
    home = {source: farm.ask(4, family, source=source) for source in CLIENTS}
    assert all(len(servers) == 1 for servers in home.values())
    assert set().union(*home.values()) == {"s1", "s2", "s3"}


def test_source_hash_with_port_spreads_one_client(farm: Farm, backend: NftBackend) -> None:
    carry(backend, tcp(), "sh", [1, 1, 1], ServiceFlag.SCHED2)
    assert set(farm.ask(60)) == {"s1", "s2", "s3"}


def test_maglev_moves_only_the_clients_of_a_server_that_goes(farm: Farm, backend: NftBackend) -> None:
    carry(backend, tcp(), "mh", [1, 1, 1])
    before = {source: next(iter(farm.ask(source=source))) for source in CLIENTS}
    assert backend.apply([dest(Verb.DEL_DEST, tcp(), 2)]) == [0]
    later = {source: next(iter(farm.ask(source=source))) for source in CLIENTS}
    assert "s2" not in later.values()
    moved = [source for source in CLIENTS if later[source] != before[source] and before[source] != "s2"]
    assert len(moved) <= len(CLIENTS) // 5, (before, later)  # few of the others move (Maglev, section 5.3)


def test_a_removed_server_keeps_its_connections_and_gets_no_new_ones(farm: Farm, backend: NftBackend) -> None:
    carry(backend, tcp(), "rr", [1, 1, 1])
    with farm.connect() as one, farm.connect() as two, farm.connect() as three:
        names = [say(sock)[0] for sock in (one, two, three)]
        assert sorted(names) == ["s1", "s2", "s3"]
        assert backend.apply([dest(Verb.DEL_DEST, tcp(), 3)]) == [0]
        assert farm.ask(10) == {"s1": 5, "s2": 5}
        assert [say(sock)[0] for sock in (one, two, three)] == names
        carry(backend, ServiceKey(AF_INET, IPPROTO_TCP, VIP[AF_INET], 81), "rr", [])
        assert backend.apply([Op(Verb.DEL_SERVICE, tcp())]) == [0]
        with pytest.raises(ConnectionRefusedError):  # by the director's own stack
            farm.connect()
        assert [say(sock)[0] for sock in (one, two, three)] == names


@BOTH
def test_a_datagram_flow_leaves_a_removed_server(farm: Farm, backend: NftBackend, family: int) -> None:
    """The client keeps its port: without help connection tracking would keep it on the removed server for ever."""
    key = ServiceKey(family, IPPROTO_UDP, VIP[family], 53)
    carry(backend, key, "rr", [1, 1])
    with farm.flow(family) as one, farm.flow(family) as two:
        homes = [say(one)[0], say(two)[0]]
        assert sorted(homes) == ["s1", "s2"]
        with farm.director.entered():
            assert backend.apply([dest(Verb.DEL_DEST, key, 2), dest(Verb.NEW_DEST, key, 3)]) == [0, 0]
        staying, leaving = (one, two) if homes[0] == "s1" else (two, one)
        assert say(staying)[0] == "s1"
        assert say(leaving)[0] in ("s1", "s3")
        with farm.director.entered():
            assert backend.warnings() == []


def test_weight_zero_drains(farm: Farm, backend: NftBackend) -> None:
    carry(backend, tcp(), "wrr", [0, 1])
    assert farm.ask(5) == {"s2": 5}
    with farm.connect() as sock:
        assert say(sock)[0] == "s2"
        assert backend.apply([dest(Verb.SET_DEST, tcp(), 1, 3), dest(Verb.SET_DEST, tcp(), 2, 0)]) == [0, 0]
        assert farm.ask(6) == {"s1": 6}
        assert say(sock)[0] == "s2"


@BOTH
@pytest.mark.parametrize("weights", [[], [0]], ids=["empty", "drained"])
def test_a_service_without_servers_refuses_at_once(
    farm: Farm, backend: NftBackend, family: int, weights: list[int]
) -> None:
    carry(backend, tcp(family), "rr", weights)
    carry(backend, ServiceKey(family, IPPROTO_UDP, VIP[family], 53), "rr", weights)
    # Even where the director itself listens on that port.
    with farm.director.socket(family, SOCK_STREAM) as own:
        own.bind((VIP[family], 80))
        own.listen()
        with pytest.raises(ConnectionRefusedError):
            farm.connect(family)
        with pytest.raises(ConnectionRefusedError):
            farm.from_director(family)
    with pytest.raises(ConnectionRefusedError):
        farm.answer(SOCK_DGRAM, family, 53, CLIENTS[0])


@BOTH
def test_the_director_itself_reaches_the_service(farm: Farm, backend: NftBackend, family: int) -> None:
    carry(backend, tcp(family), "rr", [1, 1, 1])
    assert Counter(farm.from_director(family) for _ in range(6)) == {"s1": 2, "s2": 2, "s3": 2}


def test_a_real_server_on_the_director_is_counted(farm: Farm, backend: NftBackend) -> None:
    carry(backend, tcp(), "rr", [])
    with farm.director.socket(AF_INET, SOCK_STREAM) as own:
        own.bind(("10.1.0.1", PORT))
        own.listen()
        to = DestKey("10.1.0.1", PORT)
        assert backend.apply([Op(Verb.NEW_DEST, tcp(), dest_key=to, dest=Dest(Forward.NAT, 1))]) == [0]
        with farm.connect():
            accepted, peer = own.accept()
            accepted.close()
        assert peer[0] == "10.1.0.10"  # nothing to masquerade
    assert backend.counters() == {(tcp(), str(to)): {"connections": 1}}


def test_curl(farm: Farm, backend: NftBackend) -> None:
    need.tool("curl")
    carry(backend, tcp(), "wrr", [1, 2])
    url = f"http://{VIP[AF_INET]}/"
    got = Counter(farm.client.run(["curl", "-sf", "-m", "5", url]).stdout.split()[0] for _ in range(6))
    assert got == {"s1": 2, "s2": 4}


def test_changes_under_load_lose_no_request(farm: Farm, backend: NftBackend) -> None:
    """Weights change, a server goes and comes, other services are written, while a client asks without pause."""
    carry(backend, tcp(), "wrr", [1, 2, 3])
    rounds, done = 12, threading.Event()
    errors: list[OSError] = []
    answers = Counter[str]()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.update(farm.ask())
            except OSError as error:
                errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    other = ServiceKey(AF_INET, IPPROTO_TCP, VIP[AF_INET], 81)
    try:
        for i in range(rounds):
            before = answers.total()
            carry(backend, other, "mh", [1, 1])
            steps = [
                [dest(Verb.SET_DEST, tcp(), 1, i % 7)],
                [dest(Verb.DEL_DEST, tcp(), 3)],
                [dest(Verb.NEW_DEST, tcp(), 3, 4), Op(Verb.DEL_SERVICE, other)],
                [Op(Verb.SET_SERVICE, tcp(), Service("rr" if i % 2 else "wrr"))],
            ]
            for ops in steps:
                assert backend.apply(ops) == [0] * len(ops)
            need.wait_until(lambda n=before: errors or answers.total() > n + 20, 10, "the client goes on")  # type: ignore[misc]
    finally:
        done.set()
        asking.join()
    print(f"{answers.total()} requests through {rounds} rounds of 5 changes")
    assert not errors
