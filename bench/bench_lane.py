"""A backup hears 1 000 adverts and re-arms each time: the lane, and the same by the machine over the slow decoder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from fastha.loop.reactor import Reactor
from fastha.model.units import NS_PER_CS, NS_PER_S
from fastha.vrrp.lane import Lane
from fastha.vrrp.machine import Advert, Role, State, step
from fastha.vrrp.rules import Rules
from oracles import advert as slow_advert

TIMES = 1000
NOW = 1000 * NS_PER_S
GROUP = "224.0.0.18"
RULES = Rules(version=3, priority=100, own_ip=0x0A000005)
BACKUP = State(Role.BACKUP, 100, NOW, NS_PER_S, 0x0A000001)
PACKET = slow_advert.encode(
    src="10.0.0.1", dst=GROUP, version=3, vrid=7, priority=200, adver_cs=100, addresses=["10.0.0.100"]
)


@pytest.fixture
def lane() -> Iterator[Lane]:
    reactor = Reactor()
    made = Lane(reactor)
    pipe = os.pipe()
    index = made.add()
    made.configure(
        index, slot=made.add_socket(pipe[0]), listen_ip=socket.inet_aton(GROUP), version=3, vrid=7,
        own_ip=RULES.own_ip, advert_int_ns=NS_PER_S, silence_ns=RULES.silence_ns, down_adverts=3, preempt=True,
        patient=False, auth=b"", addresses=socket.inet_aton("10.0.0.100"), tx_fd=-1, frames=[],
    )  # fmt: skip
    made.load(index, list(Role).index(Role.BACKUP), 100, NOW, NS_PER_S, 0x0A000001, 200, False, False)
    yield made
    made.close()
    reactor.close()
    for fd in pipe:
        os.close(fd)


def slow_hear(times: int) -> State:
    state = BACKUP
    for i in range(times):
        verdict, fields = slow_advert.decode(PACKET)
        assert verdict == "ok"
        src = int.from_bytes(socket.inet_aton(fields["src"]), "big")
        event = Advert(fields["priority"], src, fields["adver_cs"] * NS_PER_CS)
        state, _ = step(RULES, state, event, NOW + i)
    return state


@pytest.mark.benchmark(group="lane: hear 1 000 adverts")
def bench_lane_hears(benchmark: Any, lane: Lane) -> None:
    assert lane.hear_many(0, PACKET, NOW, TIMES) == 0
    assert lane.timers(0) == (slow_hear(TIMES).deadline_ns, NS_PER_S)
    benchmark(lane.hear_many, 0, PACKET, NOW, TIMES)


@pytest.mark.benchmark(group="lane: hear 1 000 adverts")
def bench_machine_hears(benchmark: Any) -> None:
    assert slow_hear(TIMES).deadline_ns == NOW + TIMES - 1 + RULES.master_down_ns(100, NS_PER_S)
    benchmark(slow_hear, TIMES)
