"""Memory of reading and building what is no configuration, or hardly one: at most TIMES its size and a fixed BASE.

The peak of the resident set of a process of its own, for both readers."""

from __future__ import annotations

import subprocess
import sys

import pytest

SIZE = 200_000
TIMES = 10
BASE = 8 << 20  # faults that are kept, small blocks that are looked at, the words of one line
SHAPES = {
    "letters": ("", "a\n"),
    "letters in a block": ("global_defs {\n", "a\n"),
    "letters beyond ASCII": ("# \U0001f600\n", "a\n"),
    "blocks on a line": ("", "a{b}\n"),
    "blocks on one line": ("", "a{b}"),
    "words": ("x ", "ab "),
    "a word": ("x ", "\\a"),
    "definitions that are not there": ("", "$ab"),
    "quotes": ("", '"" "a"\n'),
    "opened": ("", "a{\n"),
    "braces": ("", "{"),
    "closed": ("", "}"),
    "NULs": ("", "\0\n"),
    "legal and empty": ("", "SSL{}\n"),
}
CHILD = """
import gc, re, sys
from fastha.config import native, reader
from fastha.config.build import build
from fastha.config.keywords import SCRIPT_WORDS
from unit.test_config_fuzz import Corpus

def kilobytes(what):
    return int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

def look(text):
    build(module.read("main", Corpus(text, []), SCRIPT_WORDS))

module = {"native": native, "python": reader}[sys.argv[1]]
look(b"vrrp_instanse x {\\na b\\n}\\n")  # loads what is loaded when it is first needed
gc.disable()
before = kilobytes("VmRSS")
for name, (head, one) in eval(sys.argv[2]).items():
    text = (head + one * (int(sys.argv[3]) // len(one))).encode()
    open("/proc/self/clear_refs", "w").write("5")  # VmHWM from here on, proc(5)
    look(text)
    print((kilobytes("VmHWM") - before) * 1024, name)
"""


@pytest.mark.parametrize("reader", ["native", "python"])
def test_memory_is_bounded_by_what_is_read(reader: str) -> None:
    command = [sys.executable, "-c", CHILD, reader, repr(SHAPES), str(SIZE)]
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=path, capture_output=True, text=True, timeout=300, check=True)
    print(done.stdout)
    peaks = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert len(peaks) == len(SHAPES)
    assert max(peaks) <= TIMES * SIZE + BASE
