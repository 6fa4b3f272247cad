"""The reactor as Python sees it, on pipes and socketpairs."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from fastha.loop.reactor import Reactor, Timer

MS = 1_000_000
S = 1_000_000_000
IN, OUT = select.EPOLLIN, select.EPOLLOUT


Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor that gives up after 20 s instead of hanging."""
    r = Reactor()

    def too_long() -> None:
        raise TimeoutError("the loop did not stop")

    r.call_later(20 * S, too_long)
    yield r
    r.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    with a, b:
        yield a, b


def let_time_pass(reactor: Reactor, when_ns: int) -> None:
    """Wait outside the loop, so that several timers are due in one turn."""
    while reactor.now_ns() < when_ns:
        select.select([], [], [], 0.001)


def test_timers_run_in_order_and_never_early(reactor: Reactor) -> None:
    start = reactor.now_ns()
    seen: list[tuple[int, int]] = []
    for delay in (30, 10, 20, 10):
        reactor.call_later(delay * MS, lambda delay=delay: seen.append((delay, reactor.now_ns())))  # type: ignore[misc]
    reactor.call_later(40 * MS, reactor.stop)
    reactor.run()
    assert [delay for delay, _ in seen] == [10, 10, 20, 30]
    assert all(at - start >= delay * MS for delay, at in seen)


def test_the_loop_sleeps_instead_of_spinning(reactor: Reactor) -> None:
    reactor.call_later(200 * MS, reactor.stop)
    before = reactor.turns
    reactor.run()
    assert reactor.turns - before < 20


def test_past_deadlines_run_soon_and_in_order(reactor: Reactor) -> None:
    seen: list[str] = []
    reactor.call_at(0, lambda: seen.append("a"))
    timer = reactor.call_at(-5, lambda: seen.append("b"))
    assert isinstance(timer, Timer)
    assert timer.when_ns == -5
    assert seen == []
    reactor.call_at(1, reactor.stop)
    reactor.run()
    assert seen == ["a", "b"]
    assert reactor.take_lag_ns() < 10 * S  # not the age of the machine


def test_cancel(reactor: Reactor) -> None:
    seen: list[int] = []
    timers = [reactor.call_later(MS, lambda i=i: seen.append(i)) for i in range(4)]  # type: ignore[misc]

    def first() -> None:
        timers[2].cancel()  # due already, not yet run

    reactor.call_at(0, first)
    timers[0].cancel()
    timers[0].cancel()
    reactor.call_later(5 * MS, reactor.stop)
    let_time_pass(reactor, timers[3].when_ns + MS)
    reactor.run()
    assert seen == [1, 3]
    timers[1].cancel()  # ran long ago


def test_a_timer_that_rearms_at_once_does_not_starve_descriptors(pair: Pair, reactor: Reactor) -> None:
    a, b = pair
    runs = 0

    def again() -> None:
        nonlocal runs
        runs += 1
        if runs == 50:
            b.send(b"x")
        reactor.call_at(0, again)

    def readable(events: int) -> None:
        a.recv(10)
        reactor.stop()

    reactor.add(a.fileno(), IN, readable)
    again()
    reactor.run()
    reactor.remove(a.fileno())
    assert runs < 1000


def test_ten_thousand_timers_run_in_the_order_of_their_ticks(reactor: Reactor) -> None:
    start = reactor.now_ns() + S  # time enough to arm them all first
    seen: list[int] = []
    for i in range(10_000):
        when = start + i * 7919 % 10_000 * 10_000
        reactor.call_at(when, lambda when=when: seen.append(-(-when // 65536)))  # type: ignore[misc]
    assert reactor.now_ns() < start
    reactor.call_at(start + 101 * MS, reactor.stop)
    reactor.run()
    assert len(seen) == 10_000
    assert seen == sorted(seen)


def test_descriptors_report_their_events(pair: Pair, reactor: Reactor) -> None:
    a, b = pair
    got: list[object] = []

    def on_a(events: int) -> None:
        if events & OUT:
            got.append("writable")
            reactor.modify(a.fileno(), IN)
            b.send(b"hello")
        if events & IN:
            got.append(a.recv(100))
            b.close()
            reactor.modify(a.fileno(), select.EPOLLRDHUP)
        if events & (select.EPOLLHUP | select.EPOLLRDHUP):
            got.append("hung up")
            reactor.remove(a.fileno())
            reactor.stop()

    reactor.add(a.fileno(), OUT, on_a)
    reactor.run()
    assert got == ["writable", b"hello", "hung up"]


def test_refusals(pair: Pair, reactor: Reactor) -> None:
    fd = pair[0].fileno()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        reactor.add(987654, IN, print)
    for call in (lambda: reactor.remove(fd), lambda: reactor.modify(fd, IN)):
        with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
            call()
    reactor.add(fd, IN, print)
    with pytest.raises(OSError, match=os.strerror(errno.EEXIST)):
        reactor.add(fd, IN, print)
    reactor.remove(fd)
    with open(__file__) as regular, pytest.raises(OSError, match=os.strerror(errno.EPERM)):
        reactor.add(regular.fileno(), IN, print)


def test_a_handler_may_remove_and_close_another_that_is_ready_too(reactor: Reactor) -> None:
    """Whichever of two ready descriptors comes first removes the other; its number is reused at once."""
    one, two, three = socket.socketpair(), socket.socketpair(), socket.socketpair()
    called: list[str] = []
    strangers: list[int] = []

    def handler(mine: socket.socket, other: socket.socket, name: str) -> None:
        called.append(name)
        mine.recv(1)
        number = other.fileno()
        reactor.remove(number)
        other.close()
        # the same number is somebody else now: readable never, writable not asked for
        os.dup2(three[0].fileno(), number, inheritable=False)
        strangers.append(number)
        reactor.add(number, IN, lambda events: called.append("stranger"))
        reactor.call_later(20 * MS, reactor.stop)

    reactor.add(one[0].fileno(), IN, lambda e: handler(one[0], two[0], "one"))
    reactor.add(two[0].fileno(), IN, lambda e: handler(two[0], one[0], "two"))
    one[1].send(b"x")
    two[1].send(b"x")
    reactor.run()
    assert called in (["one"], ["two"])
    for number in strangers:
        reactor.remove(number)
        os.close(number)
    for s in (*one, *two, *three):
        s.close()


def test_a_handler_may_remove_itself(pair: Pair, reactor: Reactor) -> None:
    a, b = pair
    calls: list[int] = []

    def handler(events: int) -> None:
        calls.append(events)
        reactor.remove(a.fileno())
        reactor.call_later(10 * MS, reactor.stop)

    reactor.add(a.fileno(), IN, handler)
    b.send(b"never read")
    reactor.run()
    assert calls == [IN]


def test_an_exception_comes_out_of_run_and_nothing_is_lost(pair: Pair, reactor: Reactor) -> None:
    a, b = pair
    order: list[str] = []

    def bad() -> None:
        raise LookupError("from a timer")

    def readable(events: int) -> None:
        order.append("descriptor")
        a.recv(10)

    reactor.call_at(0, bad)
    reactor.call_at(0, lambda: order.append("timer"))
    reactor.before_sleep(lambda: order.append("hook"))
    with pytest.raises(LookupError, match="from a timer"):
        reactor.run()
    assert order == []
    b.send(b"x")
    reactor.add(a.fileno(), IN, readable)
    reactor.call_later(5 * MS, reactor.stop)
    reactor.run()
    assert order[:3] in (["timer", "hook", "descriptor"], ["descriptor", "timer", "hook"])

    reactor.call_at(0, lambda: sys.exit(3))  # not only Exception
    with pytest.raises(SystemExit):
        reactor.run()


def test_hooks_run_once_per_turn_in_which_python_ran(reactor: Reactor) -> None:
    pairs = [socket.socketpair() for _ in range(5)]
    turns: list[str] = []

    for a, b in pairs:
        reactor.add(a.fileno(), IN, lambda events, a=a: turns.append(f"read {a.recv(9)!r}"))  # type: ignore[misc]
        b.send(b"x")

    def hook() -> None:
        turns.append("hook")
        if turns.count("hook") == 1:
            reactor.call_later(30 * MS, reactor.stop)

    reactor.before_sleep(hook)
    reactor.run()
    assert turns == ["read b'x'"] * 5 + ["hook"] + ["hook"]  # five descriptors; the timer that stops
    for s in (s for two in pairs for s in two):
        s.close()


def test_what_a_hook_starts_is_served_before_sleeping(reactor: Reactor) -> None:
    started = False

    def hook() -> None:
        nonlocal started
        if not started:
            started = True
            reactor.call_at(0, reactor.stop)

    reactor.before_sleep(hook)
    reactor.call_at(0, lambda: None)
    reactor.run()
    assert started


def test_stop_before_run_and_run_inside_run(reactor: Reactor) -> None:
    reactor.stop()
    reactor.run()
    errors: list[str] = []

    def nested() -> None:
        try:
            reactor.run()
        except RuntimeError as error:
            errors.append(str(error))
        reactor.stop()

    reactor.call_at(0, nested)
    reactor.run()
    assert errors == ["the reactor is already running"]


def test_lag_is_measured_and_taken(reactor: Reactor) -> None:
    reactor.call_later(MS, lambda: None)
    let_time_pass(reactor, reactor.now_ns() + 30 * MS)
    reactor.call_later(MS, reactor.stop)
    reactor.run()
    assert 29 * MS <= reactor.take_lag_ns() < 20 * S
    assert reactor.take_lag_ns() == 0


def test_closed_reactor_refuses(pair: Pair) -> None:
    r = Reactor()
    r.close()
    r.close()
    with pytest.raises(ValueError, match="closed"):
        r.run()
    with pytest.raises(OSError, match="Bad file"):
        r.call_later(0, print)
    with pytest.raises(OSError, match="Bad file"):
        r.add(pair[0].fileno(), IN, print)


def test_neither_descriptors_nor_objects_leak() -> None:
    class Callback:
        alive = 0

        def __init__(self) -> None:
            Callback.alive += 1

        def __del__(self) -> None:
            Callback.alive -= 1

        def __call__(self, *events: int) -> None: ...

    before = len(os.listdir("/proc/self/fd"))
    for closed in (True, False):
        a, b = socket.socketpair()
        r = Reactor()
        r.add(a.fileno(), IN, Callback())
        timer = r.call_later(S, Callback())
        r.call_later(S, Callback()).cancel()
        r.call_at(0, Callback())
        r.call_at(0, r.stop)
        r.before_sleep(Callback())
        r.run()
        assert Callback.alive == 3
        if closed:
            r.close()
            assert Callback.alive == 0
        a.close()
        b.close()
        del r, timer
        gc.collect()
        assert Callback.alive == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_python_signal_handlers_run_while_the_loop_sleeps(reactor: Reactor) -> None:
    """The itimer repeats, because a signal may come between the last check and the sleep (see reactor.pyx)."""
    seen: list[int] = []

    def handler(number: int, frame: object) -> None:
        seen.append(number)
        reactor.stop()

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        reactor.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert seen


def test_an_exception_of_a_signal_handler_comes_out_of_run(reactor: Reactor) -> None:
    def handler(number: int, frame: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        with pytest.raises(KeyboardInterrupt):
            reactor.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


WITHOUT_PWAIT2 = """
    import ctypes, struct, sys
    libc = ctypes.CDLL(None, use_errno=True)
    # seccomp filter: load the number of the system call; 441 (epoll_pwait2) answers ENOSYS or EPERM, all others pass
    error = int(sys.argv[1])
    code = b"".join(struct.pack("HBBI", *i) for i in [
        (0x20, 0, 0, 0), (0x15, 0, 1, 441), (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000)])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    if libc.prctl(22, 2, ctypes.byref(program)) != 0:
        sys.exit("seccomp: errno %d" % ctypes.get_errno())
    assert libc.syscall(441, -1, None, 0, None, None, 0) == -1 and ctypes.get_errno() == error

    from fastha.loop.reactor import Reactor
    r = Reactor()
    start = r.now_ns()
    late = []
    for delay_ns in (1_500_000, 10_200_000, 50_000_000):
        r.call_later(delay_ns, lambda d=delay_ns: late.append(r.now_ns() - start - d))
    r.call_later(60_000_000, r.stop)
    r.run()
    assert len(late) == 3 and min(late) >= 0, late
    assert r.turns < 40, r.turns     # rounded up: it does not spin through the last millisecond
    r.close()
    print("ok")
"""


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_without_epoll_pwait2_milliseconds_are_rounded_up(error: int) -> None:
    code = textwrap.dedent(WITHOUT_PWAIT2)
    done = subprocess.run([sys.executable, "-c", code, str(error)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr
