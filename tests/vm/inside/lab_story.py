"""The laboratory's whole story with IPVS as the dataplane."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from pathlib import Path

import fastha
from vm import guest

guest.only_inside()


def test_the_whole_story_with_ipvs() -> None:
    argv = [sys.executable, "-m", "fastha.cli", "lab", "--dataplane", "ipvs", "--rate", "25", "--json"]
    # Compiled once, into the guest's throw-away overlay, not by each of the story's fifteen Pythons at the same time.
    assert compileall.compile_dir(Path(fastha.__file__).parent, quiet=1)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    # What happens is judged here, not how fast: the guest has one slow CPU for two directors and all the rest, and the
    # client's own lateness exceeds the limit. tests/netns judges the gap.
    wanted = [(step["title"], e) for step in result["steps"] for e in step["expectations"] if "gap" not in e["what"]]
    failed = [(title, e) for title, e in wanted if not e["ok"]]
    assert not failed, done.stderr
    assert result["dataplane"] == "ipvs"
    assert len(result["steps"]) == 7
