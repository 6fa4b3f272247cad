"""1 000 Up sessions hear a packet each: the lane, and the same by the machine over the slow decoder."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fastha.bfd.lane import Lane
from fastha.bfd.machine import Packet, Session, State, detection_us, new, step
from fastha.bfd.rules import Rules
from fastha.loop.reactor import Reactor
from fastha.model.units import NS_PER_S, NS_PER_US
from fastha.wire import bfd
from oracles import bfd as slow_bfd

MANY = 1000
NOW = 1000 * NS_PER_S
RULES = Rules(min_tx_us=3_300, min_rx_us=3_300, multiplier=3)
PEERS = [bytes([10, 1, i >> 8, i & 255]) for i in range(MANY)]
PACKETS = [slow_bfd.encode(State.UP, 0, 3, 5000 + i, 1 + i, 3_300, 3_300) for i in range(MANY)]


def up(i: int) -> Session:
    return replace(
        new(RULES, 1 + i), state=State.UP, desired_us=3_300, tx_us=3_300, yours=5000 + i, remote_state=State.UP,
        remote_min_tx_us=3_300, remote_min_rx_us=3_300, remote_multiplier=3, detect_at_ns=NOW,
    )  # fmt: skip


@pytest.fixture
def lane() -> Iterator[Lane]:
    reactor = Reactor()
    made = Lane(reactor)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        made.add_socket(sock.fileno(), socket.AF_INET, False)
        for i, peer in enumerate(PEERS):
            s = up(i)
            index = made.add(mine=s.mine, family=socket.AF_INET, multihop=False, peer=peer, local=b"", least_ttl=255)
            packet = bfd.encode(s.state, 0, 3, s.mine, s.yours, s.desired_us, s.required_us)
            made.load(
                index, packet, bfd.decode(PACKETS[i])[1] | {"flags": 0}, 3_300 * NS_PER_US,  # type: ignore[arg-type]
                detection_us(s) * NS_PER_US, NOW, NOW,
            )  # fmt: skip
        yield made
        made.close()
    reactor.close()


def slow_hear(sessions: dict[int, Session]) -> None:
    for packet in PACKETS:
        verdict, f = slow_bfd.decode(packet)
        assert verdict == "ok"
        event = Packet(State(f["state"]), f["mine"], f["multiplier"], f["min_tx_us"], f["min_rx_us"], f["diag"])
        sessions[f["yours"]], _ = step(RULES, sessions[f["yours"]], event, NOW + 7)


@pytest.mark.benchmark(group="bfd: 1 000 sessions hear a packet each")
def bench_bfd_lane_hears(benchmark: Any, lane: Lane) -> None:
    assert lane.hear_all(0, PACKETS, 255, PEERS, NOW + 7) == 0
    sessions = {1 + i: up(i) for i in range(MANY)}
    slow_hear(sessions)
    assert lane.detect_at(3) == sessions[4].detect_at_ns
    benchmark(lane.hear_all, 0, PACKETS, 255, PEERS, NOW + 7)


@pytest.mark.benchmark(group="bfd: 1 000 sessions hear a packet each")
def bench_bfd_machine_hears(benchmark: Any) -> None:
    benchmark(slow_hear, {1 + i: up(i) for i in range(MANY)})
