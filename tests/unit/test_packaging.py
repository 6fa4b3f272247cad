"""The units of packaging/systemd, as systemd reads them. (tests/netns/test_package.py installs the packages.)"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import need

SYSTEMD = Path(__file__).resolve().parent.parent.parent / "packaging" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))


@pytest.mark.interop
@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.name)
def test_systemd_has_nothing_to_say(unit: Path, tmp_path: Path) -> None:
    analyze = need.tool("systemd-analyze")
    copy = tmp_path / unit.name
    # It looks whether the program exists, and whether there are manual pages.
    text = unit.read_text().replace("/usr/bin/fastha", "/bin/true").replace("man:", "file:/")
    copy.write_text(text)
    done = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, timeout=120, check=False)
    own = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (own, done.returncode) == ([], 0)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("name", "limit"), [("fastha.service", 5.0), ("fastha-metrics.service", 1.8), ("fastha-page.service", 1.8)]
)
def test_exposure(name: str, limit: float) -> None:
    """systemd's own measure, from 0 (good) to 10 (unsafe); keepalived's unit of Debian has 9.6."""
    analyze = need.tool("systemd-analyze")
    done = subprocess.run(
        [analyze, "security", "--offline=true", SYSTEMD / name], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    level = re.search(rf"Overall exposure level for {name}: ([0-9.]+)", done.stdout)
    assert level, done.stdout[-2000:] + done.stderr
    assert float(level[1]) <= limit
