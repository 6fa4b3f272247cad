"""What a child asks of the kernel about itself."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def die_with_parent(signum: int) -> None:
    """Have the kernel send us `signum` when the thread that spawned us ends (prctl(2), PR_SET_PDEATHSIG).

    The channel's end is the orderly news of the parent's death; this is for a child that no longer reads it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


class Memory:
    """Our own resident size, from one descriptor that stays open."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def rss_kb(self) -> int:
        """Resident set in KiB (proc_pid_statm(5), second field)."""
        return int(os.pread(self._fd, 128, 0).split()[1]) * PAGE_KB

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
