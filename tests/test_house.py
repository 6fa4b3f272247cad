"""The rules of the house, checked on the text: imports go down only, native functions state their exception
contract, only loop/clock reads the monotonic clock in native code, cores own no clock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lanes import LANES, lane

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "fastha"

LEVEL = {
    "lean": -2, "errors": -1, "safe": -1,
    "__init__": 0, "log": 0, "outside": 0, "pcre2": 0, "room": 0, "setns": 0,
    "doctor": 5,
    "model": 1,
    "config": 2, "channel": 2, "wire": 2, "loop": 2, "dataplane": 2, "link": 2, "scripts": 2,
    "child": 3,
    "vrrp": 4, "checker": 4, "bfd": 4, "parent": 4, "reading": 4, "mail": 4,
    "lab": 5, "watch": 5, "cli": 6, "standin": 7,
}  # fmt: skip
# Same-level imports that are allowed: (importer, imported).
SIDEWAYS = {("wire", "loop"), ("link", "loop")}
IMPORT = re.compile(r"^\s*(?:from|import|cimport)\s+(fastha(?:\.\w+)*|_ipvs)(?:\s+c?import\s+\(?([\w, ]+))?", re.M)


def room_of(path: Path) -> str:
    first = path.relative_to(SRC).parts[0]
    return first.split(".")[0]


def sources() -> list[Path]:
    return [p for p in sorted(SRC.rglob("*")) if p.suffix in {".py", ".pyx", ".pxd", ".pyi"}]


def imported_rooms(text: str) -> set[str]:
    rooms = set()
    for module, names in IMPORT.findall(text):
        parts = module.split(".")
        if parts == ["fastha"]:
            rooms |= {n.strip() for n in names.split(",") if n.strip() in LEVEL}
        elif parts[0] == "fastha":
            rooms.add(parts[1])
    return rooms


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    assert room in LEVEL, f"no level for room {room}"
    for other in imported_rooms(path.read_text()):
        if other in (room, "_ipvs", "__version__"):
            continue
        assert other in LEVEL, f"{path}: imports unknown room {other}"
        allowed = LEVEL[other] < LEVEL[room] or (room, other) in SIDEWAYS
        assert allowed, f"{path}: {room} must not import {other}"


def test_parent_loads_no_compiled_module() -> None:
    native = {p.relative_to(SRC).with_suffix("").as_posix().replace("/", ".") for p in SRC.rglob("*.pyx")}
    for path in [p for room in ("parent", "channel", "config") for p in (SRC / room).rglob("*.py")]:
        for module in re.findall(r"^\s*(?:from|import)\s+fastha\.([\w.]+)", path.read_text(), re.M):
            assert module not in native, f"{path} imports compiled {module}"
            assert module.split(".")[0] not in {"wire", "loop", "dataplane", "child"}, (
                f"{path} imports native room {module}"
            )


CDEF = re.compile(
    r"^\s*cdef\s+(?!class|struct|enum|extern|packed|union|inline\s*:)[^=\n]*\([^=\n]*\)[^:\n]*:\s*$", re.M
)


@pytest.mark.parametrize("path", [p for p in sources() if p.suffix == ".pyx"], ids=lambda p: p.name)
def test_cdef_functions_state_their_exception_contract(path: Path) -> None:
    for match in CDEF.finditer(path.read_text()):
        line = match.group(0)
        if re.match(r"\s*cdef (str|bytes|list|object)\b", line):
            continue  # what returns a Python object raises without being told to
        assert "noexcept" in line or "except" in line, f"{path}: {line.strip()}"


WALL = re.compile(r"\btime\.(time|time_ns|monotonic|monotonic_ns|perf_counter)\b|\bdatetime\.(now|utcnow)\b|\brandom\.")


def cores() -> list[Path]:
    names = """model/*.py config/*.py vrrp/machine.py vrrp/rules.py vrrp/trackers.py checker/guard.py
        bfd/machine.py bfd/rules.py bfd/adopt.py checker/verdict.py checker/plan.py
        dataplane/rows.py dataplane/reconcile.py dataplane/ops.py dataplane/nft_limits.py dataplane/nft_listing.py
        dataplane/nft_mend.py dataplane/nft_ops.py dataplane/nft_rules.py dataplane/nft_slots.py
        parent/restart.py parent/watchdog.py parent/facts.py parent/reload.py parent/protocol.py
        parent/overrides.py parent/vrrp_overrides.py doctor/values.py doctor/rules.py doctor/kernel.py doctor/network.py
        doctor/neighbours.py cli/select.py cli/complete.py cli/top_view.py
        scripts/lines.py scripts/letters.py mail/compose.py mail/reply.py
        channel/frame.py channel/status.py channel/messages.py child/patch.py
        watch/families.py watch/daemon.py watch/vrrp.py watch/servers.py watch/traffic.py watch/everything.py
        watch/view.py"""
    return [p for n in names.split() for p in SRC.glob(n)]


@pytest.mark.parametrize("path", cores(), ids=lambda p: str(p.relative_to(SRC)))
def test_cores_own_no_clock(path: Path) -> None:
    assert not WALL.search(path.read_text()), f"{path} reads a clock"


def test_every_target_that_is_named_is_there() -> None:
    """What the papers and .PHONY call a target has a rule, and `make help` explains every rule."""
    makefile = (ROOT / "Makefile").read_text()
    rules = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    phony = {word for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for word in line.split()}
    papers = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").rglob("*.py")]
    named = {
        word
        for path in papers
        for word in re.findall(r"(?:^    |`)make ([a-z][a-z-]+)", path.read_text(), re.MULTILINE)
    }
    assert rules == phony
    assert named <= rules
    assert rules == set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))


def test_whoever_boots_a_guest_is_in_the_lane_of_guests() -> None:
    """Two at the same time would be slow enough to fail."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "bench").rglob("bench_*.py")]
    names = {path.relative_to(ROOT).as_posix(): path for path in files if path != Path(__file__)}
    boots = {name for name, path in names.items() if "mark.vm" in path.read_text()}
    assert boots
    assert boots == {name for name in names if lane(name) == "guest"}
    assert {lane(name) for name in names} >= set(LANES), "a lane that nobody takes"
