"""Expressions in pieces: the same answers as for the whole subject at once, whatever the pieces; and bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest

from fastha.pcre2 import OPTIONS, WINDOW, Expression, Search, TooMuch, incomplete
from walk.seeds import walk


def find(
    pattern: str, subject: bytes, options: Sequence[str] = (), min_offset: int = 0, max_offset: int = 0, piece: int = 0
) -> bool:
    search = Search(Expression(pattern, options), min_offset, max_offset)
    for at in range(0, len(subject), piece or max(1, len(subject))):
        search.feed(subject[at : at + (piece or len(subject))])
    return search.end()


@pytest.mark.parametrize(
    ("options", "pattern", "subject", "with_it", "without"),
    [
        ("allow_empty_class", "a[]b", b"ab", False, None),
        ("alt_bsux", r"\U", b"U", True, None),
        ("caseless", "HELLO", b"say hello", True, False),
        ("dollar_endonly", "a$", b"a\n", False, True),
        ("dotall", "a.b", b"a\nb", True, False),
        ("dupnames", "(?<n>a)|(?<n>b)", b"b", True, None),
        ("extended", "a b # c", b"ab", True, False),
        ("firstline", "b", b"a\nb", False, True),
        ("match_unset_backref", r"(a)?\1b", b"b", True, False),
        ("multiline", "^b", b"a\nb", True, False),
        ("never_utf", "(*UTF)a", b"a", None, True),
        ("never_ucp", "(*UCP)a", b"a", None, True),
        ("no_auto_capture", r"(a)\1", b"aa", None, True),
        ("utf", "^.$", "é".encode(), True, False),
        ("utf ucp", r"^\w$", "é".encode(), True, False),
        ("ungreedy", "^a+(?=b)b$", b"aab", True, True),
        ("never_backslash_c", r"a\Cb", b"axb", None, True),
        ("alt_circumflex multiline", "^$", b"a\n", True, False),
        ("auto_callout", "a", b"a", True, True),
        (
            "no_auto_possess no_dotstar_anchor no_start_optimize use_offset_limit alt_verbnames",
            "x.*a",
            b"xa",
            True,
            True,
        ),
    ],
)
def test_options(options: str, pattern: str, subject: bytes, with_it: bool | None, without: bool | None) -> None:
    """None: the expression is refused."""
    for words, expected in ((options.split(), with_it), ([], without)):
        if expected is None:
            with pytest.raises(ValueError, match="at character"):
                Expression(pattern, words)
        else:
            assert find(pattern, subject, words) is expected, words


def test_every_option_is_known_to_the_library() -> None:
    for name in OPTIONS:
        if name not in ("never_utf", "never_ucp"):
            Expression("a", [name])
    with pytest.raises(ValueError, match="'nonsense' is not an option"):
        Expression("a", ["nonsense"])
    with pytest.raises(ValueError, match=r"\\G has no meaning"):
        Expression(r"\Ga")


def test_offsets_bound_where_a_match_begins() -> None:
    for piece in (0, 1, 3):
        assert find("b+", b"aabbcc", min_offset=3, piece=piece)
        assert not find("b+", b"aabbcc", min_offset=4, piece=piece)
        assert find("b+c", b"aabbcc", max_offset=2, piece=piece)
        assert not find("b+c", b"aabbcc", max_offset=1, piece=piece)
        assert not find("^a", b"aaaa", min_offset=1, piece=piece)
        assert not find("a", b"aaaa", min_offset=100, piece=piece)


def random_case(rng: object) -> tuple[str, bytes]:
    from random import Random

    assert isinstance(rng, Random)
    atoms = [
        "a",
        "b",
        "ab",
        "[ab]",
        "[^a]",
        ".",
        "c?",
        "a*",
        "b+",
        "(?:ab|c)",
        r"\b",
        "(?<=a)",
        "(?<!b)",
        "(?=c)",
        "^",
        "$",
    ]
    pattern = "".join(rng.choice(atoms) for _ in range(rng.randint(1, 6)))
    size = rng.choice([0, 3, 30, 30, 300, 40_000])
    subject = "".join(rng.choices("abc\n", weights=[5, 5, 1, 1], k=size))
    return pattern, subject.encode()


def test_pieces_change_nothing() -> None:
    """Against Python's `re` on the whole subject; the atoms mean the same to both."""
    rng, rounds = walk("pieces"), 400
    found = 0
    for _ in range(rounds):
        pattern, subject = random_case(rng)
        options = ["multiline"] if rng.random() < 0.5 else []
        low = rng.choice([0, 0, rng.randint(0, len(subject) + 1)])
        high = rng.choice([0, 0, low + rng.randint(1, 50)])
        compiled = re.compile(pattern.encode(), re.M if options else 0)
        # To Python ^ matches also behind a newline that ends the subject, to PCRE2 it does not (pcre2pattern(3)).
        alike = not (options and "^" in pattern and subject.endswith(b"\n"))
        expected = any(
            compiled.match(subject, at) for at in range(low, min(len(subject), high or len(subject)) + 1)
        ) if len(subject) < 1000 and alike else None  # fmt: skip
        whole = find(pattern, subject, options, low, high)
        assert expected is None or whole is expected, (pattern, subject, options, low, high)
        search = Search(Expression(pattern, options), low, high)
        at = 0
        while at < len(subject):
            step = rng.choice([1, 7, 100, 20_000, 70_000])
            search.feed(subject[at : at + step])
            at += step
        assert search.end() is whole, (pattern, options, low, high, len(subject))
        found += whole
    assert 0.1 < found / rounds < 0.95


def test_an_endless_subject_takes_no_room() -> None:
    search = Search(Expression("needle[0-9]"))
    for _ in range(200):
        search.feed(b"needle " * 5000)
        assert len(search._window) < 100_000
    search.feed(b"nee")
    search.feed(b"dle7")
    assert search.end()


def test_what_must_be_kept_has_a_limit() -> None:
    search = Search(Expression("a.*z", ["dotall"]))
    for _ in range(WINDOW // 10_000):
        search.feed(b"a" * 10_000)
    with pytest.raises(TooMuch, match="KiB of the reply at once"):
        search.feed(b"a" * 20_000)


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("(a+)+$", b"a" * 5000 + b"b"),
        ("(a|aa)+$", b"a" * 5000 + b"b"),
        ("a.*[xy]", b"a" * 200_000),
        ("(?:a?){50}a{50}[xy]", b"a" * 9000),
    ],
)
def test_an_expression_that_would_take_for_ever_is_given_up(pattern: str, subject: bytes) -> None:
    search = Search(Expression(pattern))
    started = time.process_time()

    def whole() -> None:
        search.feed(subject)
        search.end()

    with pytest.raises(TooMuch, match="too long"):
        whole()
    assert time.process_time() - started < 5, "seconds of CPU; the budget is 0.2 and a little for each byte"


def test_characters_cut_in_two() -> None:
    ends = (b"", b"a", b"\xc3", b"\xc3\xa9", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80\x80\x80")
    assert [incomplete(b) for b in ends] == [0, 0, 1, 0, 2, 3, 0]
    subject = ("x" * 20_000 + "grüße €").encode()
    for piece in (1, 2, 3, 16_385):
        assert find("^x+grüße €$", subject, ["utf"], piece=piece)
    assert not find("é", b"\xc3(\xa9" * 10, ["utf"], piece=1), "what is no UTF-8 does not match, and is no error"
