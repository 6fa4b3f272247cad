"""The compiled reader beside the one in Python: the same tree, the same faults, for every golden file, mutations of
them, and lines made to be between plain and special."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastha.config import native, reader
from fastha.config.expand import Environment
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.tree import Statement, Tree
from unit.test_config_fuzz import GOLDEN, Corpus, mutate

ROUNDS = 1500
LINES = [
    "a", "  b c\t d ", "e{", "f g {", "{", "}", "  }", "h }", "i } j", "{ k", "l { m }", "n { # o", "} ! p", "# $q",
    "r # $s", "", " ", "# t", "t\\#u", '"v w"', 'x "y z" {', "script \"a b\" 'c", "script a{b", "$A=b", "$A=b\\", "$A",
    "${A}", "@master a {", "@^master b {", "~SEQ(i,2) x $i", "include f0", "includes x", "  included {", "caf\u00e9",
    "# caf\u00e9", "# \udc80", "z \udc80", "\0", "# \0", "1\f2", "3\v4", "\ufeff5", "6\r", "7 {\r", "}\r", "8 '9' {",
    "%a ^b |c ~d", "a{b}c", "}}", "{}", "a b{ c  d}e {f", "}a{b c}} # d", "{ } {a}\t}", "x{include_check all}",
    "global_defs{random_seed 4}", "a{b # {}", "a {b} ! $c",
]  # fmt: skip


def plain(statements: Sequence[Statement]) -> list[Any]:
    """All there is to see of a tree."""
    out: list[Any] = []
    todo: list[tuple[Sequence[Statement], list[Any]]] = [(statements, out)]
    while todo:
        block, into = todo.pop()
        for s in block:
            places = [s.place(i) for i in range(len(s.words))]
            inner: list[Any] | None = None if s.block is None else []
            into.append((s.words, places, s.inline, sorted(s.quoted), inner))
            if inner is not None and s.block is not None:
                todo.append((s.block, inner))
    return out


def both(files: Any, expansion: int = 20_000) -> Tree:
    """The tree of the compiled reader, after it was found equal to the other."""
    trees = [m.read("main", files, SCRIPT_WORDS, Environment("master"), expansion) for m in (reader, native)]
    assert trees[0].files == trees[1].files
    assert trees[0].faults == trees[1].faults
    assert plain(trees[0].statements) == plain(trees[1].statements)
    return trees[1]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.conf")), ids=lambda p: p.stem)
def test_golden_files_read_the_same(path: Path) -> None:
    both(Corpus(path.read_bytes(), [b"x y {\nz\n}\n"]))


def test_mutations_and_random_lines_read_the_same() -> None:
    seed = int(os.environ.get("FASTHA_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"FASTHA_SEED={seed}")
    r = random.Random(seed)
    texts = [p.read_bytes() for p in sorted(GOLDEN.glob("*.conf"))]
    for _ in range(int(os.environ.get("FASTHA_ROUNDS", ROUNDS))):
        common = [*r.sample(LINES, r.randrange(1, 6)), "g {", "}"]
        lines = (r.choice(common if r.random() < 0.8 else LINES) for _ in range(r.randrange(60)))
        text = "\n".join(lines).encode("utf-8", "surrogateescape")
        if r.random() < 0.3:
            text = mutate(r, r.choice(texts))
        both(Corpus(text, [mutate(r, r.choice(texts)[:300]) for _ in range(2)]))


@pytest.mark.parametrize("text", [
    b"", b"\n", b"a", b"a\n", b"\xef\xbb\xbfa {\nb\n}", b"\xef\xbb\xbf\xef\xbb\xbfa",
    b"$A=b\\\n", b"$A=b\\\nc {\\\n}", b"$A=b\\", b"a {\n$B=c\\\n}\nd\n}\n$B",
    b"a {\n" * 40 + b"}\n" * 40, b"a {\n" * 31 + b"b\n" + b"}\n" * 31, b"a {\n" * 100 + b"}\n" * 100,
    b"a{" * 40 + b"b" + b"}" * 41, b"a{b c}" * 1000, b"{b " + b"a " * 20_001 + b"}",
    b"x " * 500_000, b"{" * 100_000, b"a {\n" * 50_000, b"}\n" * 50_000, b"#" * 1_000_000,
    b"a\n" * 50_000 + b"$" * 50_000,
], ids=lambda t: repr(t[:20]))  # fmt: skip
def test_edges_read_the_same(text: bytes) -> None:
    both(Corpus(text, []))


def test_a_block_in_other_words_is_spelt_differently() -> None:
    def spellings(text: str) -> list[Any]:
        return [s.spelling() for s in native.read("main", Corpus(text.encode(), [])).statements]

    same = spellings("a {\nb c\nd {\ne\n}\n}\nx {\n\tb  c # d\n\n  d{\r\n e\n}\n}\n")
    assert same[0] == same[1]
    different = spellings("a {\nb c\n}\na {\nb\nc\n}\na {\nb c }\na {\nb c {\n}\n}\na {\nbc\n}\na {\n}\n")
    assert len(set(different)) == 6


def test_what_is_written_the_same_is_spelt_the_same_in_python_too() -> None:
    same = [
        s.spelling()
        for s in reader.read("main", Corpus(b"a {\nb c\n}\nx {\n b c\n}\ny {\nb { c }\n}\nz\n", [])).statements
    ]
    assert same[0] == same[1] != same[2]
    assert same[3] is None


@pytest.mark.parametrize("text", [b"}" * 5000, b"{" * 5000, b"\0\n" * 5000, b"}\n" * 5000])
def test_what_is_no_configuration_is_not_told_for_ever(text: bytes) -> None:
    faults = both(Corpus(text, [])).faults
    assert len(faults) < reader.MOST_ASTRAY + 10
    assert any("not told" in f.message for f in faults)
