"""The package's service under systemd on a real IPVS kernel: tests/vm/inside/systemd.py, run in one guest."""

from __future__ import annotations

import subprocess

import pytest

from vm import guest

SYSTEMD = guest.INSIDE / "systemd.py"
pytestmark = [pytest.mark.vm, pytest.mark.campaign, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def package() -> str:
    done = subprocess.run(["make", "-s", "deb"], cwd=guest.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize("name", guest.inner_tests(SYSTEMD))
def test_systemd(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTHA_DEB", package)
    guest.check(SYSTEMD, name, timeout_s=900)
