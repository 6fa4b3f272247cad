"""virtual_server_group on a real IPVS kernel: inside/groups.py; its traffic marked by nftables: inside/marks.py."""

from __future__ import annotations

import pytest

from vm import guest

GROUPS, MARKS = guest.INSIDE / "groups.py", guest.INSIDE / "marks.py"
TIMEOUT_S = 300
pytestmark = [pytest.mark.vm, pytest.mark.timeout(TIMEOUT_S + 100)]


@pytest.mark.parametrize("name", guest.inner_tests(GROUPS))
def test_groups(name: str) -> None:
    guest.check(GROUPS, name, TIMEOUT_S)


@pytest.mark.campaign  # user-mode Linux has no nftables; an emulated machine is slow and wants qemu and busybox
@pytest.mark.parametrize("name", guest.inner_tests(MARKS))
def test_marks(name: str) -> None:
    guest.check(MARKS, name, TIMEOUT_S, backends=("tcg",))
