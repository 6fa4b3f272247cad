"""The two messages of grpc.health.v1 against the generated ones, and calls against a small HTTP/2 server in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from grpc_health.v1 import health_pb2
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from fastha.checker.ending import Ending
from fastha.checker.talk.body import Judge, expression
from fastha.checker.talk.grpc import SERVING, Grpc, decode_response, encode_request
from fastha.checker.talk.http2 import Exchange, Http2Get
from fastha.checker.talk.talk import Verdict
from fastha.model import HttpUrl, Regex
from walk.seeds import walk

OK = [(":status", "200"), ("content-type", "application/grpc")]


@pytest.mark.parametrize("service", ["", "a", "shop.Cart", "é" * 100, "x" * 300])
def test_requests_are_the_generated_ones(service: str) -> None:
    framed = encode_request(service)
    assert framed[0] == 0
    assert int.from_bytes(framed[1:5], "big") == len(framed) - 5
    assert framed[5:] == health_pb2.HealthCheckRequest(service=service).SerializeToString()


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_responses_are_the_generated_ones(status: int) -> None:
    message = health_pb2.HealthCheckResponse(status=status)
    assert decode_response(message.SerializeToString()) == status
    assert SERVING[status] == health_pb2.HealthCheckResponse.ServingStatus.Name(status)


def test_responses_of_all_kinds() -> None:
    """Against the generated decoder, on random and mutated bytes."""
    rng = walk("grpc responses")
    same = 0
    for _ in range(3000):
        data = b"".join(
            rng.choice(
                [
                    b"\x08\x01",
                    b"\x08\x02",
                    b"\x12\x02ab",
                    b"\x1d1234",
                    b"\x1912345678",
                    b"\x20\x96\x01",
                    rng.randbytes(2),
                ]
            )
            for _ in range(rng.randint(0, 4))
        )
        try:
            expected = health_pb2.HealthCheckResponse.FromString(data).status
        except Exception:
            decode_response(data)  # must not raise; groups and bad tags are finer points
            continue
        got = decode_response(data)
        if got is not None:  # groups, which nobody sends, are known to the generated one alone
            assert got & 0xFFFFFFFF == expected & 0xFFFFFFFF, data
            same += 1
    assert same > 500


class Server:
    """One connection of a real HTTP/2 implementation; `answer` says what it does to the request."""

    def __init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False))
        self.h2.initiate_connection()
        self.headers: dict[str, str] = {}
        self.body = b""

    def receive(self, data: bytes) -> bool:
        """Whether the request is whole."""
        whole = False
        for event in self.h2.receive_data(data):
            if isinstance(event, RequestReceived):
                self.headers = {
                    str(k): str(v)
                    for k, v in [
                        (a if isinstance(a, str) else a.decode(), b if isinstance(b, str) else b.decode())
                        for a, b in event.headers
                    ]
                }
            elif isinstance(event, DataReceived):
                self.body += event.data
            whole |= isinstance(event, StreamEnded)
        return whole


Pairs = list[tuple[str, str]]


def call(
    talk: Exchange, *, headers: Pairs, body: bytes = b"", trailers: Pairs | None = None, piece: int = 0
) -> tuple[Verdict, Server]:
    server = Server()
    assert server.receive(talk.begin())
    server.h2.send_headers(1, headers, end_stream=not body and trailers is None)
    for at in range(0, len(body), 16_000):
        part = body[at : at + 16_000]
        while server.h2.local_flow_control_window(1) < len(part):
            exchange(talk, server, piece)
            assert talk.verdict is None
        server.h2.send_data(1, part, end_stream=at + 16_000 >= len(body) and trailers is None)
    if trailers is not None:
        server.h2.send_headers(1, trailers, end_stream=True)
    exchange(talk, server, piece)
    if talk.verdict is None:
        talk.end()
    assert talk.verdict is not None
    return talk.verdict, server


def exchange(talk: Exchange, server: Server, piece: int) -> None:
    data = server.h2.data_to_send()
    for at in range(0, len(data), piece or max(1, len(data))):
        if talk.verdict is None and (out := talk.receive(data[at : at + (piece or len(data))])):
            server.receive(out)


def grpc(service: str = "shop.Cart") -> Grpc:
    return Grpc(service, "cart.example.com", "http", 2_500_000_000)


def framed(status: int) -> bytes:
    message = health_pb2.HealthCheckResponse(status=status).SerializeToString()
    return b"\0" + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_serving(piece: int) -> None:
    verdict, server = call(grpc(), headers=OK, body=framed(1), trailers=[("grpc-status", "0")], piece=piece)
    assert verdict.ending is Ending.ANSWERED
    assert server.headers[":path"] == "/grpc.health.v1.Health/Check"
    assert server.headers[":authority"] == "cart.example.com"
    assert server.headers["grpc-timeout"] == "2500m"
    assert health_pb2.HealthCheckRequest.FromString(server.body[5:]).service == "shop.Cart"


@pytest.mark.parametrize(
    ("headers", "body", "trailers", "ending", "text"),
    [
        (OK, framed(2), [("grpc-status", "0")], Ending.REPLY, "NOT_SERVING"),
        (OK, framed(0), [("grpc-status", "0")], Ending.REPLY, "UNKNOWN"),
        (
            [*OK, ("grpc-status", "5"), ("grpc-message", "unknown%20service")],
            b"",
            None,
            Ending.REPLY,
            "NOT_FOUND unknown service",
        ),
        ([*OK, ("grpc-status", "12")], b"", None, Ending.REPLY, "UNIMPLEMENTED"),
        ([*OK, ("grpc-status", "99")], b"", None, Ending.REPLY, "99"),
        ([*OK, ("grpc-status", "x")], b"", None, Ending.PROTOCOL, "no grpc-status"),
        (OK, framed(1), None, Ending.PROTOCOL, "no grpc-status"),
        (OK, framed(1), [("other", "0")], Ending.PROTOCOL, "no grpc-status"),
        (OK, framed(1) + b"x", [("grpc-status", "0")], Ending.PROTOCOL, "not one plain"),
        (OK, b"\1" + framed(1)[1:], [("grpc-status", "0")], Ending.PROTOCOL, "not one plain"),
        (OK, b"\0\0\0\0\1\xff", [("grpc-status", "0")], Ending.PROTOCOL, "not a HealthCheckResponse"),
        (OK, b"x" * 10_000, [("grpc-status", "0")], Ending.TOO_LONG, ""),
        ([(":status", "404")], b"", None, Ending.STATUS, ""),
        ([(":status", "200"), ("content-type", "text/html")], b"", None, Ending.PROTOCOL, "not gRPC: text/html"),
    ],
)
def test_others(headers: list[tuple[str, str]], body: bytes, trailers: list[tuple[str, str]] | None, ending: Ending,
                text: str) -> None:  # fmt: skip
    verdict, _ = call(grpc(), headers=headers, body=body, trailers=trailers)
    assert verdict.ending is ending
    assert text in verdict.text


def test_http2_get_with_a_large_body() -> None:
    """Above every window, so that windows are opened again."""
    url = HttpUrl(path="/big", regex=Regex(pattern="end$"))
    talk = Http2Get("www.example.com", url.path, "me", Judge(url, expression(url.regex)))
    verdict, server = call(talk, headers=[(":status", "200")], body=b"x" * 3_000_000 + b"end")
    assert verdict == Verdict(Ending.ANSWERED, 200)
    assert server.headers == {
        ":method": "GET", ":scheme": "https", ":authority": "www.example.com", ":path": "/big", "user-agent": "me",
    }  # fmt: skip


def test_endings_of_http2() -> None:
    actions: list[tuple[Callable[[Server], object], Ending | None]] = [
        (lambda server: server.h2.reset_stream(1, 2), Ending.RESET),
        (lambda server: server.h2.close_connection(1), Ending.RESET),
        (lambda server: server.h2.close_connection(0), None),
    ]
    for action, ending in actions:
        server, talk = Server(), grpc()
        server.receive(talk.begin())
        action(server)
        talk.receive(server.h2.data_to_send())
        assert (talk.verdict.ending if talk.verdict else None) is ending
        talk.end()
        assert talk.verdict is not None
    talk = grpc()
    talk.begin()
    talk.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
    assert talk.verdict is not None
    assert talk.verdict.ending is Ending.PROTOCOL


def test_a_flood_of_pings_is_not_answered_without_limit() -> None:
    server, talk = Server(), grpc()
    server.receive(talk.begin())
    talk.receive(server.h2.data_to_send())
    flood = (b"\0\0\x08\x06\0\0\0\0\0" + b"12345678") * 20_000
    assert len(talk.receive(flood)) == 0
    assert talk.verdict is not None
    assert "flood" in talk.verdict.text
