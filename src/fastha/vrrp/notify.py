"""What is told of an instance's states, to whom and in which order. Pure.

keepalived.md 1.11: the script of the state, exactly as configured; the generic `notify` with INSTANCE NAME STATE
PRIORITY added; the FIFO line. At the end of the daemon the state is STOP. An instance that a reload removes is DELETED
if it has `notify_deleted`; without, it is reported as FAULT.
"""

from __future__ import annotations

from dataclasses import replace

from fastha.model import Script, VrrpInstance
from fastha.scripts import lines

MASTER, BACKUP, FAULT, STOP, DELETED = "MASTER", "BACKUP", "FAULT", "STOP", "DELETED"


def told(instance: VrrpInstance, state: str, priority: int) -> tuple[tuple[Script, ...], str]:
    """(scripts in their order, the FIFO line). `priority`: the effective one."""
    notify = instance.notify
    if state == DELETED and notify.deleted is None:
        state = FAULT
    own = {
        MASTER: notify.master,
        BACKUP: notify.backup,
        FAULT: notify.fault,
        STOP: notify.stop,
        DELETED: notify.deleted,
    }[state]
    scripts = [] if own is None else [own]
    if notify.any is not None:
        words = "INSTANCE", instance.name, state, str(priority)
        scripts.append(replace(notify.any, argv=(*notify.any.argv, *words)))
    return tuple(scripts), lines.instance(instance.name, state, priority)
