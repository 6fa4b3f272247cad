"""The reactor as native rooms see it: C functions and C handlers, called through Cython's table of exported functions.

Handlers are ctypes callbacks; the reactor neither knows nor cares that they end in Python.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastha.loop import reactor as reactor_module
from fastha.loop import wheel as wheel_module
from fastha.loop.reactor import Reactor

IN = select.EPOLLIN
MS = 1_000_000
FD_HANDLER = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_int64
)  # fmt: skip
TIMER_HANDLER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


def exported(module: Any, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = module.__pyx_capi__[name]
    pointer = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(result, *arguments)(pointer)


P, INT = ctypes.c_void_p, ctypes.c_int
reactor_init = exported(reactor_module, "reactor_init", INT, P)
reactor_close = exported(reactor_module, "reactor_close", None, P)
reactor_add = exported(reactor_module, "reactor_add", INT, P, INT, ctypes.c_uint32, P, P)
reactor_modify = exported(reactor_module, "reactor_modify", INT, P, INT, ctypes.c_uint32)
reactor_remove = exported(reactor_module, "reactor_remove", INT, P, INT)
reactor_timer_kind = exported(reactor_module, "reactor_timer_kind", INT, P, P, P)
reactor_turn = exported(reactor_module, "reactor_turn", INT, P, INT)
node_init = exported(wheel_module, "node_init", None, P, ctypes.c_uint16, ctypes.c_uint32)
wheel_arm = exported(wheel_module, "wheel_arm", None, P, P, ctypes.c_int64)
WHEEL_OFFSET = 8  # reactor_t: int epfd, padding, the wheel
REACTOR_OFFSET = 24  # Reactor: object header, table of methods, reactor_t


class Native:
    """A bare reactor_t, with handlers kept alive for it."""

    def __init__(self, address: int | None = None) -> None:
        self.memory = ctypes.create_string_buffer(1 << 16)
        self.r = ctypes.addressof(self.memory) if address is None else address
        self.kept: list[Any] = []
        if address is None:
            assert reactor_init(self.r) == 0

    @classmethod
    def inside(cls, reactor: Reactor) -> Native:
        """The reactor_t in a Reactor."""
        native = cls(id(reactor) + REACTOR_OFFSET)
        epfd = ctypes.c_int.from_address(native.r).value
        assert os.readlink(f"/proc/self/fd/{epfd}") == "anon_inode:[eventpoll]"
        return native

    def add(self, fd: int, handler: Callable[[int, int, int], int], events: int = IN) -> int:
        self.kept.append(FD_HANDLER(lambda ctx, fd, events, now: handler(fd, events, now)))
        rc: int = reactor_add(self.r, fd, events, ctypes.cast(self.kept[-1], P), None)
        return rc

    def remove(self, fd: int) -> int:
        rc: int = reactor_remove(self.r, fd)
        return rc

    def turn(self, wait: bool = False) -> int:
        rc: int = reactor_turn(self.r, wait)
        return rc

    def timer_kind(self, handler: Callable[[int, int], int]) -> int:
        self.kept.append(TIMER_HANDLER(lambda ctx, node, now: handler(node, now)))
        kind: int = reactor_timer_kind(self.r, ctypes.cast(self.kept[-1], P), None)
        return kind

    def arm(self, kind: int, deadline_ns: int, node: int | None = None) -> int:
        if node is None:
            self.kept.append(ctypes.create_string_buffer(64))
            node = ctypes.addressof(self.kept[-1])
            node_init(node, kind, 0)
        wheel_arm(self.r + WHEEL_OFFSET, node, deadline_ns)
        return node


@pytest.fixture
def native() -> Iterator[Native]:
    one = Native()
    yield one
    reactor_close(one.r)
    reactor_close(one.r)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(300)]
    yield made
    for s in (s for pair in made for s in pair):
        s.close()


Pairs = list[tuple[socket.socket, socket.socket]]


def test_codes(native: Native, pairs: Pairs) -> None:
    fd = pairs[0][0].fileno()
    assert native.add(-1, lambda *_: 0) == -errno.EBADF
    assert native.add(99999, lambda *_: 0) == -errno.EBADF
    assert reactor_add(native.r, fd, IN, None, None) == -errno.EINVAL
    assert native.remove(fd) == -errno.ENOENT
    assert reactor_modify(native.r, fd, IN) == -errno.ENOENT
    assert native.add(fd, lambda *_: 0) == 0
    assert native.add(fd, lambda *_: 0) == -errno.EEXIST
    assert native.remove(fd) == 0
    kinds = [native.timer_kind(lambda *_: 0) for _ in range(17)]
    assert kinds == [*range(16), -errno.ENOSPC]


def test_all_that_has_arrived_is_heard_before_a_timer_acts(native: Native, pairs: Pairs) -> None:
    """More descriptors than one system call fetches: none of them is overtaken by a timer that is due as well."""
    order: list[str] = []
    for a, b in pairs:
        b.send(b"x")
        assert native.add(a.fileno(), lambda fd, events, now: order.append(os.read(fd, 1).decode()) or 0) == 0
    native.arm(native.timer_kind(lambda node, now: order.append("timer") or 0), 1)
    assert native.turn() == 0
    assert order == ["x"] * len(pairs) + ["timer"]


def test_removed_by_a_handler_of_the_same_batch(native: Native, pairs: Pairs) -> None:
    """The first handler removes all others and lets strangers have their numbers: no event reaches those."""
    called: list[int] = []
    strangers: set[int] = set()
    silent = socket.socketpair()

    def first(fd: int, events: int, now_ns: int) -> int:
        called.append(fd)
        for a, _ in pairs:
            number = a.fileno()
            assert native.remove(number) == 0
            if number != fd:
                os.dup2(silent[0].fileno(), number, inheritable=False)
                assert native.add(number, lambda fd, *_: strangers.add(fd) or 0) == 0
        return 0

    for a, b in pairs:
        b.send(b"x")
        assert native.add(a.fileno(), first) == 0
    for _ in range(3):
        assert native.turn() == 0
    assert len(called) == 1
    assert not strangers
    silent[1].send(b"now")
    assert native.turn() == 0
    assert strangers == {a.fileno() for a, _ in pairs} - set(called)
    for s in silent:
        s.close()


def test_add_from_a_handler_may_move_the_table(native: Native, pairs: Pairs) -> None:
    """Handlers that add descriptors while events are served: the table of descriptors grows under the loop."""
    served: list[int] = []

    def reader(fd: int, events: int, now_ns: int) -> int:
        os.read(fd, 1)
        served.append(fd)
        return 0

    def adder(fd: int, events: int, now_ns: int) -> int:
        os.read(fd, 1)
        for a, _ in pairs[2:]:
            assert native.add(a.fileno(), reader) == 0
        return 0

    for _, b in pairs:
        b.send(b"x")
    native.add(pairs[0][0].fileno(), adder)
    native.add(pairs[1][0].fileno(), reader)
    native.turn()
    native.turn()
    assert sorted(served) == sorted(a.fileno() for a, _ in pairs[1:])


def test_timers_rearm_from_their_handler_and_do_not_starve_the_turn(native: Native) -> None:
    fired: list[int] = []

    def again(node: int, now_ns: int) -> int:
        fired.append(now_ns)
        native.arm(kind, 1, node)  # always late
        return 0

    kind = native.timer_kind(again)
    native.arm(kind, 1)
    for _ in range(5):
        assert native.turn(wait=True) == 0
    assert 1 <= len(fired) <= 5
    assert fired == sorted(fired)


def busy(seconds: float) -> None:
    """A callback that is slow on purpose."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_native_work_is_done_between_slow_python_callbacks() -> None:
    """Five slow Python callbacks are ready in one turn; adverts (a descriptor, a timer) wait for one, not for five."""
    reactor = Reactor()
    native = Native.inside(reactor)
    pairs = [socket.socketpair() for _ in range(6)]
    order: list[str] = []
    a, b = pairs[5]

    def slow(fd: int) -> None:
        os.read(fd, 1)
        order.append("python")
        b.send(b"advert")
        busy(0.002)

    def slow_timer() -> None:
        order.append("python timer")
        b.send(b"advert")
        busy(0.002)

    native.add(a.fileno(), lambda fd, events, now: order.append(os.read(fd, 9).decode()) or 0)

    def beat(node: int, now_ns: int) -> int:
        if order and order[-1] != "beat":
            order.append("beat")
        native.arm(kind, now_ns + MS // 2, node)
        return 0

    kind = native.timer_kind(beat)
    native.arm(kind, 1)
    for c, d in pairs[:5]:
        d.send(b"x")
        reactor.add(c.fileno(), IN, lambda events, c=c: slow(c.fileno()))  # type: ignore[misc]
    reactor.call_at(0, slow_timer)
    reactor.call_at(1, slow_timer)
    reactor.call_later(200 * MS, reactor.stop)
    reactor.run()
    adverts = [what for what in order if what != "beat"]
    for first, second in itertools.pairwise(adverts):
        assert not (first.startswith("python") and second.startswith("python")), order
    assert adverts.count("python") == 5
    assert adverts.count("python timer") == 2
    for i, what in enumerate(order[:-2]):
        if what.startswith("python"):
            assert "beat" in order[i : i + 3], order
    reactor.close()
    for s in (s for pair in pairs for s in pair):
        s.close()


def test_a_native_handler_that_answers_1_brings_the_hooks() -> None:
    reactor = Reactor()
    native = Native.inside(reactor)
    a, b = socket.socketpair()
    queue: list[bytes] = []
    drained: list[bytes] = []

    def handler(fd: int, events: int, now_ns: int) -> int:
        data = os.read(fd, 1)
        queue.append(data)
        return data == b"!"

    def hook() -> None:
        drained.extend(queue)
        queue.clear()
        reactor.stop()

    reactor.before_sleep(hook)
    native.add(a.fileno(), handler)
    b.send(b"quiet, quiet, loud!")
    before = reactor.turns
    reactor.run()
    assert b"".join(drained) == b"quiet, quiet, loud!"  # in one go, by one hook
    assert reactor.turns - before >= len(drained)
    reactor.close()
    a.close()
    b.close()
