"""The Debian package's service under systemd with IPVS in the kernel: tests/systemd_session.py.

FASTHA_DEB names the package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted import Booted, installed_from_package
from systemd_session import Session
from vm import guest

guest.only_inside()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Booted(tmp_path_factory.mktemp("machine")) as machine:
        session = Session(machine, ipvs=True)
        installed_from_package(machine, Path(os.environ["FASTHA_DEB"]))
        yield session


def test_what_was_installed_is_at_work(session: Session) -> None:
    session.is_at_work()
    assert "-A -t 10.1.0.100:80 -s rr" in session.table()


def test_reload(session: Session) -> None:
    session.reloads()


def test_a_stopped_child(session: Session) -> None:
    session.a_stopped_child_is_replaced()


def test_a_stopped_parent(session: Session) -> None:
    session.a_stopped_parent_is_replaced()


def test_journal(session: Session) -> None:
    session.the_journal_has_fields()


def test_metrics_and_page(session: Session) -> None:
    session.others_watch()


def test_stop(session: Session) -> None:
    session.stops()


def test_keepaliveds_unit(session: Session) -> None:
    session.in_keepaliveds_place()
