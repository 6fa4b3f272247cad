"""Somebody ruins the nft tables again and again under a live checker: made true each time, others' rules left alone.

Rounds and seed: FASTHA_CHAOS_ROUNDS (16), FASTHA_CHAOS_SEED.
"""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest

import need
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.model import RealServer, TcpCheck, VirtualServer
from netns.test_checker_process import Parent, _dig

MS = 10**6
ROUNDS = int(os.environ.get("FASTHA_CHAOS_ROUNDS", "16"))
SEED = int(os.environ.get("FASTHA_CHAOS_SEED", str(random.randrange(10**6))))
PERIOD_S = 10  # of reconciliation
REAL = [f"10.9.0.{i}" for i in range(1, 6)]
DEAD = "10.9.0.9"
FOREIGN = "table inet other { chain c { type filter hook input priority 0; accept; }; set s { type ipv4_addr; }; }"
BASE = ("prerouting", "output", "input", "postrouting")


def real_server(ip: str, port: int, weight: int = 1) -> RealServer:
    check = TcpCheck(ip=ip if ":" not in ip else REAL[0], port=port, delay_ns=200 * MS, warmup_ns=20 * MS, retry=0)
    return RealServer(ip=ip, port=port, weight=weight, checks=(check,))


def virtual_servers(port: int) -> list[VirtualServer]:
    reals = tuple(real_server(ip, port, i) for i, ip in enumerate([*REAL, DEAD], 1))
    v6 = tuple(real_server(f"fd09::{i}", port, i) for i in range(1, 4))
    return [
        VirtualServer(ip="10.1.0.100", port=80, scheduler="wrr", real_servers=reals),
        VirtualServer(ip="10.1.0.100", port=81, scheduler="rr", real_servers=reals[2:]),
        VirtualServer(ip="10.1.0.100", port=53, protocol="UDP", scheduler="sh", real_servers=reals[:3]),
        VirtualServer(ip="10.1.0.101", port=80, scheduler="mh", masquerade=False, real_servers=reals[:2]),
        VirtualServer(ip="10.1.0.102", port=80, scheduler="rr", real_servers=(reals[-1],)),  # nobody lives
        VirtualServer(ip="fd01::100", port=80, scheduler="wrr", family="inet6", real_servers=v6),
    ]


@dataclass
class Director:
    space: Namespace
    parent: Parent

    def nft(self, *commands: str) -> str:
        return self.space.run(["nft", "-f", "-"], stdin="\n".join(commands) + "\n").stdout

    def state(self) -> str:
        """Our tables as text, whatever the order in which the kernel lists elements and chains."""
        text = self.space.run(["nft", "-s", "list", "ruleset"]).stdout
        tables = [t for t in re.split(r"^(?=table )", text, flags=re.M) if re.match(r"table ip6? fastha ", t)]
        return "\n".join(sorted("\n".join(sorted(_sorted_elements(t).split("\n\t}\n"))) for t in tables))

    def foreign(self) -> str:
        return self.space.run(["nft", "-a", "list", "table", "inet", "other"]).stdout

    def handles(self) -> dict[str, list[str]]:
        """{chain: handles of its rules} of both tables."""
        found: dict[str, list[str]] = {}
        chain = ""
        for line in self.space.run(["nft", "-a", "list", "ruleset"]).stdout.splitlines():
            if line.startswith("\tchain "):
                chain = line.split()[1]
            elif line == "\t}":
                chain = ""
            elif chain.startswith("svc_") and (handle := re.search(r" # handle (\d+)$", line)):
                found.setdefault(chain, []).append(handle[1])
        return found


def _sorted_elements(table: str) -> str:
    def ordered(found: re.Match[str]) -> str:
        return "elements = { " + ", ".join(sorted(re.split(r",\s+", found[1].strip()))) + " }"

    return re.sub(r"elements = \{(.*?)\s\}", ordered, table, flags=re.S)


@pytest.fixture
def director(network: Network) -> Iterator[Director]:
    need.kernel("nft")
    need.tool("nft")
    space = network.namespace("director")
    space.run(["ip", "-batch", "-"], stdin="".join(f"addr add {ip}/32 dev lo\n" for ip in [*REAL, DEAD]))
    with ExitStack() as stack:
        with space.entered():
            port = _serve(stack, REAL[0], 0)
            for ip in REAL[1:]:
                _serve(stack, ip, port)
        parent = Parent(space.argv)
        stack.callback(lambda: print(parent.end().decode()[-3000:]))
        made = Director(space, parent)
        made.nft(FOREIGN)
        servers = virtual_servers(port)
        parent.configure(*servers, dataplane="nft")
        for vs in servers:
            for rs in vs.real_servers:
                place = "virtual_servers", vs.key, "real_servers", rs.key, "health"
                wanted = "down" if rs.ip == DEAD else "up"
                parent.until(lambda p=place, w=wanted: _dig(parent.picture, *p) == w, f"{rs.key} is {wanted}")  # type: ignore[misc]
        yield made


def _serve(stack: ExitStack, ip: str, port: int) -> int:
    """Accept and close connections until the stack ends; the port."""
    listening = stack.enter_context(socket.create_server((ip, port)))

    def serve() -> None:
        with suppress(OSError):
            while True:
                listening.accept()[0].close()

    thread = threading.Thread(target=serve)
    thread.start()
    stack.callback(thread.join)
    stack.callback(listening.shutdown, socket.SHUT_RDWR)
    return int(listening.getsockname()[1])


Vandal = Callable[[random.Random, Director], tuple[list[str], str]]  # commands, and the one chain they concern or ""


def _chain(rng: random.Random, director: Director) -> str:
    return rng.choice(sorted(director.handles()))


def _table(chain: str) -> str:
    return "ip6 fastha" if "fd01" in chain else "ip fastha"


def _vip(chain: str) -> str:
    _, protocol, ip, port = chain.split("_")
    return f"{ip.replace('-', ':')} . {protocol} . {port}"


def empty_a_chain(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain = _chain(rng, director)
    return [f"flush chain {_table(chain)} {chain}"], chain


def take_a_rule(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain = _chain(rng, director)
    return [f"delete rule {_table(chain)} {chain} handle {rng.choice(director.handles()[chain])}"], chain


def add_a_rule(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain = _chain(rng, director)
    rule = rng.choice(["drop", "counter accept", "meta l4proto tcp reject with tcp reset"])
    return [f"{rng.choice(['add', 'insert'])} rule {_table(chain)} {chain} {rule}"], chain


def take_a_chain(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain = _chain(rng, director)
    t = _table(chain)
    return [
        f"delete element {t} services {{ {_vip(chain)} }}",
        f"flush chain {t} {chain}",
        f"delete chain {t} {chain}",
    ], chain


def take_the_way(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain = _chain(rng, director)
    return [f"delete element {_table(chain)} services {{ {_vip(chain)} }}"], chain


def mislead(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain, t = "svc_tcp_10.1.0.100_80", "ip fastha"
    way = f"services {{ {_vip(chain)}"
    return [f"delete element {t} {way} }}", f"add element {t} {way} : goto svc_tcp_10.1.0.100_81 }}"], chain


def toggle_masquerade(rng: random.Random, director: Director) -> tuple[list[str], str]:
    chain = _chain(rng, director)
    verb = "add" if chain == "svc_tcp_10.1.0.101_80" else "delete"
    return [f"{verb} element {_table(chain)} addresses {{ {_vip(chain)} }}"], chain


def take_a_record(rng: random.Random, director: Director) -> tuple[list[str], str]:
    text = director.space.run(["nft", "list", "set", "ip", "fastha", "dests"]).stdout
    record = rng.choice(re.findall(r"(\d\S+ \. (?:tcp|udp) \. \d+ \. \S+ \. \d+)", text))
    ip, protocol, port = record.split(" . ")[:3]
    return [f"delete element ip fastha dests {{ {record} }}"], f"svc_{protocol}_{ip}_{port}"


def add_nonsense(rng: random.Random, director: Director) -> tuple[list[str], str]:
    port = rng.randint(1000, 9999)
    return rng.choice(
        [
            [f"add element ip fastha dests {{ 10.1.0.100 . tcp . {port} . 10.9.0.1 . 80 }}"],
            [f"add element ip fastha addresses {{ 10.1.0.100 . tcp . {port} }}"],
            [f"add chain ip fastha svc_tcp_10.1.0.100_{port}"],
        ]
    ), "nobody's"


def flush_a_set(rng: random.Random, director: Director) -> tuple[list[str], str]:
    return [f"flush {rng.choice(['set ip fastha dests', 'set ip6 fastha addresses', 'map ip fastha services'])}"], ""


def ruin_a_hook(rng: random.Random, director: Director) -> tuple[list[str], str]:
    hook, t = rng.choice(BASE), rng.choice(["ip fastha", "ip6 fastha"])
    more = [f"delete chain {t} {hook}"] if rng.random() < 0.5 else [f"add rule {t} {hook} drop"] * rng.randint(0, 1)
    return [f"flush chain {t} {hook}", *more], ""


def take_a_table(rng: random.Random, director: Director) -> tuple[list[str], str]:
    return [f"delete table {t}" for t in rng.choice([["ip fastha"], ["ip6 fastha"], ["ip fastha", "ip6 fastha"]])], ""


VANDALS: tuple[Vandal, ...] = (
    empty_a_chain, take_a_rule, add_a_rule, take_a_chain, take_the_way, mislead, toggle_masquerade, take_a_record,
    add_nonsense, flush_a_set, ruin_a_hook, take_a_table,
)  # fmt: skip


def test_ruined_tables_are_made_true(director: Director) -> None:
    print("seed", SEED, "rounds", ROUNDS)
    rng = random.Random(SEED)
    sound, slowest, parent = director.state(), 0.0, director.parent
    assert sound.count("chain svc_") == 6
    for number in range(ROUNDS):
        vandal = VANDALS[number] if number < len(VANDALS) else rng.choice(VANDALS)
        commands, chain = vandal(rng, director)
        if rng.random() < 0.3:  # others work beside it
            commands.append(f"add element inet other s {{ 192.0.2.{number % 250} }}")
        before = director.handles()
        print(number, commands)
        begin = time.monotonic()
        director.nft(*commands)
        foreign = director.foreign()
        parent.until(lambda: director.state() == sound, f"round {number}: {commands} is repaired", PERIOD_S + 2)
        slowest = max(slowest, time.monotonic() - begin)
        assert director.foreign() == foreign
        if chain:  # no other service was written
            after = director.handles()
            assert {c for c in before if before[c] != after[c]} <= {chain}, (number, commands)
    parent.until(lambda: _dig(parent.picture, "dataplane", "drift") >= ROUNDS, "the drift is counted")
    print(f"{ROUNDS} rounds; the slowest repair took {slowest:.2f} s; drift {parent.picture['dataplane']['drift']}")
    parent.channel.send(type="resync", ticket=1)  # before its answer come the facts of all that was done
    parent.until(lambda: parent.said("resynced"), "everything is told")
    assert parent.said("resynced")[-1]["operations"] == 0
    operations = parent.picture["dataplane"]["operations"]
    director.nft("add table inet late", "add chain inet late c")  # what others do costs nothing
    parent.hear(0.3)
    assert director.state() == sound
    assert parent.picture["dataplane"]["operations"] == operations
    assert parent.picture["dataplane"]["errors"] == 0
