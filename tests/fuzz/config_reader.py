"""Coverage-guided fuzzing of reading, building and dumping a configuration (atheris, a libFuzzer for Python).

    python tests/fuzz/config_reader.py -max_total_time=60 CORPUS...

`make fuzz-config` runs it. Held for every input: no exception; what was read is dumped, and the dump reads back as the
same configuration and dumps the same; at most SLOWEST_S of CPU time; at most TIMES the memory of what is read, and a
fixed BASE. An input that breaks this is written to a file crash-*.

Memory is what Python and the reader allocate (tracemalloc), which makes everything slower: one input in MEASURED has it
counted, by its checksum, so that the same input always or never has.
"""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from zlib import crc32

import atheris

with atheris.instrument_imports(include=["fastha.config"]):
    from fastha.config.build import build
    from fastha.config.dump import dump
    from fastha.config.expand import Environment
    from fastha.config.keywords import SCRIPT_WORDS
    from fastha.config.reader import read
    from fastha.errors import Fault, Severity
    from fastha.model import Config

SLOWEST_S = 1.0  # for inputs of at most 4096 bytes
MEMORY = 1 << 30
TIMES = 32  # what the reader takes for a file of nothing but names of one letter; docs/benchmarks.md has the floor
BASE = 8 << 20  # 5000 faults and their texts; what is loaded when it is first needed
MEASURED = 4
EXPANSION = 1 << 20


class Files:
    """The input is the file `main`, which may include itself and what follows a NUL."""

    def __init__(self, data: bytes) -> None:
        main, _, other = data.partition(b"\0\0")
        self.texts = {"main": main, "other": other}

    def read(self, path: str) -> bytes:
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.texts[path]

    def glob(self, pattern: str) -> list[str]:
        return sorted(self.texts) if "*" in pattern else [pattern] if pattern in self.texts else []


def configuration(data: bytes) -> tuple[Config, tuple[Fault, ...]]:
    """What an input says, within time."""
    began = time.process_time()
    config, faults = build(read("main", Files(data), SCRIPT_WORDS, Environment("x"), EXPANSION))
    took = time.process_time() - began
    assert took < SLOWEST_S, f"{took:.1f} s for {len(data)} bytes"
    return config, faults


def measured(data: bytes) -> tuple[Config, tuple[Fault, ...]]:
    """The same, within memory."""
    tracemalloc.start()
    try:
        tree = read("main", Files(data), SCRIPT_WORDS, Environment("x"), EXPANSION)
        said = build(tree)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = len(data) + tree.produced
    assert peak <= TIMES * size + BASE, f"{peak} bytes of memory for {size}"
    return said


def one_input(data: bytes) -> None:
    config, faults = configuration(data) if crc32(data) % MEASURED else measured(data)
    for fault in faults:
        assert str(fault).isprintable()
    if any(f.severity is Severity.ERROR for f in faults):
        return
    text = dump(config)
    again, more = build(read("main", Files(text.encode()), SCRIPT_WORDS, Environment("x")))
    assert not [f for f in more if f.severity is Severity.ERROR], f"the dump is refused: {more}\n{text}"
    assert again == config, f"the dump reads back as something else\n{text}"
    assert dump(again) == text


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (8 * MEMORY, 8 * MEMORY))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
