"""The probe engine against servers of every kind on loopback: friendly, hostile, absent."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import need
from fastha.checker import probe as native
from fastha.checker.ending import Ending
from fastha.checker.native import open_slot
from fastha.checker.request import request
from fastha.checker.verdict import Rules, Wait, next_start_ns
from fastha.model import Check, HttpCheck, HttpUrl, TcpCheck
from oracles import http_probe
from oracles.rough_server import RoughServer
from probe_bench import MS, Bench, S, closed_port
from walk.seeds import walk

OK = b"HTTP/1.1 200 OK\r\nServer: rough\r\nContent-Length: 12\r\n\r\nHello, you.\n"
OK_DIGEST = hashlib.md5(b"Hello, you.\n").hexdigest()
NOT_FOUND = b"HTTP/1.1 404 No\r\n\r\nno"
BAD_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"
OPEN_END = b"HTTP/1.0 200 OK\nServer: rough\n\nHello, you.\n"


@pytest.fixture
def bench() -> Iterator[Bench]:
    b = Bench()
    before = open_fds()
    yield b
    need.wait_until(lambda: open_fds() <= before, 5, "every descriptor of a probe is closed")
    b.close()


@pytest.fixture
def server() -> Iterator[RoughServer]:
    with RoughServer() as s:
        yield s


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def http(server: RoughServer, *paths: str, digest: str = "", timeout_ns: int = 2 * S, **more: object) -> HttpCheck:
    urls = tuple(HttpUrl(path=path, digest=digest) for path in paths)
    return HttpCheck(ip=server.ip, port=server.port, urls=urls, timeout_ns=timeout_ns, **more)  # type: ignore[arg-type]


def test_the_numbers_of_endings_are_the_same_on_both_sides() -> None:
    assert {e.name: e.value for e in Ending if e < 32} == native.ENDING_NAMES


def test_tcp(bench: Bench, server: RoughServer) -> None:
    good = TcpCheck(ip="127.0.0.1", port=server.port)
    assert bench.run([good, replace(good, port=closed_port()), good]) == [
        Ending.CONNECTED,
        Ending.REFUSED,
        Ending.CONNECTED,
    ]


def test_ipv6(bench: Bench) -> None:
    with RoughServer("::1") as server:
        check = HttpCheck(ip="::1", port=server.port, urls=(HttpUrl(path=server.say(OK), digest=OK_DIGEST),))
        bound = TcpCheck(ip="::1", port=server.port, bind_ip="::1")
        assert bench.run([check, bound]) == [Ending.ANSWERED, Ending.CONNECTED]
        assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


def test_http_endings(bench: Bench, server: RoughServer) -> None:
    def sized(body: bytes, length: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (length, body)

    stories: list[tuple[bytes, str, str, Ending]] = [
        (OK, "stall", OK_DIGEST, Ending.ANSWERED),  # Content-Length ends it
        (OK, "close", OK_DIGEST, Ending.ANSWERED),
        (OPEN_END, "close", OK_DIGEST, Ending.ANSWERED),
        (OPEN_END, "stall", OK_DIGEST, Ending.REPLY_TIMEOUT),
        (OPEN_END, "reset", "", Ending.RESET),
        (OK, "close", "0" * 32, Ending.DIGEST),
        (b"HTTP/1.0 503 Busy\r\n\r\n", "close", OK_DIGEST, Ending.STATUS),
        (b"HTTP/1.0 503 Busy\r\n", "stall", "", Ending.STATUS),  # no need to hear the rest
        (b"HTTP/1.0 204 None\r\n\r\n", "stall", "", Ending.ANSWERED),
        (b"", "close", "", Ending.SHORT),
        (b"", "reset", "", Ending.RESET),
        (b"", "stall", "", Ending.REPLY_TIMEOUT),
        (sized(b"Hello, you.\n", 13), "close", "", Ending.SHORT),  # lies: promises more
        (sized(b"Hello, you.\nand more", 12), "stall", OK_DIGEST, Ending.ANSWERED),  # lies: promises less
        (sized(b"", 0), "stall", hashlib.md5(b"").hexdigest(), Ending.ANSWERED),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "stall", "", Ending.GARBAGE),
        (os.urandom(3) * 100_000, "stall", "", Ending.GARBAGE),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 50_000, "stall", "", Ending.TOO_LONG),
        (b"HTTP/1.1 200 OK\r\nX: " + b"z" * 200_000, "stall", "", Ending.TOO_LONG),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, "stall", OK_DIGEST, Ending.ANSWERED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "close",
         hashlib.md5(b"3\r\nabc\r\n0\r\n\r\n").hexdigest(), Ending.ANSWERED),  # chunks are digested raw
    ]  # fmt: skip
    checks: list[Check] = [
        http(server, server.say(data, end), digest=digest, timeout_ns=500 * MS) for data, end, digest, _ in stories
    ]
    for (data, end, _, expected), ending in zip(stories, bench.run(checks), strict=True):
        assert ending is expected, (data[:60], end)
    need.wait_until(lambda: server.open_connections == 0, 5, "the server's connections end")


def test_a_server_that_stalls_closes_or_resets_at_every_byte(bench: Bench, server: RoughServer) -> None:
    """Nothing hangs, leaks or grows; each ending is the slow twin's."""
    checks: list[Check] = []
    expected = []
    for reply in (OK, OPEN_END):
        for at in range(len(reply) + 1):
            for end in ("stall", "close", "reset"):
                path = server.say(reply[:at], end)
                checks.append(http(server, path, digest=OK_DIGEST, timeout_ns=700 * MS))
                expected.append(http_probe.judge(reply[:at], end, ((200, 299),), bytes.fromhex(OK_DIGEST)))
    endings = bench.run(checks)
    for check, ending, wanted in zip(checks, endings, expected, strict=True):
        assert isinstance(check, HttpCheck)
        assert ending is wanted, server._replies[check.urls[0].path]
    assert set(expected) == {Ending.ANSWERED, Ending.SHORT, Ending.RESET, Ending.REPLY_TIMEOUT, Ending.DIGEST}
    need.wait_until(lambda: server.open_connections == 0, 5, "the server's connections end")


def test_a_reply_that_drips_is_judged_by_its_whole_time(bench: Bench, server: RoughServer) -> None:
    slow = http(server, server.say(OPEN_END * 20_000, "stall", pieces=1), timeout_ns=300 * MS)
    patient = http(server, server.say(OK, "stall", pieces=1), digest=OK_DIGEST)
    assert bench.run([slow, patient]) == [Ending.REPLY_TIMEOUT, Ending.ANSWERED]
    assert 300 * MS <= max(bench.took_ns.values()) < S


ENDLESS = (
    b"HTTP/1.0 200 OK\r\n\r\n" + bytes(64),
    b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n" + bytes(64),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3a\r\n" + b"x" * 58 + b"\r\n",
)


def test_an_endless_body_is_heard_for_the_time_of_its_probe(bench: Bench, server: RoughServer) -> None:
    """And not longer, whether it is digested or not; nobody else waits for it, and nothing of it is kept."""
    floods = [
        http(server, server.say(head, "flood"), digest=digest, timeout_ns=300 * MS)
        for head in ENDLESS
        for digest in ("", OK_DIGEST)
    ]
    good = [http(server, server.say(OK), digest=OK_DIGEST, timeout_ns=20 * S) for _ in range(20)]
    measure, held = allocated(), []
    for _ in range(4):
        assert bench.run([*floods, *good]) == [Ending.REPLY_TIMEOUT] * 6 + [Ending.ANSWERED] * 20
        assert all(took >= 300 * MS for took in sorted(bench.took_ns.values())[-6:])
        need.wait_until(lambda: server.open_connections == 0, 5, "the server's connections end")
        gc.collect()  # the server's, with what it was saying
        held.append(measure())
    assert held[-1] - held[0] < 256 * 1024, held


def test_what_comes_before_a_body_may_not_be_endless(bench: Bench, server: RoughServer) -> None:
    stories = [
        (b"HTTP/1.1 103 Early Hints, 32 bytes\r\n\r\n".ljust(64, b"\n"), Ending.GARBAGE),
        (b"HTTP/1.1 100 Continue\r\n" + b"X: " + b"y" * 34 + b"\r\n\r\n", Ending.TOO_LONG),  # 64 bytes each
        (
            b"HTTP/1.1 200 OK\r\n" + b"X-Header: and more and more and one more header of 64 octets..\r\n",
            Ending.TOO_LONG,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length" + b"0" * 64, Ending.TOO_LONG),
        (b"HTTP/1.1 " + b"2" * 64, Ending.TOO_LONG),
        (bytes(64), Ending.GARBAGE),
    ]
    checks: list[Check] = [http(server, server.say(data, "flood"), timeout_ns=20 * S) for data, _ in stories]
    assert bench.run(checks) == [ending for _, ending in stories]
    need.wait_until(lambda: server.open_connections == 0, 5, "the server's connections end")


def test_a_large_body(bench: Bench, server: RoughServer) -> None:
    body = os.urandom(1 << 20) * 8
    reply = b"HTTP/1.0 200 OK\r\n\r\n" + body
    check = http(server, server.say(reply), digest=hashlib.md5(body).hexdigest(), timeout_ns=20 * S)
    assert bench.run([check]) == [Ending.ANSWERED]


def test_requests(bench: Bench, server: RoughServer) -> None:
    checks = [
        replace(http(server, path), http_protocol=protocol)
        for path, protocol in ((server.say(OK), "1.0"), (server.say(OK), "1.0C"), (server.say(OK), "1.1"))
    ]
    bench.run(list(checks))
    for check in checks:
        assert request(check, check.urls[0]) in server.requests
    assert request(checks[2], HttpUrl(path="/a?b=c", virtualhost="www.example.org")) == (
        b"GET /a?b=c HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: www.example.org\r\n\r\n"
    )
    for bad in (HttpUrl(path="/a b"), HttpUrl(path="/\r\nX: y"), HttpUrl(virtualhost="a\nb")):
        with pytest.raises(ValueError, match="control character"):
            request(checks[0], bad)


def test_binding_to_an_address(bench: Bench, server: RoughServer) -> None:
    bound = TcpCheck(ip="127.0.0.1", port=server.port, bind_ip="127.0.0.9")
    assert bench.run([bound]) == [Ending.CONNECTED]
    need.wait_until(lambda: server.bind_address == "127.0.0.9", 5, "the server sees the address bound to")
    assert bench.run([replace(bound, bind_ip="192.0.2.77")]) == [Ending.NO_SOURCE]


def test_a_fixed_port_can_be_used_again_at_once_but_not_twice_at_a_time(bench: Bench, server: RoughServer) -> None:
    port = closed_port()
    bound = TcpCheck(ip="127.0.0.1", port=server.port, bind_ip="127.0.0.1", bind_port=port)
    for _ in range(5):
        assert bench.run([bound]) == [Ending.CONNECTED]
    stalling = http(server, server.say(b"", "stall"), timeout_ns=200 * MS, bind_ip="127.0.0.1", bind_port=port)
    assert sorted(bench.run([stalling, stalling])) == [Ending.REPLY_TIMEOUT, Ending.NO_PORT]


def test_no_descriptors_left_is_our_own_shortage(server: RoughServer) -> None:
    b = Bench()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    checks: list[Check] = [http(server, server.say(b"", "stall"), timeout_ns=200 * MS) for _ in range(50)]
    try:
        taken = set(map(int, os.listdir("/proc/self/fd")))
        free = [fd for fd in range(1000) if fd not in taken]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[8], hard))
        endings = Counter(b.run(checks))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert endings[Ending.NO_DESCRIPTOR] > 20
    assert set(endings) <= {Ending.NO_DESCRIPTOR, Ending.REPLY_TIMEOUT, Ending.RESET, Ending.SHORT}
    b.close()


def test_a_listener_that_does_not_accept(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        where = full.getsockname()
        filler = [socket.socket() for _ in range(3)]
        for sock in filler:
            sock.setblocking(False)
            sock.connect_ex(where)
        check = TcpCheck(ip=where[0], port=where[1], timeout_ns=200 * MS)
        assert bench.run([check]) == [Ending.CONNECT_TIMEOUT]
        for sock in filler:
            sock.close()


def test_waiting_in_order_at_the_limit(server: RoughServer) -> None:
    b = Bench(limit=3)
    path = server.say(OK, delay_s=0.01)
    most = [0]

    def watch() -> None:
        most[0] = max(most[0], b.probes.in_flight)
        assert b.probes.check() == 0
        b.reactor.call_later(MS, watch)

    watch()
    assert set(b.run([http(server, path)] * 30)) == {Ending.ANSWERED}
    assert most[0] == 3
    assert b.probes.counters()["waited"] == 27
    b.close()
    one = Bench(limit=1)
    one.run([http(server, path)] * 10)
    assert list(one.got) == sorted(one.got)  # slots were due in this order
    one.close()


def test_a_thousand_refusals_at_once_need_no_deep_stack() -> None:
    b = Bench(limit=1)
    assert set(b.run([TcpCheck(ip="127.0.0.1", port=closed_port())] * 20_000)) == {Ending.REFUSED}
    b.close()


def test_an_answer_that_came_in_time_counts_however_late_we_read_it(bench: Bench, server: RoughServer) -> None:
    """This process is stopped past the deadline, once before it even asked and once before it heard."""

    def stall() -> None:
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            pass

    bench.reactor.call_at(bench.reactor.now_ns(), stall)  # in the turn of the connect
    before_asking = http(server, server.say(OK), digest=OK_DIGEST, timeout_ns=300 * MS)
    assert bench.run([before_asking]) == [Ending.ANSWERED]
    bench.reactor.call_later(50 * MS, stall)
    before_hearing = http(server, server.say(OK, delay_s=0.1), digest=OK_DIGEST, timeout_ns=300 * MS)
    assert bench.run([before_hearing]) == [Ending.ANSWERED]


def test_a_cancelled_probe_says_nothing(bench: Bench, server: RoughServer) -> None:
    slots = [open_slot(bench.probes, http(server, server.say(b"", "stall"))) for _ in range(10)]
    bench.wanted = 99
    for slot in slots:
        bench.probes.schedule(slot, bench.reactor.now_ns())

    def cancel() -> None:
        assert bench.probes.in_flight == 10
        for slot in slots:
            bench.probes.close_slot(slot)
        assert bench.probes.check() == 0
        with pytest.raises(IndexError):
            bench.probes.stats(slots[0])
        bench.reactor.call_later(50 * MS, bench.reactor.stop)

    bench.reactor.call_later(100 * MS, cancel)
    bench.reactor.run()
    assert bench.got == {}
    assert bench.probes.counters()["cancelled"] == 10


def test_results_of_a_slot_closed_meanwhile_are_dropped(bench: Bench) -> None:
    refused = TcpCheck(ip="127.0.0.1", port=closed_port())
    slots = [open_slot(bench.probes, refused) for _ in range(3)]
    bench.wanted = 2

    def close_one() -> None:  # the answers are there, and not yet delivered
        if bench.probes.counters()["ended"] == 3:
            bench.early = lambda: None
            bench.probes.close_slot(slots[1])
            assert open_slot(bench.probes, refused) == slots[1]
            assert bench.probes.check() == 0

    bench.early = close_one
    now = bench.reactor.now_ns()
    for slot in slots:
        bench.probes.schedule(slot, now)  # one tick: they are refused in one turn
    bench.reactor.run()
    assert sorted(bench.got) == [slots[0], slots[2]]


def steady(b: Bench, checks: list[Check], seconds: float) -> None:
    slots = [open_slot(b.probes, check) for check in checks]
    b.wanted = 1  # any result ends it: there should be none
    now = b.reactor.now_ns()
    for number, slot in enumerate(slots):
        b.probes.schedule(slot, now + number * 10_000, steady=True)
    b.reactor.call_later(int(seconds * S), b.reactor.stop)
    b.reactor.run()
    assert b.got == {}
    assert b.probes.check() == 0


class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]  # fmt: skip


def allocated() -> Callable[[], int]:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("this C library has no mallinfo2")
    libc.mallinfo2.restype = Mallinfo2
    return lambda: int(libc.mallinfo2().uordblks)


def test_steady_probes_keep_their_period_and_allocate_nothing(server: RoughServer) -> None:
    b = Bench()
    path, other = server.say(OK), server.say(OK)
    checks: list[Check] = [TcpCheck(ip="127.0.0.1", port=server.port, delay_ns=20 * MS)] * 10
    checks += [http(server, path, other, digest=OK_DIGEST, delay_ns=20 * MS)] * 10
    steady(b, checks, 0.3)
    measure, grown, blocks = allocated(), [], []
    for _ in range(
        3
    ):  # the server's thread allocates too, now and then much at once: what probes took would be in each
        before, block, ended = measure(), sys.getallocatedblocks(), b.probes.counters()["ended"]
        b.reactor.call_later(S, b.reactor.stop)
        b.reactor.run()
        many = b.probes.counters()["ended"] - ended
        assert 600 <= many <= 1020  # 20 slots, 50 a second each
        grown.append(measure() - before)
        blocks.append(sys.getallocatedblocks() - block)
    assert min(grown) < 64 * 1024, grown
    assert min(blocks) < 5000, blocks
    waits = [b.probes.stats(slot) for slot in range(20)]
    assert all(checks >= 40 and failures == 0 and 0 < took < S for checks, failures, took in waits)
    counted = Counter(r.split(b" ")[1].decode() for r in server.requests)
    assert abs(counted[path] - counted[other]) <= 10  # URLs take turns
    b.close()


def test_tcp_probes_leave_no_time_wait(bench: Bench, server: RoughServer) -> None:
    bench.run([TcpCheck(ip="127.0.0.1", port=server.port)] * 500)
    port = f":{server.port:04X}"
    with open("/proc/net/tcp") as table:
        states = [line.split()[3] for line in table if port in line.split()[1] or port in line.split()[2]]
    assert states.count("06") == 0  # TCP_TIME_WAIT, include/net/tcp_states.h


def test_two_thousand_probes_end_as_the_slow_twin_says(bench: Bench, server: RoughServer) -> None:
    rng = walk("probes")
    nobody = closed_port()
    checks: list[Check] = []
    reset: set[int] = set()  # by the peer, behind its reply: which of the two is read first is the kernel's choice
    for number in range(2000):
        kind = rng.random()
        if kind < 0.3:
            checks.append(
                TcpCheck(ip="127.0.0.1", port=rng.choice([server.port, server.port, nobody]), timeout_ns=5 * S)
            )
            continue
        reply = rng.choice(
            [OK, OPEN_END, b"HTTP/1.1 404 No\r\n\r\nno", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
        )
        if rng.random() < 0.3:
            reply = reply[: rng.randrange(len(reply))]
        end = rng.choice(["close", "close", "close", "reset"])
        reset |= {number} if end == "reset" else set()
        path = server.say(reply, end, pieces=rng.choice([0, 0, 1, 10]))
        digest = rng.choice(["", OK_DIGEST, hashlib.md5(b"no").hexdigest()])
        status = rng.choice([((200, 299),), ((200, 200), (404, 404))])
        checks.append(
            HttpCheck(
                ip="127.0.0.1",
                port=server.port,
                urls=(HttpUrl(path=path, digest=digest, status=status),),
                timeout_ns=20 * S,
            )
        )
    endings = bench.run(checks, 60)

    def slowly(check: Check) -> Ending:
        if isinstance(check, TcpCheck):
            return http_probe.probe(check.ip, check.port, 20)
        url = check.urls[0]
        return http_probe.probe(check.ip, check.port, 20, request(check, url), url.status, bytes.fromhex(url.digest))

    with ThreadPoolExecutor(32) as pool:
        twins = list(pool.map(slowly, checks))
    apart = [(i, a, b) for i, (a, b) in enumerate(zip(endings, twins, strict=True)) if a != b]
    assert [found for found in apart if found[0] not in reset or Ending.RESET not in found[1:]] == []
    assert len(apart) < 20
    assert len(set(endings)) >= 7, Counter(endings)


def test_the_period_is_the_verdicts() -> None:
    rng = walk("period")
    for _ in range(1000):
        started, delay = rng.randrange(10**6), rng.randrange(1, 1000)
        now = started + rng.randrange(5000)
        rules = Rules(retry=0, retry_delay_ns=0, delay_ns=delay, poll_ns=delay)
        assert native.period_ns(started, delay, now) == next_start_ns(rules, Wait.PERIOD, started, now)


def test_the_digest_is_genhashs(server: RoughServer) -> None:
    tool = need.tool("genhash")
    path = server.say(OPEN_END.replace(b"\n", b"\r\n", 3))
    done = subprocess.run(
        [tool, "-s", "127.0.0.1", "-p", str(server.port), "-u", path],
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    digest = (done.stdout + done.stderr).strip()
    assert digest == OK_DIGEST
    b = Bench()
    assert b.run([http(server, path, digest=digest)]) == [Ending.ANSWERED]
    b.close()


UNREACHABLE = """
from test_checker_probe import Bench, Ending, TcpCheck
b = Bench()
print(b.run([TcpCheck(ip="192.0.2.1", port=80), TcpCheck(ip="2001:db8::1", port=80)]))
b.close()
"""


def test_a_network_that_is_not_there() -> None:
    """In a network namespace without routes."""
    need.root()
    tool = need.tool("unshare")
    done = subprocess.run(
        [tool, "-n", sys.executable, "-c", UNREACHABLE],
        env=os.environ | {"PYTHONPATH": f"{os.path.dirname(__file__)}:{os.path.dirname(os.path.dirname(__file__))}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.count("UNREACHABLE") == 2, done.stderr
