"""The laboratory in a guest whose kernel has IPVS: tests/vm/inside/lab_story.py."""

from __future__ import annotations

import pytest

from vm import guest

STORY = guest.INSIDE / "lab_story.py"
pytestmark = pytest.mark.vm


@pytest.mark.parametrize("name", guest.inner_tests(STORY))
def test_lab(name: str) -> None:
    guest.check(STORY, name)
