"""Where state dumps go."""

from __future__ import annotations

import pytest

from fastha.model import GlobalDefs, Processes
from fastha.standin.place import data_file

NAMED = Processes(namespace="ns", instance="one")


@pytest.mark.parametrize(
    ("file", "role", "named", "wanted"),
    [
        ("", "", False, "keepalived.data"),
        ("", "parent", False, "keepalived_parent.data"),
        ("", "check", True, "keepalived_check.ns_one.data"),
        ("", "", True, "keepalived.ns_one.data"),
        ("state", "parent", False, "state_parent"),
        ("/run/x/", "", True, "/run/x/keepalived.ns_one.data"),
        ("/run/x.y/state.a.txt", "parent", True, "/run/x.y/state.a_parent.ns_one.txt"),
    ],
)
def test_the_file_of_a_process(file: str, role: str, named: bool, wanted: str) -> None:
    defs = GlobalDefs(state_dump_file=file, data_use_instance=named, processes=NAMED)
    assert data_file(defs, role) == wanted
    if named:
        assert data_file(GlobalDefs(state_dump_file=file, data_use_instance=True), role) == wanted.replace(
            ".ns_one", ""
        )
