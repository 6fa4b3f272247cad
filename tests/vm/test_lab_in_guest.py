"""The laboratory in a guest whose kernel has IPVS: tests/vm/inside/lab_story.py.

A campaign, not a test of every run: the guest has one slow CPU for two directors with adverts of 100 ms, three servers
and the client. On a busy host it stops for longer than that, and then mastership moves as it should.
test_director_in_guest.py shows the same dataplane with one director.
"""

from __future__ import annotations

import pytest

from vm import guest

STORY = guest.INSIDE / "lab_story.py"
pytestmark = [pytest.mark.vm, pytest.mark.campaign]


@pytest.mark.parametrize("name", guest.inner_tests(STORY))
def test_lab(name: str) -> None:
    guest.check(STORY, name)
