"""The streaming HTTP reader against its slow twin: any reply, cut anywhere, read in pieces of any size."""

from __future__ import annotations

import random

from fastha.checker.http import HttpReply
from oracles.http_probe import reading
from walk.seeds import walk

NOT_HTTP = [b"HTTP/2 200", b"SSH-2.0-x\r\n", b"HTTP/1.1 099 x", b"HTTP/1.1 20", b"\r\n", b"HTTP/1.1 2000 x"]
BAD_LENGTHS = [b"Content-Length: 1x", b"Content-Length: -1", b"Content-Length:" + b" " * 200 + b"1", b"X: z"]
WORDS = {0: "more", 1: "complete", -1: "garbage", -2: "too long"}


def reply(rng: random.Random) -> bytes:
    """A reply: mostly well-formed, with every oddity now and then."""
    eol = rng.choice([b"\r\n", b"\r\n", b"\n"])
    odd = rng.random() < 0.3

    def line(*choices: bytes) -> bytes:
        return rng.choice(choices) + eol

    head = b""
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        head += (
            line(b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 100 Continue") + line(b"Content-Length: 7", b"Link: x") + eol
        )
    status = rng.choice([200, 200, 204, 301, 304, 404, 503, 101, 599])
    head += line(b"HTTP/1.%d %d OK" % (rng.randrange(2), status), b"HTTP/1.1 %d" % status)
    if odd and rng.random() < 0.3:
        head = (
            rng.choice(
                [b"HTTP/2 200", b"SSH-2.0-x\r\n", b"HTTP/1.1 099 x", b"HTTP/1.1 20", b"\r\n", b"HTTP/1.1 2000 x"]
            )
            + head
        )
    for _ in range(rng.randrange(5)):
        head += line(
            b"Content-Length: %d" % rng.randrange(40),
            b"content-LENGTH:%d\t " % rng.randrange(40),
            b"Server: " + bytes(rng.randrange(1, 256) for _ in range(rng.randrange(300))).replace(b"\n", b""),
            b"Content-Lengthy: 5",
            b"X",
            rng.choice([b"Transfer-Encoding: chunked", b"X: y"]),
            rng.choice([b"Content-Length: 1x", b"Content-Length: -1", b"Content-Length:" + b" " * 200 + b"1", b"X: z"])
            if odd
            else b"A: b",
        )
    return head + eol + bytes(rng.randrange(256) for _ in range(rng.randrange(60)))


def test_any_reply_in_any_pieces() -> None:
    rng = walk("http")
    seen = set()
    for _ in range(3000):
        whole = reply(rng)
        data = whole[: rng.randrange(len(whole) + 1)]
        r = HttpReply()
        at, progress = 0, 0
        while at < len(data) and progress == 0:
            size = rng.choice([1, 2, 7, 1000])
            progress = r.feed(data[at : at + size])
            at += size
        state, status, body, length = reading(data)
        assert WORDS[progress] == state, data
        seen.add(state)
        if state in ("more", "complete"):
            assert (r.status, r.body) == (status, body), data
            assert r.length == length, data
    assert seen == {"more", "complete", "garbage"}


def test_an_endless_header_is_given_up() -> None:
    for filler in (b"X: y\r\n", b"z", b"A" * 63 + b"\n"):
        r = HttpReply()
        assert r.feed(b"HTTP/1.1 200 OK\r\n") == 0
        fed, progress = 0, 0
        while progress == 0:
            progress = r.feed(filler * 1000)
            fed += 1000 * len(filler)
            assert fed < 200_000
        assert progress == -2


def test_endless_interim_replies_are_given_up_too() -> None:
    r = HttpReply()
    progress = 0
    for _ in range(10_000):
        progress = r.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
        if progress:
            break
    assert progress == -2


def test_what_is_not_http_is_known_at_once() -> None:
    for data in (b"S", b"HTTQ", b"\r", b"\n", b"\x00", b" HTTP/1.1 200"):
        assert HttpReply().feed(data) == -1, data
