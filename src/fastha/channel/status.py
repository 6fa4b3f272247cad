"""Exit statuses: what a child tells its parent by ending, and the daemon its supervisor. The command line uses the
same numbers, so that one table is enough for people and units (RestartPreventExitStatus=2 4)."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """2 and 4 say that trying again changes nothing."""

    OK = 0  # did what was asked
    FAILED = 1  # went wrong; the reason is on stderr
    REFUSED = 2  # the configuration, or the command line, is wrong
    NO_DAEMON = 3  # status, reload, stop: no daemon answers
    SYSTEM = 4  # the machine refuses: privilege, kernel module, address in use
    UNFIT = 5  # plan: the configuration would be refused (2 says there that something would change)
