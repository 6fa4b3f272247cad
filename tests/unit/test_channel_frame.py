"""Frames: any split of the bytes gives the same messages; what no peer of ours sends is refused."""

from __future__ import annotations

import random

import pytest

from fastha.channel.frame import MAX_FRAME, Decoder, encode
from fastha.channel.messages import MESSAGES, check


def test_any_split_gives_the_same_messages() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    messages = [{"type": "facts", "facts": {"k": "x" * rng.choice((0, 1, 3, 1000, 100_000))}} for _ in range(30)]
    stream = b"".join(map(encode, messages))
    for _ in range(20):
        decoder, got, at = Decoder(), [], 0
        while at < len(stream):
            step = rng.choice((1, 2, 3, 4, 5, 17, 4096, 1 << 18))
            got += decoder.feed(stream[at : at + step])
            at += step
        assert got == messages


def test_many_small_frames_in_one_read() -> None:
    messages = [{"type": "stop", "n": n} for n in range(1000)]
    assert Decoder().feed(b"".join(map(encode, messages))) == messages


@pytest.mark.parametrize(
    "data",
    [
        (MAX_FRAME + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b"\0\0\0\4null",
        b"\0\0\0\1{",
        b"\0\0\0\0",
        b"\0\0\0\2\xff\xfe",
    ],
)
def test_what_no_peer_sends_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Decoder().feed(data)


def test_a_header_alone_waits() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\0\0") == []
    assert decoder.feed(b"\0\2{") == []
    assert decoder.feed(b"}") == [{}]


def test_every_message_of_the_table_passes_and_no_other() -> None:
    for name, kind in MESSAGES.items():
        message = {"type": name} | dict.fromkeys(kind.fields)
        check(message, kind.direction)
        with pytest.raises(ValueError, match="no"):
            check(message, "up" if kind.direction == "down" else "down")
        with pytest.raises(ValueError, match="fields"):
            check(message | {"surplus": 1}, kind.direction)
        if kind.fields:
            with pytest.raises(ValueError, match="fields"):
                check({"type": name}, kind.direction)


@pytest.mark.parametrize("name", [None, 7, [], {}, "", "nonsense"])
def test_a_type_that_is_no_name(name: object) -> None:
    with pytest.raises(ValueError, match="no up message"):
        check({"type": name}, "up")
