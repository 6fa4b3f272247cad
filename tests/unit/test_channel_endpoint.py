"""The endpoint over a socketpair: back-pressure, partial frames, the peer's death, nonsense."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from fastha.channel.endpoint import READ_PORTION, Closed, Endpoint
from fastha.channel.frame import encode
from fastha.channel.messages import Message

Pair = tuple[Endpoint, Endpoint]


@pytest.fixture
def pair() -> Iterator[Pair]:
    a, b = socket.socketpair()
    parent, child = Endpoint(a, "down"), Endpoint(b, "up")
    yield parent, child
    parent.close()
    child.close()


def raw_pair() -> tuple[socket.socket, Endpoint]:
    a, b = socket.socketpair()
    return a, Endpoint(b, "down")


def drain(sender: Endpoint, receiver: Endpoint) -> list[Message]:
    """Turn by turn, as two loops would, until nothing is under way."""
    got: list[Message] = []
    while True:
        sender.flush()
        new = receiver.receive()
        if not new and not sender.wants_write():
            return got
        got += new


def test_messages_arrive_in_order_both_ways(pair: Pair) -> None:
    parent, child = pair
    child.send(type="hello", role="vrrp", pid=1)
    child.send(type="ready", generation=3)
    parent.send(type="commit", generation=3)
    assert [m["type"] for m in parent.receive()] == ["hello", "ready"]
    assert child.receive() == [{"type": "commit", "generation": 3}]
    assert child.receive() == []


def test_a_peer_that_does_not_read_costs_memory_and_no_time(pair: Pair) -> None:
    parent, child = pair
    big = {"k": "x" * 3_000_000}
    for _ in range(4):
        parent.send(type="propose", generation=1, config=big, dataplane="none", previous={})
    assert parent.wants_write()
    assert parent.queued() > 9_000_000
    got = drain(parent, child)
    assert [m["config"] for m in got] == [big] * 4
    assert parent.queued() == 0


def test_a_peer_that_never_stops_is_read_in_portions() -> None:
    # A datagram-like flood: more than one portion is waiting, one receive takes about one portion.
    frame = encode({"type": "facts", "facts": {"k": "x" * 1000}})

    class Flood:
        """A socket that always has something to read."""

        def setblocking(self, _flag: bool) -> None: ...

        def recv(self, size: int) -> bytes:
            return frame * (size // len(frame))

        def close(self) -> None: ...

    endpoint = Endpoint(Flood(), "down")  # type: ignore[arg-type]
    total = sum(len(encode(m)) for m in endpoint.receive())
    assert total <= READ_PORTION + (1 << 18)


def test_what_a_dead_peer_said_is_returned_before_its_death(pair: Pair) -> None:
    parent, child = pair
    child.send(type="ready", generation=1)
    child.send(type="committed", generation=1)
    child.close()
    assert [m["type"] for m in parent.receive()] == ["ready", "committed"]
    with pytest.raises(Closed):
        parent.receive()
    with pytest.raises(Closed):
        parent.receive()


def test_a_peer_that_dies_in_the_middle_of_a_frame() -> None:
    sock, parent = raw_pair()
    sock.sendall(encode({"type": "ready", "generation": 1}) + encode({"type": "ready", "generation": 2})[:-1])
    sock.close()
    assert [m["generation"] for m in parent.receive()] == [1]
    with pytest.raises(Closed):
        parent.receive()
    parent.close()


def test_sending_to_the_dead_is_closed_and_keeps_nothing() -> None:
    sock, parent = raw_pair()
    sock.close()
    with pytest.raises(Closed):
        parent.send(type="stop")
    assert not parent.wants_write()
    parent.close()


def test_nonsense_is_a_value_error_after_the_sense_before_it() -> None:
    sock, parent = raw_pair()
    sock.sendall(encode({"type": "ready", "generation": 1}) + encode({"type": "commit", "generation": 1}))
    first = parent.receive()  # `commit` is for the other direction
    assert [m["type"] for m in first] == ["ready"]
    for _ in range(2):
        with pytest.raises(ValueError, match="no up message 'commit'"):
            parent.receive()
    sock.close()
    parent.close()


def test_our_own_misuse_is_loud_and_queues_nothing(pair: Pair) -> None:
    parent, child = pair
    with pytest.raises(ValueError, match="no down message"):
        parent.send(type="ready", generation=1)
    with pytest.raises(ValueError, match="fields"):
        child.send(type="ready", generation=1, surplus=2)
    with socket.socket() as sock, pytest.raises(ValueError, match="direction"):
        Endpoint(sock, "sideways")
    assert not parent.wants_write()
    assert not child.wants_write()


def test_inherited_end_is_not_passed_on() -> None:
    a, b = socket.socketpair()
    b.set_inheritable(True)
    child = Endpoint.inherited(b.detach())
    assert not os.get_inheritable(child.fileno())
    child.send(type="hello", role="vrrp", pid=1)
    assert a.recv(100)
    child.close()
    a.close()
