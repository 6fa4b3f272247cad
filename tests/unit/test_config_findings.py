"""One configuration for each code of a finding, as `fastha check` prints it; and no false alarms.

After a wanted change, write the expectations anew with FASTHA_GOLDEN=write and read the difference.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastha.cli import findings
from fastha.cli.excerpt import Sources
from fastha.config import codes
from fastha.config.build import build
from fastha.config.codes import CODES
from fastha.config.examine import examine
from fastha.config.reader import read
from fastha.config.tree import MOST_FAULTS, EnoughFaults, Faults
from fastha.errors import Severity
from fastha.model import Config
from unit.test_config_fuzz import Corpus

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "findings"
PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "findings.md"
SAMPLES = Path("/usr/share/doc/keepalived/samples")
# What is wrong with keepalived's own samples.
TRUE_ALARMS = {
    (
        "keepalived.conf.virtual_server_group",
        "real-is-virtual",
    ): "192.168.200.1 port 1358 is in the group, and a server",
}
# A builder says these for what it corrects; they are no opinions.
BUILDERS = frozenset({"corrected", "default-protocol"})


@dataclass
class FakeHost:
    """A machine with eth0 and /bin/true."""

    def command(self, path: str) -> str:
        return "" if path == "/bin/true" else "there is no such file"

    def user(self, name: str) -> bool:
        return name == "nobody"

    def interfaces(self) -> frozenset[str]:
        return frozenset({"lo", "eth0"})

    def addresses(self) -> frozenset[str]:
        return frozenset({"127.0.0.1", "10.0.0.5", "10.0.0.6"})

    def promotes_secondaries(self, _interface: str) -> bool:
        return False


def options(code: str) -> dict[str, object]:
    about = CODES[code].why
    return {"host": FakeHost() if "(--here)" in about else None, "keepalived": "(--keepalived)" in about}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_case(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    if code == "too-many":
        monkeypatch.setattr("fastha.config.tree.MOST_FAULTS", 3)
    path = GOLDEN / f"{code}.conf"
    loaded = examine(path.name, "master", **options(code))  # type: ignore[arg-type]
    found = [fault for fault in loaded.faults if fault.code == code]
    assert found
    assert {str(fault.severity) for fault in found} <= {CODES[code].severity, "error"}
    lines = ["".join(text for text, _style in line) for line in findings.lines(loaded.faults, Sources())]
    got = "".join(f"{line}\n" for line in lines)
    expected = path.with_suffix(".txt")
    if os.environ.get("FASTHA_GOLDEN") == "write":
        expected.write_text(got)
    assert got == expected.read_text()


def test_every_case_has_its_code() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CODES)


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == codes.generate(), "run: python -m fastha.config.codes > docs/findings.md"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="keepalived's samples are not installed")
def test_no_false_alarms_on_keepalived_samples() -> None:
    for path in sorted(SAMPLES.iterdir()):
        for fault in examine(str(path), "master").faults:
            if fault.severity is Severity.WARNING and fault.code not in BUILDERS:
                assert (path.name, fault.code) in TRUE_ALARMS, fault


def test_faults_that_are_not_kept_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastha.config.tree.MOST_FAULTS", 1)
    faults = Faults()
    faults.warning(("a", 1, 1), "kept")
    assert [f.code for f in faults.told()] == ["corrected"]
    faults.warning(("a", 2, 1), "not kept")
    assert faults.told()[-1].severity is Severity.WARNING
    faults = Faults(faults)
    with pytest.raises(EnoughFaults):
        faults.error(("a", 3, 1), "not kept, and refuses the file")
    last = faults.told()[-1]
    assert (last.severity, last.line, last.code) == (Severity.ERROR, 3, "too-many")
    assert last.message.startswith("and perhaps more")


def test_nobody_looks_any_further_after_so_many_errors() -> None:
    config, faults = build(read("main", Corpus(b"vrrp_instanse x\n" * 2 * MOST_FAULTS, [])))
    assert config == Config()
    assert sum(f.severity is Severity.ERROR for f in faults) == MOST_FAULTS + 1
    assert [f.line for f in faults if f.code == "too-many"] == [MOST_FAULTS]
