"""Coverage-guided fuzzing of reading, building and dumping a configuration (atheris, a libFuzzer for Python).

    python tests/fuzz/config_reader.py -max_total_time=60 CORPUS...

`make fuzz-config` runs it. Held for every input: no exception; what was read is dumped, and the dump reads back as the
same configuration and dumps the same; at most SLOWEST_S of CPU time. An input that breaks this is written to a file
crash-*.
"""

from __future__ import annotations

import resource
import sys
import time

import atheris

with atheris.instrument_imports(include=["fastha.config"]):
    from fastha.config.build import build
    from fastha.config.dump import dump
    from fastha.config.expand import Environment
    from fastha.config.keywords import SCRIPT_WORDS
    from fastha.config.reader import read
    from fastha.errors import Severity

SLOWEST_S = 1.0  # for inputs of at most 4096 bytes
MEMORY = 1 << 30
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


def one_input(data: bytes) -> None:
    began = time.process_time()
    config, faults = build(read("main", Files(data), SCRIPT_WORDS, Environment("x"), EXPANSION))
    for fault in faults:
        assert str(fault).isprintable()
    took = time.process_time() - began
    assert took < SLOWEST_S, f"{took:.1f} s for {len(data)} bytes"
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
