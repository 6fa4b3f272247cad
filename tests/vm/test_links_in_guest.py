"""ipvlans, which the usual kernel of a test has not: inside/links.py."""

from __future__ import annotations

import pytest

from vm import guest

LINKS = guest.INSIDE / "links.py"
TIMEOUT_S = 600  # every case boots nothing, but starts daemons of both kinds: 15 to 25 s each on a busy host
pytestmark = [pytest.mark.vm, pytest.mark.timeout(TIMEOUT_S + 100)]


@pytest.mark.parametrize("name", guest.inner_tests(LINKS))
def test_links(name: str) -> None:
    guest.check(LINKS, name, TIMEOUT_S)
