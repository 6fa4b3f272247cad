"""What is told of an instance's states, to whom and in which order. Pure.

keepalived.md 1.11: the script of the state, exactly as configured; the generic `notify` with INSTANCE NAME STATE
PRIORITY added (GROUP for a sync group); the FIFO line. At the end of the daemon the state is STOP. An instance that a
reload removes is DELETED if it has `notify_deleted`; without, it is reported as FAULT.
"""

from __future__ import annotations

from dataclasses import replace

from fastha.model import InstanceNotify, Script, SyncGroup, VrrpInstance
from fastha.scripts import lines

MASTER, BACKUP, FAULT, STOP, DELETED = "MASTER", "BACKUP", "FAULT", "STOP", "DELETED"


def told(instance: VrrpInstance, state: str, priority: int) -> tuple[tuple[Script, ...], str]:
    """(scripts in their order, the FIFO line). `priority`: the effective one."""
    if state == DELETED and instance.notify.deleted is None and not instance.notify.says_deleted:
        state = FAULT
    line = lines.instance(instance.name, state, priority)
    return _scripts(instance.notify, state, ("INSTANCE", instance.name, state, str(priority))), line


def group_told(group: SyncGroup, state: str) -> tuple[tuple[Script, ...], str]:
    """The same of a sync group, whose priority is 0."""
    return _scripts(group.notify, state, ("GROUP", group.name, state, "0")), lines.group(group.name, state)


def _scripts(notify: InstanceNotify, state: str, words: tuple[str, ...]) -> tuple[Script, ...]:
    own = {
        MASTER: notify.master,
        BACKUP: notify.backup,
        FAULT: notify.fault,
        STOP: notify.stop,
        DELETED: notify.deleted,
    }[state]
    scripts = [] if own is None else [own]
    if notify.any is not None:
        scripts.append(replace(notify.any, argv=(*notify.any.argv, *words)))
    return tuple(scripts)
