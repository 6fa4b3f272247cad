"""fastha's verdict on thousands of random configurations against `keepalived -t`, line by line.

For each line that keepalived complains of we must have a fault (error or warning); each of our errors must be a line
that keepalived complains of. What it refuses we refuse. `config_differences` lists, with reasons, where that is not so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from fastha.config.load import Loaded, load
from fastha.errors import Fault, Severity
from oracles.config_differences import OURS, THEIRS, explained
from oracles.config_random import Writer
from oracles.keepalived_test import Judges, Verdict

CONFIGS = 5000
SEED = 7_000_000
BRACES = ("never closed", "} without a {", "a } missing", "{ without a keyword")
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "compatibility.md"

pytestmark = [pytest.mark.interop, pytest.mark.root]


@pytest.fixture(scope="module")
def judges() -> Iterator[Judges]:
    need.root()
    need.tool("keepalived")
    both = Judges()
    try:
        yield both
    finally:
        both.close()


def blocks(text: str) -> dict[int, int]:
    """Line number of a `}` -> that of its block's first line: keepalived checks a block at its end."""
    out, opened = {}, []
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith("{"):
            opened.append(number)
        elif line.strip() == "}" and opened:
            out[number] = opened.pop()
    return out


def disagreements(text: str, loaded: Loaded, verdict: Verdict) -> list[str]:
    """Each line on which the two differ without a reason; [] if none."""
    complaints = [f for f in loaded.faults if f.severity is not Severity.NOT_SUPPORTED]
    errors = [f for f in complaints if f.severity is Severity.ERROR]
    if verdict.crashed:
        return []  # no verdict
    if not verdict.runs:
        return [] if errors else [f"keepalived ends with {verdict.status}, we take it"]
    if any(b in f"{f.message} {f.hint}" for f in errors for b in BRACES):
        # One brace moves everything after it: only the verdict can be compared.
        return [] if verdict.lines or verdict.rest else ["we find a brace wrong, keepalived does not"]
    out = []
    first_of = blocks(text)
    ours = {f.line for f in complaints}
    for number, messages in verdict.lines.items():
        near = ours & set(range(first_of.get(number, number), number + 1))
        if not near and not all(explained(m, THEIRS) for m in messages):
            out.append(f"line {number}: theirs alone: {messages}")
    out += [
        f"line {f.line}: ours alone: {f.message}"
        for f in errors
        if not _heard(f, verdict, first_of) and not explained(f.message, OURS)
    ]
    if verdict.rest and not ours and not all(explained(m, THEIRS) for m in verdict.rest):
        out.append(f"theirs alone: {verdict.rest}")
    return out


def _heard(fault: Fault, verdict: Verdict, first_of: dict[int, int]) -> bool:
    at_the_end = any(first <= fault.line <= last for last, first in first_of.items() if last in verdict.lines)
    return fault.line in verdict.lines or at_the_end or bool(verdict.rest)


def test_lines_agree_with_keepalived(judges: Judges, tmp_path: Path) -> None:
    seed = int(os.environ.get("FASTHA_SEED", SEED))
    count = int(os.environ.get("FASTHA_CONFIGS", CONFIGS))
    print(f"FASTHA_SEED={seed} FASTHA_CONFIGS={count}")

    def one(n: int) -> tuple[int, str, Loaded, Verdict]:
        text = Writer(seed + n).text()
        path = tmp_path / f"{n}.conf"
        path.write_text(text)
        verdict = judges.judge(path)
        loaded = load(str(path))
        path.unlink()
        return n, text, loaded, verdict

    seen = {"clean": 0, "complained": 0, "crashed": 0, "lines": 0}
    problems = []
    for n, text, loaded, verdict in judges.pool.map(one, range(count)):
        seen["clean"] += verdict.clean
        seen["crashed"] += verdict.crashed
        seen["complained"] += not verdict.clean and not verdict.crashed
        seen["lines"] += text.count("\n")
        if found := disagreements(text, loaded, verdict):
            lines = "\n".join(f"  {i}: {line}" for i, line in enumerate(text.split("\n"), 1))
            ours = "\n".join(f"{f.line}: {f.severity}: {f.message}" for f in loaded.faults)
            problems.append("\n".join([f"FASTHA_SEED={seed + n}", *found, "-- text", lines, "-- ours", ours,
                                       "-- theirs", str(verdict)]))  # fmt: skip
    print(seen)
    assert not problems, f"{len(problems)} of {count} disagree\n\n" + "\n\n".join(problems[:4])
    # The generator must exercise both sides, and keepalived must have a verdict.
    assert seen["clean"] > count // 10
    assert seen["complained"] > count // 10
    assert seen["crashed"] < count // 50


# keepalived's own samples. The one with @ lines is empty without an id that it knows.
CONFIG_ID = {"conditional_conf": "high"}
# Their faults are theirs: keepalived complains of these lines as well.
UNSUPPORTED = re.compile(r"not supported yet|no check of this real_server is supported yet")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples' directory; where documentation is not installed, from the package."""
    installed = Path("/usr/share/doc/keepalived/samples")
    if any(installed.glob("keepalived.conf.*")):
        return installed
    if not shutil.which("apt-get"):
        need.lack("keepalived's samples, which are in its Debian package")
    place = tmp_path_factory.mktemp("samples")
    subprocess.run(["apt-get", "download", "keepalived"], cwd=place, check=True, capture_output=True)
    (package,) = place.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(place)], check=True)
    return place / "usr/share/doc/keepalived/samples"


def test_samples_are_accepted(samples: Path, judges: Judges) -> None:
    paths = sorted(samples.glob("keepalived.conf.*"))
    assert len(paths) > 20
    for path in paths:
        config_id = CONFIG_ID.get(path.name.removeprefix("keepalived.conf."), "x")
        loaded, verdict = load(str(path), config_id), judges.judge(path, "-i", config_id)
        first_of = blocks(path.read_text())
        assert loaded.files, path
        for fault in loaded.faults:
            if fault.severity is Severity.ERROR and not UNSUPPORTED.search(fault.message):
                assert _heard(fault, Verdict(5, verdict.lines), first_of), fault


def test_every_difference_is_documented() -> None:
    page = " ".join(DOCS.read_text().split())
    for _, reason in [*THEIRS, *OURS]:
        assert reason in page, reason
