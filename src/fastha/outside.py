"""Where the parent came from: the network namespace it was in before it entered that of `net_namespace`.

Some things of the kernel exist in the first network namespace alone. The parent keeps a descriptor, and names it in the
environment of its children; they open it by way of /proc.
"""

from __future__ import annotations

import os

OUTER = "FASTHA_OUTER_NETNS"  # in the environment: the parent's descriptor


def keep() -> None:
    """By the parent, before it goes. OSError."""
    if OUTER not in os.environ:
        os.environ[OUTER] = str(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))


def origin() -> str:
    """By a child: the file of the namespace that its parent was started in; "" if that is where we are."""
    number = os.environ.get(OUTER, "")
    return f"/proc/{os.getppid()}/fd/{number}" if number.isdecimal() else ""


def candidates() -> tuple[str, ...]:
    """By a child: files of namespaces that may be the first one, likelier ones first."""
    kept = origin()
    return (*((kept,) if kept else ()), "/proc/1/ns/net")
