"""Waiting for one's turn: in order, counted, without recursion."""

from __future__ import annotations

from fastha.checker.talk.turns import Queue
from walk.seeds import walk


def test_order_and_limit() -> None:
    called: list[int] = []
    queue: Queue[int] = Queue(2, called.append)
    assert [queue.enter(i) for i in range(5)] == [True, True, False, False, False]
    assert (queue.inside, queue.waiting, queue.waited) == (2, 3, 3)
    queue.leave(3)  # gives up while it waits
    queue.leave(0)
    assert called == [2]
    queue.leave(0)
    assert called == [2], "leaving twice gives one place"
    queue.leave(2)
    queue.leave(1)
    assert called == [2, 4]
    assert (queue.inside, queue.waiting) == (1, 0)


def test_thousands_that_end_at_once() -> None:
    called = []

    def call(i: int) -> None:
        called.append(i)
        queue.leave(i)

    queue: Queue[int] = Queue(1, call)
    for i in range(20_000):
        queue.enter(i)
    queue.leave(0)
    assert called == list(range(1, 20_000))
    assert queue.inside == queue.waiting == 0


def test_walk() -> None:
    rng, rounds = walk("turns"), 3000
    inside: set[int] = set()
    queue: Queue[int] = Queue(3, inside.add)
    waiting: list[int] = []
    for one in range(rounds):
        if rng.random() < 0.5:
            if queue.enter(one):
                assert not waiting
                inside.add(one)
            else:
                waiting.append(one)
        elif (known := [*inside, *waiting]) and (gone := rng.choice(known)) is not None:
            inside.discard(gone)
            queue.leave(gone)
        waiting = [w for w in waiting if w in queue._waiting]
        assert queue.inside == len(inside) <= 3
        assert inside == queue._inside
        assert waiting == list(queue._waiting)
        assert not waiting or len(inside) == 3
