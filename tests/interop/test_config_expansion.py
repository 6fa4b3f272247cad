"""Definitions, repetitions, conditions, quotes and includes against keepalived: the first word of every statement.

`keepalived -t` names each unknown keyword with its line, so a line that begins with an expression shows what became of
it. Hand-written lines for each rule, then random compositions of them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

import need
from fastha.config.expand import Environment
from fastha.config.files import RealFiles
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from oracles.keepalived_test import KEEPALIVED, TEST

SEED = 5
END = "the_end"
ROUNDS = 60
UNKNOWN = re.compile(r"\((?:([^()]*): )?Line (\d+)\) Unknown keyword '(.*)'")
DEFINITIONS = """$A=hello
$B=${A} world
$C=one \\
 two \\
   three
$D=  lead trail
$EMPTY=
$Q="quoted text"
$S=~SEQ(v,2) s$v
$I=include in.inc
$a_1=us
"""
# Each is a line by itself.
LINES = """"[$A]"
"$A "
$A
$A.4
${A}.4
$A,x
$A)
x$A
y${A}z
"y${A}z"
$UNDEF
$C
"[${D}]"
"${B}"
[$EMPTY]
x${EMPTY}
$Q
$a_1
"${_PWD}"
x${_HASH}y
"${_HASH}${_BANG}"
x${_BANG}
"[${_INSTANCE}]"
~SEQ(v,3) s${v}
~SEQ(v,2,4) s$v
~SEQ(v,10,-3,1) s$v
~SEQ(v,-2,2,2) s$v
~SEQ(v,1,3,6) s$v
~SEQx(v,8,12) s$v
~SEQ(v,3,1) s$v
~SEQ(v,-2) s$v
~SEQ(v,0) s$v
~SEQ(v,5,5) s$v
~SEQ(v, 1 , 3) s$v
~SEQ (v,3) s$v
 ~SEQ(v,3) s$v
~SEQ(a,2) ~SEQ(b,2) "$a ${b}"
~SEQ(a,2)~SEQ(b,2) "$a ${b}"
~SEQ(a,2) x${a} ~SEQ(b,2) y
~LST(v,x,y,z) l$v
~LST(v,a,,c) l${v}x
~LST({p,q},{1,2},{3,4}) ${p}_$q
~LST({p,q},{1,2},{3}) ${p}_$q
~LST(v, x , y ) "[${v}]"
~LST(v,x) l$v
~LST({p},{1},{2}) l$p
~LST(v,x,y) ~SEQ(w,2) "${v}${w}"
 @x cond
 @^x notcond
@nosuch a
@^nosuch b
@x
@ x
@x @^y both
@x ~SEQ(v,2) s$v
~SEQ(v,2) @x s$v
~SEQ(v,2) @^x s$v
@x $Z=condval
"${Z}"
@nosuch $Z=other
$M=@x inner
$M
$S
${S}
$I
include in.inc
 include in.inc
include *.inc
include {in,other}.inc
include in.inc # comment
@x include in.inc
@^x include in.inc
~SEQ(v,2) include in.inc
includer in.inc
includea in.inc
includex in.inc
include sub/deep.inc
a # comment
a!comment
"a # b" c
'a # b' c
a"b c"d
a""b
""
\ta\tb
one two   three
$A=changed
"${B}"
""".splitlines()


def theirs(path: Path) -> list[tuple[str, int, str]]:
    """(file, line, word) of what keepalived does not know. It reads four times, and only the parent's first reading
    counts (children repeat some includes, and see a comment where the parent saw \\#): it ends at the word END."""
    command = [KEEPALIVED, *TEST, "-i", "x", "-f", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, timeout=60, check=False)
    found = map(UNKNOWN.match, (done.stdout + done.stderr).decode(errors="replace").splitlines())
    words = [(os.path.basename(m[1] or path.name), int(m[2]), m[3]) for m in found if m]
    ends = next(i for i, (_, _, word) in enumerate(words) if word == END)
    return words[: ends + 1]


def ours(path: Path) -> list[tuple[str, int, str]]:
    tree = read(path.name, RealFiles(), SCRIPT_WORDS, Environment("x"))
    return [(os.path.basename(s.file), s.line, s.words[0]) for s in tree.statements]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    need.tool("keepalived")
    (tmp_path / "in.inc").write_text("included ${A}\n")
    (tmp_path / "other.inc").write_text("other\n")
    (tmp_path / "run.inc").write_text("executable\n")
    (tmp_path / "run.inc").chmod(0o755)
    (tmp_path / "dir.inc").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/deep.inc").write_text('deep\ninclude near.inc\n"${_PWD}"\n')
    (tmp_path / "sub/near.inc").write_text("near\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compare(place: Path, text: str) -> list[str]:
    """Words that are not read the same; [] if all are."""
    path = place / "main.conf"
    path.write_text(text + END + "\n")
    # ${_PWD} is a relative directory here.
    mine = [(f, n, str(place / w) if w == "sub" else str(place) if w == "." else w) for f, n, w in ours(path)]
    told = theirs(path)
    return [] if mine == told else [f"theirs {set(told) - set(mine)}", f"ours {set(mine) - set(told)}", str(told)]


@pytest.mark.interop
def test_every_rule(place: Path) -> None:
    for line in LINES:
        assert compare(place, f"{DEFINITIONS}{line}\n") == [], line


@pytest.mark.interop
def test_random_compositions(place: Path) -> None:
    seed = int(os.environ.get("FASTHA_SEED", SEED))
    rounds = int(os.environ.get("FASTHA_ROUNDS", ROUNDS))
    print(f"FASTHA_SEED={seed} FASTHA_ROUNDS={rounds}")
    for n in range(rounds):
        r = random.Random(seed + n)
        lines = [r.choice(LINES) for _ in range(r.randint(3, 25))]
        assert compare(place, DEFINITIONS + "\n".join(lines) + "\n") == [], f"FASTHA_SEED={seed + n}"
