"""Who is told of an instance's states, with which words, in which order."""

from __future__ import annotations

import pytest

from fastha.model import InstanceNotify, Script, VrrpInstance
from fastha.vrrp.notify import told

ALL = InstanceNotify(
    master=Script(("/m", "x")), backup=Script(("/b",)), fault=Script(("/f",)), stop=Script(("/s",)),
    deleted=Script(("/d",)), any=Script(("/any", "first"), "joe"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "own"), [("MASTER", "/m x"), ("BACKUP", "/b"), ("FAULT", "/f"), ("STOP", "/s"), ("DELETED", "/d")]
)
def test_scripts_and_line(state: str, own: str) -> None:
    instance = VrrpInstance(name="V I", interface="eth0", vrid=1, notify=ALL)
    scripts, line = told(instance, state, 150)
    assert [" ".join(s.argv) for s in scripts] == [own, f"/any first INSTANCE V I {state} 150"]
    assert scripts[1].user == "joe"
    assert line == f'INSTANCE "V I" {state} 150'


def test_without_notify_deleted_it_is_a_fault() -> None:
    instance = VrrpInstance(name="V", interface="eth0", vrid=1, notify=InstanceNotify(fault=Script(("/f",))))
    assert told(instance, "DELETED", 100) == ((Script(("/f",)),), 'INSTANCE "V" FAULT 100')


def test_notify_deleted_without_a_script_changes_the_word_alone() -> None:
    """As keepalived 2.2.7 (observed)."""
    notify = InstanceNotify(fault=Script(("/f",)), any=Script(("/any",)), says_deleted=True)
    instance = VrrpInstance(name="V", interface="eth0", vrid=1, notify=notify)
    scripts = (Script(("/any", "INSTANCE", "V", "DELETED", "100")),)
    assert told(instance, "DELETED", 100) == (scripts, 'INSTANCE "V" DELETED 100')


def test_without_scripts_there_is_the_line() -> None:
    instance = VrrpInstance(name="V", interface="eth0", vrid=1)
    assert told(instance, "STOP", 100) == ((), 'INSTANCE "V" STOP 100')
