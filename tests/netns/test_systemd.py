"""The service under a real systemd on this kernel (nft balances), from this tree: tests/systemd_session.py.

Metrics and page see no home folder, where this interpreter may be: test_package.py has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from booted import Booted, from_tree, installed_from_tree
from systemd_session import Session

TREE = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Booted(tmp_path_factory.mktemp("machine"), from_tree(TREE)) as machine:
        installed_from_tree(machine, TREE)
        yield Session(machine, ipvs=False)


def test_the_service_lives_under_systemd(session: Session) -> None:
    session.starts()
    session.reloads()
    session.a_stopped_child_is_replaced()
    session.a_stopped_parent_is_replaced()
    session.the_journal_has_fields()
    session.stops()
    session.refuses_a_bad_file()


def test_one_word_in_the_unit_of_keepalived(session: Session) -> None:
    session.in_keepaliveds_place()
