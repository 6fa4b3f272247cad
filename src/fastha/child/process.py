"""What a child knows of itself as a process."""

from __future__ import annotations

import ctypes
import os

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


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


def release_memory() -> None:
    """Give the kernel back what was freed. Elsewhere than in glibc (malloc_trim(3)) this may do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
