"""Random models: every value that reading can give is written as text and reads back equal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from fastha.config.build import build
from fastha.config.dump import dump
from fastha.config.expand import Environment
from fastha.config.keywords import SCRIPT_WORDS, TABLE
from fastha.config.keywords.table import ROOT
from fastha.config.reader import read
from fastha.errors import Severity
from random_model import Make, differences, supported, unused
from walk.seeds import walk

ROUNDS = 300
# Fields of what a keyword says; the generator has them as soon as the keyword table does.
KEYWORDS = {
    "Config.bfds": (ROOT, "bfd_instance"),
    "Config.track_files": (ROOT, "track_file"),
    "HttpUrl.regex": ("url", "regex"),
    "HttpUrl.tls_compliant": ("url", "tls_compliant"),
    "VirtualServer.panic_percent": ("virtual_server", "panic_percent"),
    "VirtualServer.removal_limit": ("virtual_server", "removal_limit"),
}
CONSTANT = {"PingCheck.port", "PingCheck.bind_port"}


class Text:
    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, _path: str) -> bytes:
        return self.text.encode()

    def glob(self, pattern: str) -> list[str]:
        return [pattern]


def inside(value: Any) -> Iterator[Any]:
    """Every dataclass value in `value`."""
    if isinstance(value, tuple):
        for item in value:
            yield from inside(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield value
        for f in fields(value):
            yield from inside(getattr(value, f.name))


def test_random_models_read_back_equal() -> None:
    r = walk("dump")
    make, seen = Make(r), {}
    for number in range(int(os.environ.get("FASTHA_ROUNDS", ROUNDS))):
        make.n = 0
        config = make.config()
        full = number % 2 == 1
        text = dump(config, full)
        back, faults = build(read("dump", Text(text), SCRIPT_WORDS, Environment("x")))
        errors = [str(f) for f in faults if f.severity is not Severity.WARNING]
        assert not errors, "\n".join([*errors, text])
        assert not differences(config, back), text
        assert back == config
        assert dump(back, full) == text
        for value in inside(config):
            seen.setdefault(type(value), []).append(value)
    # A field that never varies has not been tried.
    never = {f"{cls.__name__}.{name}" for cls, values in seen.items() for name in unused(values, cls) if name != "kind"}
    assert not [name for name in never - CONSTANT if _can_vary(name, seen)], never


def _can_vary(name: str, seen: dict[type[Any], list[Any]]) -> bool:
    """Whether a configuration can say what this field holds."""
    if name in KEYWORDS:
        return supported(*KEYWORDS[name])
    cls, _, field = name.partition(".")
    first = [values[0] for known, values in seen.items() if known.__name__ == cls]
    kinds = {value.kind for value in first if hasattr(value, "kind")}
    return all(kind not in TABLE or supported(kind, field) for kind in kinds) if kinds else True
