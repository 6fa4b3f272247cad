"""The grammar: words, quotes, comments, braces, includes, definitions, conditions, repetitions, and hopeless input."""

from __future__ import annotations

import fnmatch
import posixpath
from typing import Any

import pytest

from fastha.config.expand import Environment
from fastha.config.include import expand_braces
from fastha.config.lexer import LexError, split_command
from fastha.config.reader import SkippedFile, read
from fastha.config.tree import Statement, Tree
from fastha.errors import Severity

SCRIPTS = frozenset({"script", "notify"})


class FakeFiles:
    """Files in a dict; a value may be an OSError."""

    def __init__(self, files: dict[str, bytes | OSError]) -> None:
        self.files = files

    def read(self, path: str) -> bytes:
        found = self.files.get(posixpath.normpath(path), FileNotFoundError(2, "No such file or directory"))
        if isinstance(found, OSError):
            raise found
        return found

    def glob(self, pattern: str) -> list[str]:
        return sorted(p for p in self.files if fnmatch.fnmatchcase(p, posixpath.normpath(pattern)))


def tree(text: str | bytes, env: Environment | None = None, **files: bytes | OSError) -> Tree:
    data = text if isinstance(text, bytes) else text.encode()
    named = {name.replace("__", "/") + ".conf": content for name, content in files.items()}
    return read("main", FakeFiles({"main": data, **named}), SCRIPTS, env)


def plain(statements: list[Statement]) -> list[Any]:
    """`a b` -> ["a", "b"]; with a block: (["a", "b"], [...])."""
    return [s.words if s.block is None else (s.words, plain(s.block)) for s in statements]


def good(text: str | bytes, env: Environment | None = None, **files: bytes | OSError) -> list[Any]:
    result = tree(text, env, **files)
    assert result.faults == []
    return plain(result.statements)


def faults(text: str | bytes, env: Environment | None = None, **files: bytes | OSError) -> list[str]:
    return [str(f) for f in tree(text, env, **files).faults]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b", ["a", "b"]),
        ("\t a\t b \r", ["a", "b"]),
        ('a "b c" d', ["a", "b c", "d"]),
        ('a ""', ["a", ""]),
        ('a b"c d"e', ["a", "b", "c d", "e"]),
        ("a b#c", ["a", "b"]),
        ("a b!c", ["a", "b"]),
        (r"a b\#c\!d\n", ["a", "b#c!d\\n"]),
        ('a "b#c!d{e}"', ["a", "b#c!d{e}"]),
        (r'a "b\#c"', ["a", r"b\#c"]),
        ('a "b" # "c', ["a", "b"]),
        ("a 'b c'", ["a", "'b", "c'"]),
        ("script '/x a b'", ["script", "/x a b"]),
        (r'script "/x \"a b\"" u', ["script", '/x "a b"', "u"]),
        (r"script /x\ a u:g", ["script", "/x a", "u:g"]),
        ('script "/x a"b', ["script", "/x ab"]),
        (r'script "\x41\x4\101\e"', ["script", "A\x04Ae"]),
        ("script '/x {b}'", ["script", "/x {b}"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert good(line) == [words]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a {\nb\n}", [(["a"], [["b"]])]),
        ("a\n{\n\nb }", [(["a"], [["b"]])]),
        ("a{b}c{}", [(["a"], [["b"]]), (["c"], [])]),
        ("a { b { c d } e }", [(["a"], [(["b"], [["c", "d"]]), ["e"]])]),
        ("a {\n b }} ", None),
        ("a { # }\nb\n}", [(["a"], [["b"]])]),
        ("a\r\n{\r\nb\r\n}\r\n", [(["a"], [["b"]])]),
        ("a {\n  x y # z\n}  \nb", [(["a"], [["x", "y"]]), ["b"]]),
    ],
)
def test_blocks(text: str, shape: list[Any] | None) -> None:
    if shape is None:
        assert faults(text) == ["main:2:5: error: } without a { that it closes"]
    else:
        assert good(text) == shape


def test_every_word_has_its_place() -> None:
    result = tree('a  "b c" d {\n\te { f g }\n}\n  h\ti')
    first, last = result.statements
    assert [first.place(i) for i in range(3)] == [("main", 1, 1), ("main", 1, 4), ("main", 1, 10)]
    assert last.place(1) == ("main", 4, 5)
    assert first.block is not None
    assert first.block[0].place() == ("main", 2, 2)
    assert first.block[0].block is not None
    assert first.block[0].block[0].place(1) == ("main", 2, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a "b', ['main:1:3: error: a quote (") without its end']),
        ("script 'b\nc", ["main:1:8: error: a quote (') without its end"]),
        ("}\n", ["main:1:1: error: } without a { that it closes"]),
        ("{\n}", ["main:1:1: error: { without a keyword before it"]),
        ("a {\n}\n{\n}", ["main:3:1: error: { without a keyword before it"]),
        ("a {\nb {\n", ["main:2:1: error: the block 'b' is never closed; 2 blocks are open at the end (add a })"]),
        ("a\0b", ["main:1:2: error: a NUL byte: this is not a text file"]),
        (b"a \xff", ["main:1:3: error: a byte that is not UTF-8"]),
        (b"a # \xff", []),
        ("include", ["main:1:1: error: include without a file name"]),
        ("$A=b \\", ["main:1:1: error: the definition goes on past the end of the file"]),
    ],
)
def test_faults(text: str | bytes, expected: list[str]) -> None:
    assert faults(text) == expected


def test_includes() -> None:
    files: dict[str, bytes | OSError] = {
        "d__b": b"b\n include ../e.conf",
        "d__a": b"a {",
        "e": b"}\ne",
        "d__x": SkippedFile(13, "it is executable"),
    }
    assert good("include d/*.conf # all\nz", **files) == [(["a"], [["b"]]), ["e"], ["z"]]
    assert good("include d/{a,b}.conf", **files) == [(["a"], [["b"]]), ["e"]]
    assert good('include "e.conf"', e=b"e") == [["e"]]
    assert good("a { \ninclude e.conf\n", e=b"e }") == [(["a"], [["e"]])]
    assert good("includes x") == [["includes", "x"]]
    result = tree("include e.conf", e=b"\n e")
    assert result.statements[0].place() == ("e.conf", 2, 2)
    assert result.files == ["main", "e.conf"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("include no.conf", ["main:1:1: warning: there is no file 'no.conf'"]),
        ("include no*.conf", []),
        ("includer no*.conf", []),
        ("includem no*.conf", ["main:1:1: error: no file matches 'no*.conf'"]),
        ("includem {no,e}.conf", []),
        ("includew {no*,e}.conf", ["main:1:1: error: nothing matches 'no*.conf'"]),
        ("includeb {no,e}.conf", ["main:1:1: error: nothing matches 'no.conf'"]),
        ("includea no*.conf", ["main:1:1: error: nothing matches 'no*.conf'",
                                "main:1:1: error: no file matches 'no*.conf'"]),
        ("include x.conf", ["main:1:1: warning: 'x.conf' is skipped: it is executable"]),
        ("includer x.conf", ["main:1:1: error: 'x.conf' is skipped: it is executable"]),
        ("include [x].conf", []),
        ("include u.conf", ["main:1:1: error: cannot read 'u.conf': Permission denied"]),
        ("include [u].conf", ["main:1:1: error: cannot read 'u.conf': Permission denied"]),
        ("include l.conf", ["l.conf:1:1: error: 'main' includes itself (main -> l.conf -> main)"]),
    ],
)  # fmt: skip
def test_include_faults(line: str, expected: list[str]) -> None:
    files = {"e": b"e", "x": SkippedFile(13, "it is executable"), "u": PermissionError(13, "Permission denied")}
    assert faults(line, l=b"include main", **files) == expected


def test_brace_expansion() -> None:
    assert expand_braces("a{b,c{d,e}}{f,}") == ["abf", "ab", "acdf", "acd", "acef", "ace"]
    assert expand_braces("a{b") == ["a{b"]
    assert expand_braces("a}b{}") == ["a}b"]
    assert len(expand_braces("{a,b}" * 40)) <= 4096


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$A=abc\nx ${A}d $A,$A", [["x", "abcd", "abc,abc"]]),
        ("$A=b\n$C=x${A}\n$A=d\nx $C", [["x", "xd"]]),
        ('$A="b c"\nx $A', [["x", "b c"]]),
        ("$A=b c\nx $A", [["x", "b", "c"]]),
        ("$A=b \\\nc d\\\n  e\nx $A y", [["x", "b"], ["c", "d"], ["e", "y"]]),
        ("$A=b {\\\nc\\\n}\n$A", [(["b"], [["c"]])]),
        ('x "${_HASH}${_BANG}" y${_HASH} z', [["x", "#!", "y"]]),
        ("~LST({a,b},{1},{2,3}) x${a}$b", [["x1"], ["x23"]]),
        ("$S=~SEQ(a,2) x$a\n$S", [["x1"], ["x2"]]),
        ("~SEQ(a,2) @me x$a", [["x1"], ["x2"]]),
        ("~SEQ(a,2) @you x$a", []),
        ("@ x", []),
        ("x ${_PWD} ${_INSTANCE} ${_ENV HOME} ${_RANDOM 7 9}", [["x", ".", "me", "/h", "9"]]),
        ("@me a\n@^me b\n@you c\n@^you d\n@me\te", [["a"], ["d"], ["e"]]),
        ("@me $A=1\n@you $A=2\nx $A", [["x", "1"]]),
        ("~SEQ(n,3) x $n", [["x", "1"], ["x", "2"], ["x", "3"]]),
        ("~SEQ(n,2,-2,-2) x $n", [["x", "2"], ["x", "0"], ["x", "-2"]]),
        ("~SEQx(n,9,11) x $n", [["x", "9"], ["x", "a"], ["x", "b"]]),
        ("~SEQ(n,2) ~LST(m,a,b) x ${n}$m", [["x", "1a"], ["x", "1b"], ["x", "2a"], ["x", "2b"]]),
        ('~LST({a,b},{1,2},{"3",4}) x ${a}$b', [["x", "12"], ["x", "34"]]),
        ("~LST(a,b,\"c d\",) x <${a}>", [["x", "<b>"], ["x", "<c", "d>"], ["x", "<>"]]),
    ],
)  # fmt: skip
def test_expansion(text: str, words: list[Any]) -> None:
    env = Environment("me", {"HOME": "/h"}, lambda low, high: high)
    assert good(text, env) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x $A.b ${B}", ["main:1:3: warning: $A is not defined, and stays as it is",
                         "main:1:3: warning: ${B} is not defined, and stays as it is"]),
        ("$A=1\nx $A.b", ["main:2:3: warning: $A is not substituted here: write ${A}"]),
        ("$A=$B\n$B=${A}\nx $A", ["main:3:1: error: the definition of $A uses itself"]),
        ("~SEQx(a,-1,1) x", ["main:1:1: error: ~SEQx(a,-1,1): hexadecimal numbers begin at 0"]),
        ("x ${_ENV NO}", ["main:1:1: error: environment variable NO is not set"]),
        ("~SEQ(n,1,0,3) x", ["main:1:1: error: ~SEQ(n,1,0,3): the step never reaches the end"]),
        ("~SEQ(n,a) x", ["main:1:1: error: ~SEQ(n,a): expected (variable, [start, [step,]] end)"]),
        ("~SEQ x", ["main:1:1: error: ~SEQ or ~LST without its (...)"]),
        ("~LST({a},{1,2}) x", ["main:1:1: error: ~LST({a},{1,2}): 1 variables but 2 values"]),
        ("~SEQ(n,1000000000) x", ["main:1:1: error: definitions and repetitions produce too much text"]),
    ],
)  # fmt: skip
def test_expansion_faults(text: str, expected: list[str]) -> None:
    found = read("main", FakeFiles({"main": text.encode()}), SCRIPTS, expansion=100_000).faults
    assert list(map(str, found)) == expected


def test_hostile_sizes() -> None:
    """Large or deep input is read in time linear in its size, and nothing overflows."""
    big = 300_000
    assert good(b"a " + b"b" * big) == [["a", "b" * big]]
    assert good(b" " * big + b"a") == [["a"]]
    assert good(b"\t \r" * (big // 3) + b"#") == []
    assert len(good(b"a\n" * 30_000)) == 30_000
    assert faults(b"{" * 30_000)[0].endswith("{ without a keyword before it")
    assert len(tree(b"a {\n" * 30_000 + b"}\n" * 30_000).faults) == 1
    assert len(faults(b'"' * (big + 1))) == 1
    assert len(faults(b"\\" * big + b'"')) == 1
    doubling = "".join(f"$A{i}=${{A{i + 1}}}${{A{i + 1}}}\n" for i in range(60)) + "$A60=x\nx ${A0}"
    assert all(f.severity is Severity.ERROR for f in tree(doubling).faults)
    assert len(faults("~LST(a,b)" * 1000 + " x")) == 1
    assert len(faults("include " + "{a,b}" * 50_000)) == 1
    loop = {f"f{i}": f"include f{i + 1}.conf".encode() for i in range(100)}
    assert len(faults("include f0.conf", **loop)) == 1


def test_commands() -> None:
    assert split_command(r"""/x 'a b' "c \"d" e\ f {g}""") == ["/x", "a b", 'c "d', "e f", "{g}"]
    with pytest.raises(LexError):
        split_command("/x 'a")
