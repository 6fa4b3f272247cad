"""Conversations with peers that say anything: mutated replies in pieces of any size. Nothing raises, everything ends,
and HTTP is judged as its slow twin judges it."""

from __future__ import annotations

import hashlib
import random
import ssl
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from fastha.checker.ending import GOOD, Ending
from fastha.checker.talk.body import Judge, expression
from fastha.checker.talk.grpc import Grpc
from fastha.checker.talk.http1 import Http1
from fastha.checker.talk.http2 import Http2Get
from fastha.checker.talk.smtp import Smtp
from fastha.checker.talk.talk import SAID, Talk
from fastha.checker.talk.tls import Terms, TlsTalk
from fastha.model import HttpUrl, Regex
from oracles import http_probe
from oracles.real_servers import certificates
from walk.seeds import walk

URL = HttpUrl(path="/", digest=hashlib.md5(b"all is well\n" * 20).hexdigest(), regex=Regex(pattern="is (un)?well"))
HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 240\r\n\r\n" + b"all is well\n" * 20
SMTP = b"220-mx\r\n220 ready\r\n250-hi\r\n250 hello\r\n221 bye\r\n"


def judge() -> Judge:
    return Judge(URL, expression(URL.regex))


def http2(talk: Talk, headers: list[tuple[str, str]], body: bytes, trailers: list[tuple[str, str]]) -> bytes:
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(talk.begin())
    server.send_headers(1, headers)
    server.send_data(1, body, end_stream=not trailers)
    if trailers:
        server.send_headers(1, trailers, end_stream=True)
    return server.data_to_send()


def transcripts() -> dict[str, tuple[Callable[[], Talk], bytes]]:
    """How each conversation is made, and what a well server says in it."""

    def get2() -> Http2Get:
        return Http2Get("a.test", "/", "me", judge())

    def grpc() -> Grpc:
        return Grpc("x", "a.test", "http", 10**9)

    return {
        "http": (lambda: Http1(b"GET / HTTP/1.0\r\n\r\n", judge()), HTTP),
        "smtp": (lambda: Smtp("me.test"), SMTP),
        "http2": (get2, http2(get2(), [(":status", "200")], b"all is well\n" * 20, [])),
        "grpc": (grpc, http2(grpc(), [(":status", "200"), ("content-type", "application/grpc")], b"\0\0\0\0\2\x08\1",
                             [("grpc-status", "0")])),
    }  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Some bytes flipped, inserted, taken out, repeated; or cut short; or nothing but noise."""
    out = bytearray(data)
    if rng.random() < 0.03:
        return rng.randbytes(rng.randint(0, 500))
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        at = rng.randint(0, len(out))
        match rng.randint(0, 4):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randint(0, 7)
            case 1:
                out[at:at] = rng.randbytes(rng.randint(1, 9))
            case 2:
                del out[at : at + rng.randint(1, 9)]
            case 3:
                out[at:at] = out[at : at + rng.randint(1, 100)]
            case _:
                if rng.random() < 0.3:
                    del out[at:]
    return bytes(out)


def feed(rng: random.Random, talk: Talk, data: bytes, begin: bool = True) -> int:
    """All of it in random pieces, then the end; how much was sent. There must be a verdict that can be shown."""
    sent = len(talk.begin()) if begin else 0
    at = 0
    while at < len(data) and talk.verdict is None:
        step = rng.choice([1, 2, 9, 100, 5000])
        sent += len(talk.receive(data[at : at + step]))
        at += step
    if talk.verdict is None:
        talk.end()
    assert talk.verdict is not None
    assert len(talk.verdict.text) <= 12 * SAID
    assert talk.verdict.text.isprintable()
    return sent


@pytest.mark.parametrize("kind", ["http", "smtp", "http2", "grpc"])
def test_mutated(kind: str) -> None:
    rng = walk(f"talk {kind}")
    make, data = transcripts()[kind]
    endings = set()
    for _ in range(1500):
        talk = make()
        assert feed(rng, talk, mutated(rng, data)) < 100_000
        assert talk.verdict is not None
        endings.add(talk.verdict.ending)
    assert Ending.ANSWERED in endings
    assert len(endings - GOOD) >= 2, endings


def test_http_is_judged_as_its_twin_judges_it() -> None:
    rng = walk("talk http twin")
    url = HttpUrl(path="/", digest=URL.digest)
    for _ in range(1500):
        data = mutated(rng, HTTP)
        talk = Http1(b"GET / HTTP/1.0\r\n\r\n", Judge(url))
        feed(rng, talk, data)
        assert talk.verdict is not None
        expected = http_probe.judge(data, "close", url.status, bytes.fromhex(url.digest))
        assert talk.verdict.ending is expected, data


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    where: Path = certificates(tmp_path_factory.mktemp("certs"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(where / "good.pem", where / "good.key")
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls_exchange(rng: random.Random, server: ssl.SSLContext, client: ssl.SSLContext, spoil_after: int) -> TlsTalk:
    """A handshake and a reply with a real TLS server in memory; from byte `spoil_after` on, what it says is mutated."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = server.wrap_bio(incoming, outgoing, server_side=True)
    talk = TlsTalk(client, Terms("good.test", compliant=rng.random() < 0.3), Http1(b"GET / HTTP/1.0\r\n\r\n", judge()))
    to_server, said, shaken, answered = talk.begin(), 0, False, False
    for _ in range(20):
        if talk.verdict is not None:
            break
        incoming.write(to_server)
        to_server = b""
        try:
            if not shaken:
                peer.do_handshake()
                shaken = True
            if not answered and peer.read(4096):
                peer.write(HTTP)
                answered = True
            peer.unwrap()
        except ssl.SSLError:
            pass  # it wants more, or has been told nonsense
        data = outgoing.read()
        if said + len(data) > spoil_after:
            keep = max(0, spoil_after - said)
            data = data[:keep] + mutated(rng, data[keep:])
        said += len(data)
        if not data:
            break
        at = 0
        while at < len(data) and talk.verdict is None:
            step = rng.choice([1, 50, 5000])
            to_server += talk.receive(data[at : at + step])
            at += step
    if talk.verdict is None:
        talk.end()
    return talk


def test_tls(server_context: ssl.SSLContext) -> None:
    rng = walk("talk tls")
    client = client_context()
    endings = set()
    for turn in range(300):
        talk = tls_exchange(rng, server_context, client, 10**9 if turn < 5 else rng.randint(0, 2500))
        assert talk.verdict is not None
        assert talk.verdict.text.isprintable()
        assert turn >= 5 or talk.verdict.ending is Ending.ANSWERED, talk.verdict
        endings.add(talk.verdict.ending)
    assert {Ending.TLS, Ending.ANSWERED} <= endings
    assert Ending.DIGEST not in endings, "nobody changes a byte under TLS"


def test_endless_bodies_take_no_room() -> None:
    """Megabytes, most of them near the expression, for each version of HTTP."""
    for kind in ("http", "http2"):
        make, _ = transcripts()[kind]
        talk = make()
        sent = talk.begin()
        server = H2Connection(H2Configuration(client_side=False))
        if kind == "http2":
            server.initiate_connection()
            server.receive_data(sent)
            server.send_headers(1, [(":status", "200")])
            talk.receive(server.data_to_send())
        else:
            talk.receive(b"HTTP/1.0 200 OK\r\n\r\n")
        tracemalloc.start()
        for _ in range(200):
            if kind == "http2":
                server.send_data(1, b"all is unwel" * 1333)
                if out := talk.receive(server.data_to_send()):
                    server.receive_data(out)
            else:
                talk.receive(b"all is unwel" * 1333)
            assert talk.verdict is None
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2_000_000, kind
