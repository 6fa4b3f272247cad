"""Runs a whole pytest file in a guest with a real IPVS kernel and reports each of its tests outside.

Outside (tests/vm/test_x.py), one line a test of the file tests/vm/inside/x.py::

    INSIDE = guest.INSIDE / "x.py"
    pytestmark = pytest.mark.vm

    @pytest.mark.parametrize("name", guest.inner_tests(INSIDE))
    def test_inside(name: str) -> None:
        guest.check(INSIDE, name)

Inside, the file begins with `guest.only_inside()`: it changes the kernel it runs on. Checkout and virtual environment
are at the same path as outside; what is written there is gone afterwards. A guest boots once for each file, in about
3 s; user-mode Linux has one CPU, no nftables NAT, and forks slowly (20 ms).
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import need
from vm import machine
from vm.kit import Unfit

INSIDE = Path(__file__).parent / "inside"
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Inner:
    """One case of one test inside. `text`: why it failed or was skipped."""

    case: str
    outcome: str  # passed, failed, skipped
    text: str


@dataclass(frozen=True)
class Report:
    """All cases by the name of their test function; `ending`: what went wrong with the guest, or ""."""

    tests: dict[str, list[Inner]]
    ending: str
    output: str


def only_inside() -> None:
    """At the top of a file in tests/vm/inside: refuse to run on the host's kernel."""
    if not os.environ.get("FASTHA_VM"):
        pytest.skip("runs inside the guest only: pytest tests/vm", allow_module_level=True)


def inner_tests(file: Path) -> list[str]:
    """The names of the test functions in `file`, in order, without importing it."""
    return [
        n.name for n in ast.parse(file.read_text()).body if isinstance(n, ast.FunctionDef) and n.name[:5] == "test_"
    ]


@cache
def run_in_guest(file: Path, timeout_s: float, backends: tuple[str, ...] = machine.BACKENDS) -> Report:
    """Boot a guest, run `pytest file` in it. Once for each file. Unfit if no guest can be booted."""
    with tempfile.TemporaryDirectory(prefix="fastha-guest-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(file)]
        # the folder's name is known in the guest only
        command = ["sh", "-c", 'exec "$@" --junitxml="$FASTHA_VM_IO/report.xml"', "sh", *command]
        with (folder / "output").open("wb", buffering=0) as output:
            env = {"PYTHONDONTWRITEBYTECODE": "1"}
            ending = machine.run(command, output, timeout_s, io=folder / "io", env=env, backends=backends)
        text = (folder / "output").read_text(errors="replace")
        report = folder / "io" / "report.xml"
        tests = _read(report) if report.exists() else {}
        why = ending.why or ("" if tests else f"pytest made no report (status {ending.status})")
        return Report(tests, why, text + (f"\nconsole:\n{ending.console}" if why else ""))


def check(file: Path, name: str, timeout_s: float = 180.0, backends: tuple[str, ...] = machine.BACKENDS) -> None:
    """Fail, skip or pass as all cases of test `name` did in the guest; `timeout_s` is for the whole file."""
    try:
        report = run_in_guest(file, timeout_s, backends)
    except Unfit as fault:
        need.lack(f"no guest with IPVS: {fault}")
    cases = report.tests.get(name, [])
    if not cases:
        pytest.fail(f"{name} did not run in the guest: {report.ending}\n{report.output[-8000:]}", pytrace=False)
    failed = [c for c in cases if c.outcome == "failed"]
    if failed:
        pytest.fail("\n\n".join(f"{c.case}:\n{c.text}" for c in failed), pytrace=False)
    skipped = [c for c in cases if c.outcome == "skipped"]
    if skipped:
        need.lack("in the guest: " + "; ".join(sorted({c.text for c in skipped})))


def _read(report: Path) -> dict[str, list[Inner]]:
    tests: dict[str, list[Inner]] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        outcome, text = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                outcome, text = "failed", f"{text}{child.get('message', '')}\n{child.text or ''}\n"
            elif child.tag == "skipped":
                outcome, text = "skipped", child.get("message", "")
        full = case.get("name", "")
        tests.setdefault(full.split("[")[0], []).append(Inner(full, outcome, text))
    return tests
