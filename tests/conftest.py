"""For every test: the seed, and a look whether it left namespaces or child processes behind.

`make test` runs in several processes (pytest-xdist); see lanes.py."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import need
from fastha.lab import netns

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

SEED = int(os.environ["FASTHA_SEED"]) if os.environ.get("FASTHA_SEED") else random.SystemRandom().randrange(2**32)


def pytest_report_header() -> str:
    return f"seed: {SEED} (FASTHA_SEED={SEED} repeats this run's random choices)"


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """Random for each session; FASTHA_SEED=n repeats one. Shown with the output of a failed test."""
    seed: int = getattr(pytestconfig, "workerinput", {}).get("seed", SEED)
    print(f"repeat with FASTHA_SEED={seed}")
    return seed


@pytest.fixture
def rng(seed: int) -> random.Random:
    """A generator of its own for each test, so that the order of tests does not matter."""
    return random.Random(seed)


def children() -> dict[int, str]:
    """Child processes of ours that have not been waited for: {pid: command line}."""
    found = {}
    for listed in Path("/proc/self/task").glob("*/children"):
        try:
            pids = listed.read_text().split()
        except OSError:  # that thread has ended
            continue
        for pid in pids:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if "multiprocessing.resource_tracker" not in command:  # stays until Python ends, by design
                found[int(pid)] = command.strip() or "(zombie: nobody waited for it)"
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves a namespace or a child process behind has failed, whatever else it showed."""
    if request.node.get_closest_marker("root"):
        need.root()
    namespaces_before, children_before = set(netns.owned()), children()
    yield
    namespaces = sorted(set(netns.owned()) - namespaces_before)
    for name in namespaces:
        netns.Namespace(name).delete()

    def left() -> dict[int, str]:
        return {pid: command for pid, command in children().items() if pid not in children_before}

    try:
        need.wait_until(lambda: not left(), 1, "child processes have ended")
    except AssertionError:
        pytest.fail(f"child processes left behind: {left()}", pytrace=False)
    if namespaces:
        pytest.fail(f"namespaces left behind: {namespaces}", pytrace=False)


def pytest_sessionstart(session: pytest.Session) -> None:
    """What earlier runs left behind when they were killed goes first."""
    if not hasattr(session.config, "workerinput") and os.geteuid() == 0 and (swept := netns.sweep()):
        print(f"swept leftovers of dead runs: {', '.join(swept)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    netns.remove_owned()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from lanes import ordered

        items[:] = ordered(items)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """All processes of a run have one seed."""
    node.workerinput["seed"] = SEED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    from lanes import Lanes

    config.option.loadscopereorder = False  # it goes by the number of tests, which says nothing of how long they take
    return Lanes(config, log)
