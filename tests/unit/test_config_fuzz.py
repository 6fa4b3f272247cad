"""Mutated configurations: reading and building end in a model and faults, never in an exception, in bounded time."""

from __future__ import annotations

import os
import random
from pathlib import Path

import orjson

from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.keywords import SCRIPT_WORDS, TABLE
from fastha.config.reader import read
from fastha.model import Config, codec

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "config"
ROUNDS = 400
PIECES = [b"{", b"}", b'"', b"'", b"\\", b"#", b"!", b"$A", b"${A}", b"$A=", b"@x ", b"@^", b"~SEQ(a,3) ",
          b"~LST(a,b,c) ",
          b"\n", b"\r\n", b"\0", b"\xff", b"\xc3\xa9", b" ", b"\t", b"include f*\n", b"-1", b"99999999999999999999",
          b"1e9",
          b"0.0000001", b"::1", b"10.0.0.0/8", b"%", b"\xe2\x80\x8b"]  # fmt: skip
WORDS = [w.encode() for words in TABLE.values() for w in words]


class Corpus:
    """Files for the reader: one text, which may include itself and others."""

    def __init__(self, text: bytes, others: list[bytes]) -> None:
        self.texts = {"main": text, **{f"f{i}": t for i, t in enumerate(others)}}

    def read(self, path: str) -> bytes:
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.texts[path]

    def glob(self, pattern: str) -> list[str]:
        return sorted(self.texts) if "*" in pattern else [pattern]


def mutate(r: random.Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(r.choice([1, 2, 5, 20])):
        at, span = r.randrange(len(data) + 1), r.choice([0, 0, 1, 3, 30])
        match r.randrange(5):
            case 0:
                data[at : at + span] = r.choice(PIECES)
            case 1:
                data[at : at + span] = b" " + r.choice(WORDS) + b" "
            case 2:
                data[at : at + span] = b""
            case 3:
                lines = bytes(data).split(b"\n")
                r.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case 4:
                data[at:at] = r.choice(PIECES) * r.choice([1, 2, 50])
    return bytes(data)


def test_mutations() -> None:
    seed = int(os.environ.get("FASTHA_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"FASTHA_SEED={seed}")
    r = random.Random(seed)
    texts = [p.read_bytes() for p in sorted(GOLDEN.glob("*.conf"))]
    for _ in range(int(os.environ.get("FASTHA_ROUNDS", ROUNDS))):
        files = Corpus(mutate(r, r.choice(texts)), [mutate(r, r.choice(texts)[:300]) for _ in range(2)])
        tree = read("main", files, SCRIPT_WORDS, Environment("master"), expansion=20_000)
        config, faults = build(tree)
        for fault in faults:
            text = str(fault)
            assert text.isprintable(), ascii(text)
            orjson.dumps(fault)
            if fault.line:
                lines = files.texts[fault.file].decode("utf-8", "surrogateescape").removeprefix("\ufeff").split("\n")
                assert 1 <= fault.line <= len(lines), text
                assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1, text
        assert codec.loads(Config, codec.dumps(config)) == config


def test_a_quoted_word_behind_a_command() -> None:
    text = b'vrrp_script a {\n script b "c d"\n}\n'  # found by mutations
    config, faults = build(read("main", Corpus(text, []), SCRIPT_WORDS))
    assert config.vrrp_scripts[0].script.argv == ("b",)
    assert [f.code for f in faults if f.line == 2] == ["unquoted-arguments"]
