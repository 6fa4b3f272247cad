"""Ten thousand native probes of all kinds against servers that change their behaviour: endings and verdicts are those
of slow twins in plain Python.

Each round draws a behaviour for every server and asks by checks of every kind; the endings are compared with those of
blocking probes, and the verdicts that grow out of them round after round with the verdict oracle's.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from fastha.checker import verdict
from fastha.checker.ending import GOOD, Ending, outcome
from fastha.checker.native import PAYLOAD
from fastha.checker.question import dns_query
from fastha.checker.request import request
from fastha.model import Check, DnsCheck, HttpCheck, HttpUrl, PingCheck, TcpCheck, UdpCheck
from oracles import http_probe
from oracles.datagrams import Datagrams, dns, echo, says, silent, slow_dns, slow_udp
from oracles.rough_server import RoughServer
from probe_bench import MS, Bench, S, closed_port
from walk.seeds import walk

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, you.\n"
DIGEST = hashlib.md5(b"Hello, you.\n").hexdigest()
REPLIES = (OK, b"HTTP/1.0 200 OK\r\n\r\nHello, you.\n", b"HTTP/1.1 404 No\r\n\r\nno", b"SSH-2.0-x\r\n", b"")
DATAGRAMS = (silent, echo, says(b"ab"), says(b""), dns(), dns(3), dns(0, (b"ID", b"none")), says(bytes(1000)))
SERVERS = 24
ROUNDS, EACH = 50, 200  # 10 000 probes
LONG = 5 * S
SHORT = 60 * MS  # for those that may get no answer: the twins wait as long


class Servers:
    """HTTP paths, and datagram servers of two families, whose behaviour `change` draws anew."""

    def __init__(self, rough: RoughServer, v4: Datagrams, v6: Datagrams) -> None:
        self.rough, self.datagrams = rough, (v4, v6)
        self.paths = [rough.say(OK) for _ in range(SERVERS)]
        self.ports = [[d.serve(silent) for _ in range(SERVERS // 2)] for d in self.datagrams]
        self.nobody = closed_port()

    def change(self, rng: random.Random) -> None:
        for path in self.paths:
            reply = rng.choice(REPLIES)
            if rng.random() < 0.2:
                reply = reply[: rng.randrange(len(reply) + 1)]
            self.rough.change(path, reply, rng.choice(["close", "close", "reset"]))
        for d, ports in zip(self.datagrams, self.ports, strict=True):
            for port in ports:
                d.change(port, rng.choice(DATAGRAMS))

    def checks(self, rng: random.Random, count: int) -> list[Check]:
        return [self._check(rng) for _ in range(count)]

    def _check(self, rng: random.Random) -> Check:
        kind = rng.random()
        if kind < 0.2:
            port = rng.choice([self.rough.port, self.nobody])
            return TcpCheck(ip="127.0.0.1", port=port, retry=rng.randrange(3), timeout_ns=LONG)
        if kind < 0.5:
            url = HttpUrl(path=rng.choice(self.paths), digest=rng.choice(["", DIGEST]))
            return HttpCheck(ip="127.0.0.1", port=self.rough.port, urls=(url,), retry=rng.randrange(3), timeout_ns=LONG)
        if kind < 0.6:
            return PingCheck(ip=rng.choice(["127.0.0.1", "::1"]), port=0, timeout_ns=LONG)
        family = rng.randrange(2)
        ip = self.datagrams[family].ip
        port = rng.choice([*self.ports[family], self.nobody])
        if kind < 0.8:
            return DnsCheck(ip=ip, port=port, retry=rng.randrange(3), timeout_ns=SHORT)
        reply, mask = rng.choice([("", ""), ("6162", "ffff"), ("6100", "ff00"), ("6170", "ffff")])
        return UdpCheck(
            ip=ip, port=port, require_reply=rng.random() < 0.7, reply=reply, mask=mask, timeout_ns=SHORT,
            min_reply_length=rng.choice([0, 0, 3]), max_reply_length=rng.choice([65535, 999]),
        )  # fmt: skip


def slowly(check: Check) -> Ending:
    """The twin of one probe."""
    if isinstance(check, TcpCheck):
        return http_probe.probe(check.ip, check.port, check.timeout_ns / S)
    if isinstance(check, HttpCheck):
        url = check.urls[0]
        digest = bytes.fromhex(url.digest)
        return http_probe.probe(check.ip, check.port, check.timeout_ns / S, request(check, url), url.status, digest)
    if isinstance(check, DnsCheck):
        return slow_dns(check.ip, check.port, check.timeout_ns / S, dns_query(check.name, check.type))
    if isinstance(check, UdpCheck):
        mask = bytes.fromhex(check.mask)
        wanted = (bytes.fromhex(check.reply), mask, check.min_reply_length, check.max_reply_length)
        return slow_udp(check.ip, check.port, check.timeout_ns / S, PAYLOAD, wanted if check.require_reply else None)
    return Ending.ANSWERED  # PING: this kernel answers itself


class SlowVerdict:
    """The rules in words: while up `retry` further failures are forgiven, the first answer of all decides at once."""

    def __init__(self, retry: int) -> None:
        self.retry, self.known, self.up, self.missed = retry, False, True, 0

    def hear(self, good: bool) -> None:
        if good:
            self.up, self.missed = True, 0
        elif not self.known or not self.up or self.missed == self.retry:
            self.up, self.missed = False, 0
        else:
            self.missed += 1
        self.known = True


def test_probes_and_verdicts_are_the_slow_twins() -> None:
    rng = walk("native probes")
    seen: Counter[tuple[str, Ending]] = Counter()
    with RoughServer() as rough, Datagrams() as v4, Datagrams("::1") as v6, closing(Bench(limit=64)) as bench:
        servers = Servers(rough, v4, v6)
        checks = servers.checks(rng, EACH)
        states = [verdict.start(check) for check in checks]
        twins = [SlowVerdict(check.retry) for check in checks]
        with ThreadPoolExecutor(32) as pool:
            for round_ in range(ROUNDS):
                servers.change(rng)
                endings = bench.run(checks, 60)
                slow = list(pool.map(slowly, checks))
                # What got no answer may have been too slow for its short time on a busy machine: a twin each is asked.
                late = [i for i, e in enumerate(endings) if e is not slow[i] and timed_out(e, slow[i])]
                for i in late:
                    again = bench.run([checks[i]])[0]
                    endings[i], slow[i] = (again, slowly(checks[i]))
                assert endings == slow, f"round {round_}"
                for i, (check, ending) in enumerate(zip(checks, endings, strict=True)):
                    seen[check.kind, ending] += 1
                    states[i], _ = verdict.step(verdict.rules(check), states[i], outcome(ending))
                    twins[i].hear(slow[i] in GOOD)
                    assert states[i].up == twins[i].up, (round_, check)
    assert {kind for kind, _ in seen} == {"TCP_CHECK", "HTTP_GET", "UDP_CHECK", "DNS_CHECK", "PING_CHECK"}
    assert len(seen) >= 17, seen
    assert sum(seen.values()) == 10_000


def timed_out(*endings: Ending) -> bool:
    return bool({Ending.REPLY_TIMEOUT, Ending.SILENT} & set(endings))
