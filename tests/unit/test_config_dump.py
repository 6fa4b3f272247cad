"""A configuration written as text reads back equal: the golden corpus here, random models in the walk."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.config.build import build
from fastha.config.dump import dump
from fastha.config.expand import Environment
from fastha.config.files import RealFiles
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from fastha.errors import Fault, Severity
from fastha.model import Config

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "config"


class Text:
    """One file for the reader."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, _path: str) -> bytes:
        return self.text.encode()

    def glob(self, pattern: str) -> list[str]:
        return [pattern]


def again(text: str) -> tuple[Config, tuple[Fault, ...]]:
    return build(read("dump", Text(text), SCRIPT_WORDS, Environment("x")))


def golden(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, tuple[Fault, ...]]:
    monkeypatch.chdir(path.parent)
    return build(read(path.name, RealFiles(), SCRIPT_WORDS, Environment("master")))


@pytest.mark.parametrize("full", [False, True], ids=["sparse", "full"])
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.ok")), ids=lambda p: p.stem)
def test_golden_corpus_reads_back_equal(path: Path, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = golden(path.with_suffix(".conf"), monkeypatch)
    text = dump(config, full)
    config_again, faults = again(text)
    assert config_again == config
    assert not [str(f) for f in faults if f.severity is not Severity.WARNING]
    assert dump(config_again, full) == text


def test_secrets_can_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = golden(GOLDEN / "director.conf", monkeypatch)
    assert "auth_pass secret\n" in dump(config)
    hidden = dump(config, secrets=False)
    assert "secret" not in hidden
    assert "auth_pass ********\n" in hidden
    config_again, _ = again(hidden)
    assert config_again.virtual_servers == config.virtual_servers


def test_full_says_what_goes_without_saying(monkeypatch: pytest.MonkeyPatch) -> None:
    config, _ = golden(GOLDEN / "director.conf", monkeypatch)
    sparse, full = dump(config).splitlines(), dump(config, full=True).splitlines()
    assert len(full) > len(sparse)
    assert any(line.strip() == "garp_master_refresh_repeat 1" for line in full)
    assert not any(line.strip() == "garp_master_refresh_repeat 1" for line in sparse)
