"""Conversations with servers that stall, close, reset, lie, flood and drip at every byte they say. Every check ends in
time, with an ending of its own, and nothing is left: no descriptor, no timer, no memory."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import need
from fastha.checker.ending import GOOD, OURS, Ending
from fastha.loop.reactor import Reactor
from fastha.model import Check, GrpcCheck, HttpCheck, HttpUrl, Networked, Regex, SmtpCheck, SslCheck, Tls
from oracles.hostile_proxy import ENDS, HostileProxy
from oracles.real_servers import GrpcServer, certificates, exim, grpc_health, nginx
from oracles.talks import TalkBench
from walk.seeds import walk

MS = 1_000_000
LOCAL = "127.0.0.1"
PAGE = b"all is well\n" * 20
URL = HttpUrl(path="/page", regex=Regex(pattern="all is well"), digest=hashlib.md5(PAGE).hexdigest())
SPEAKS_AT_ONCE = 256


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def web(certs: Path) -> Iterator[dict[str, int]]:
    with nginx(certs) as (root, ports):
        (root / "www" / "page").write_bytes(PAGE)
        yield ports


@pytest.fixture(scope="module")
def health(certs: Path) -> Iterator[GrpcServer]:
    with grpc_health(certs) as server:
        yield server


@pytest.fixture(scope="module")
def mail() -> Iterator[int]:
    with exim("smtp_accept_max = 0") as port:
        yield port


def ruin(check: Networked, upstream: int, rng: random.Random, step: int) -> Counter[tuple[str, Ending]]:
    """Ask once for each way to end and each `step`th byte; how they ended."""
    found: Counter[tuple[str, Ending]] = Counter()
    with HostileProxy(upstream, rng) as proxy, TalkBench(SPEAKS_AT_ONCE, SPEAKS_AT_ONCE) as bench:
        whole = replace(check, port=proxy.port, timeout_ns=5000 * MS)
        for _ in range(3):
            assert bench.one(whole).ending in GOOD  # type: ignore[arg-type]
        total = proxy.most_said
        assert total > 20
        for end in ENDS:
            timeout_ms = {"stall": 400, "flood": 400, "drip": 30_000}.get(end, 8000)
            quick = replace(check, port=proxy.port, timeout_ns=timeout_ms * MS)
            # A flood takes a core for as long as it lasts, and a drip is a call for each byte: fewer of those.
            places = range(rng.randrange(step), total, step * {"flood": 20, "drip": 5}.get(end, 1))
            proxy.flooded = 0
            proxy.plans.extend((at, end) for at in places)
            for answer in bench.run([quick] * len(places), deadline_s=120):  # type: ignore[list-item]
                assert answer.ending not in OURS
                found[end, answer.ending] += 1
                late_ms = (answer.ended_ns - answer.started_ns - quick.timeout_ns) // MS
                assert late_ms < 5000, "it ends when its time is over, however much is said"
        counters = bench.talks.counters()
        assert counters["handshakes_queued"] == counters["queued"] == 0
    return found


def check_endings(found: Counter[tuple[str, Ending]], silent: bool = True) -> None:
    """`silent`: the conversation ends with what is cut off, so that no server which was cut off is well."""

    def of(end: str) -> set[Ending]:
        return {ending for (e, ending) in found if e == end}

    if silent:
        assert of("stall") == {Ending.REPLY_TIMEOUT}
        assert not of("reset") & GOOD
        assert not of("flood") & GOOD
    assert Ending.REPLY_TIMEOUT in of("stall")
    assert of("flood") - GOOD
    assert of("drip") <= GOOD, "what comes byte by byte is as good"
    assert Ending.RESET in of("reset")
    assert of("close") - GOOD


KINDS = ["http", "smtp", "ssl", "ssl12", "http2", "grpc", "grpc tls"]


def ruin_kind(kind: str, step: int, web: dict[str, int], health: GrpcServer, mail: int) -> None:
    rng = walk(f"ruin {kind}")
    tls = Tls(sni="good.test")
    check, upstream = {
        "http": (HttpCheck(ip=LOCAL, port=1, urls=(URL,)), web["plain"]),
        "smtp": (SmtpCheck(ip=LOCAL, port=1, helo_name="me.test"), mail),
        "ssl": (SslCheck(ip=LOCAL, port=1, urls=(URL,), tls=tls), web["tls"]),
        "ssl12": (SslCheck(ip=LOCAL, port=1, urls=(URL,), tls=tls), web["old"]),
        "http2": (SslCheck(ip=LOCAL, port=1, urls=(URL,), tls=tls, http2=True), web["tls"]),
        "grpc": (GrpcCheck(ip=LOCAL, port=1), health.clear),
        "grpc tls": (GrpcCheck(ip=LOCAL, port=1, tls=tls), health.tls),
    }[kind]
    found = ruin(check, upstream, rng, step)
    # The last bytes of a TLS server (close_notify), of HTTP/2 (settings acknowledged) and of SMTP (221) may come after
    # the verdict, or be dispensable: then cutting them off changes nothing.
    check_endings(found, silent=kind == "http")
    for (end, ending), count in sorted(found.items()):
        print(f"{kind}: {end:6} {ending.name:14} {count}")


@pytest.mark.root
@pytest.mark.parametrize("kind", KINDS)
def test_ruined_all_over(kind: str, web: dict[str, int], health: GrpcServer, mail: int) -> None:
    ruin_kind(kind, 29 if kind in ("ssl", "ssl12", "http2", "grpc tls") else 7, web, health, mail)


@pytest.mark.root
@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS)
def test_ruined_at_every_byte(kind: str, web: dict[str, int], health: GrpcServer, mail: int) -> None:
    ruin_kind(kind, 1, web, health, mail)


def silent_listener() -> socket.socket:
    return socket.create_server((LOCAL, 0), backlog=4096)


def test_what_waits_for_its_turn_is_not_late(web: dict[str, int]) -> None:
    """Servers that take the connection and say nothing hold all turns; the others' time does not run meanwhile."""
    with silent_listener() as deaf, TalkBench(handshakes=4) as bench:
        port = deaf.getsockname()[1]
        tls = Tls(sni="good.test")
        dead = SslCheck(ip=LOCAL, port=port, urls=(URL,), tls=tls, timeout_ns=500 * MS)
        good = SslCheck(ip=LOCAL, port=web["tls"], urls=(URL,), tls=tls, timeout_ns=400 * MS)
        answers = bench.run([dead] * 12 + [good] * 20)
        assert [a.ending for a in answers[:12]] == [Ending.REPLY_TIMEOUT] * 12
        assert [a.ending for a in answers[12:]] == [Ending.ANSWERED] * 20
        took_ms = (answers[-1].ended_ns - answers[-1].started_ns) // MS
        assert took_ms > 1200, "they did wait: three times four servers were silent for 500 ms"


def test_a_server_that_gave_up_while_we_kept_it_waiting_is_asked_again(web: dict[str, int]) -> None:
    """Its own patience may be shorter than our queue."""
    rng = walk("gave up")
    with silent_listener() as deaf, HostileProxy(web["tls"], rng) as proxy, TalkBench(handshakes=1) as bench:
        proxy.plans.append((0, "close"))
        dead = SslCheck(ip=LOCAL, port=deaf.getsockname()[1], urls=(URL,), timeout_ns=700 * MS)
        slots = [bench.talks.open(dead)]
        impatient = socket.create_server((LOCAL, 0))
        try:
            slots.append(bench.talks.open(replace(dead, port=impatient.getsockname()[1])))
            bench.reactor.call_later(300 * MS, lambda: impatient.accept()[0].close())
            first, second = bench.again(slots)
        finally:
            impatient.close()
        assert first.ending is Ending.REPLY_TIMEOUT
        assert second.ending is Ending.REPLY_TIMEOUT, "asked a second time, and that connection was not even accepted"
        for slot in slots:
            bench.talks.close_slot(slot)


def test_a_late_loop_does_not_fail_them(web: dict[str, int]) -> None:
    """This process loses the CPU for longer than the timeout: what the kernel has by then counts."""
    with TalkBench() as bench:
        good = SslCheck(ip=LOCAL, port=web["tls"], urls=(URL,), timeout_ns=150 * MS)
        plain = HttpCheck(ip=LOCAL, port=web["plain"], urls=(URL,), timeout_ns=150 * MS)
        bench.reactor.call_later(2 * MS, lambda: spin(bench.reactor, 400 * MS))
        answers = bench.run([good, plain] * 5)
        assert {a.ending for a in answers} == {Ending.ANSWERED}


def spin(reactor: Reactor, ns: int) -> None:
    end = reactor.now_ns() + ns
    while reactor.now_ns() < end:
        pass


def test_nothing_grows(web: dict[str, int], mail: int) -> None:
    """The same checks again and again, good and bad, cancelled and not: memory stays where it was."""
    tls = Tls(sni="good.test")
    checks: list[Check] = [
        SslCheck(ip=LOCAL, port=web["tls"], urls=(URL,), tls=tls),
        SslCheck(ip=LOCAL, port=web["plain"], urls=(URL,), tls=tls),
        SslCheck(ip=LOCAL, port=web["tls"], urls=(URL,), tls=tls, http2=True),
        HttpCheck(ip=LOCAL, port=web["plain"], urls=(URL,)),
        SmtpCheck(ip=LOCAL, port=web["plain"], helo_name="me.test", timeout_ns=30 * MS),
    ]
    with TalkBench() as bench:

        def turn() -> None:
            bench.run(checks * 8)
            slots = [bench.talks.open(c) for c in checks]
            for slot in slots:
                bench.talks.schedule(slot, bench.reactor.now_ns())
            bench.run(checks[:1])
            for slot in slots:  # cancelled in whatever state they are
                bench.talks.close_slot(slot)

        for _ in range(10):
            turn()
        gc.collect()
        before, objects = rss_kb(), len(gc.get_objects())
        for _ in range(25):
            turn()
        gc.collect()
        assert len(gc.get_objects()) - objects < 500
        assert rss_kb() - before < 3000
        assert bench.talks.counters()["cancelled"] > 0


def rss_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def test_no_descriptor_is_our_shortage(web: dict[str, int]) -> None:
    with TalkBench() as bench:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(int(fd) for fd in os.listdir("/proc/self/fd")) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, hard))
        try:
            held = [os.dup(0) for _ in range(used + 3 - len(os.listdir("/proc/self/fd")) + 1 - 1)]
            answers = bench.run([HttpCheck(ip=LOCAL, port=web["plain"], urls=(URL,))] * 10)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in held:
                os.close(fd)
        assert Ending.NO_DESCRIPTOR in {a.ending for a in answers}


def test_where_from() -> None:
    need.root()
    with silent_listener() as deaf, TalkBench() as bench:
        port = deaf.getsockname()[1]
        base = SmtpCheck(ip=LOCAL, port=port, helo_name="me", timeout_ns=50 * MS)
        checks = [
            replace(base, bind_ip="127.0.0.9", bind_if="lo", fwmark=7),
            replace(base, bind_ip="192.0.2.99"),
            replace(base, bind_if="nosuchif"),
            replace(base, ip="::1", port=1),
            replace(base, ip="fe80::1", bind_if="lo", port=1),
            replace(base, ip="255.255.255.255"),
        ]
        answers = bench.run(checks)
        sock, (where, _port) = deaf.accept()
        sock.close()
        assert where == "127.0.0.9"
    assert [a.ending for a in answers[:2]] == [Ending.REPLY_TIMEOUT, Ending.NO_SOURCE]
    assert answers[2].ending in (Ending.ERROR, Ending.NO_SOURCE)
    assert answers[3].ending is Ending.REFUSED
    assert answers[4].ending not in GOOD
    assert answers[5].ending in (Ending.UNREACHABLE, Ending.DENIED)
