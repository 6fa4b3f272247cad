"""The golden corpus: NAME.conf beside NAME.ok (model and faults as JSON) or NAME.err (faults; the file is refused).

After a wanted change, write it anew with FASTHA_GOLDEN=write and read the difference.
"""

from __future__ import annotations

import os
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.files import RealFiles
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from fastha.errors import Fault, Severity
from fastha.model import Config, codec

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "config"


def check(path: Path) -> tuple[Config, tuple[Fault, ...]]:
    """Read a file of the corpus; its directory does not show in the faults."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        return build(read(path.name, RealFiles(), SCRIPT_WORDS, Environment(config_id="master")))
    finally:
        os.chdir(before)


def sparse(value: Any) -> Any:
    """Plain data without the fields that have their default: a new field changes no expectation."""
    if isinstance(value, tuple):
        return [sparse(item) for item in value]
    if not is_dataclass(value):
        return value
    return {f.name: sparse(getattr(value, f.name)) for f in fields(value) if getattr(value, f.name) != default(f)}


def default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.conf")), ids=lambda p: p.stem)
def test_golden(path: Path) -> None:
    config, faults = check(path)
    lines = [str(f) for f in faults]
    if any(f.severity is Severity.ERROR for f in faults):
        expected, got = path.with_suffix(".err"), "\n".join(lines) + "\n"
    else:
        data = {"config": sparse(config), "faults": lines}
        expected, got = path.with_suffix(".ok"), orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n"
        assert codec.loads(Config, codec.dumps(config)) == config
    if os.environ.get("FASTHA_GOLDEN") == "write":
        expected.write_text(got)
    assert got == expected.read_text()


def test_every_expectation_has_its_configuration() -> None:
    for expected in [*GOLDEN.glob("*.ok"), *GOLDEN.glob("*.err")]:
        assert expected.with_suffix(".conf").exists(), expected
